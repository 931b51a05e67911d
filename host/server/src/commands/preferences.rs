//! Preferences (drp-api.md 12.4).

use std::{collections::BTreeMap, sync::Arc};

use formwork_api::ApiError;
use formwork_core::preferences;
use formwork_model::{Object, Objects, ObjectsExt, Preference, Record};

use crate::{
    auth::Caller,
    commit::{Stop, Work, commit, refused},
    content::is_brought_along,
    endpoint::Endpoint,
};

/// Members that no answer shows: they sign tokens.
const SECRET: &[&str] = &["baseTokenSecret", "systemGrantorSecret"];

/// Whether the endpoint looks after others (drp-behaviour.md 9.2).
const MANAGER: &str = "manager";

/// Tells whether an object is a preference that no answer shows.
pub(crate) fn is_secret(prefix: &str, key: &str) -> bool {
    prefix == Preference::KIND.prefix && SECRET.contains(&key)
}

/// Returns all preferences that may be shown.
pub(crate) fn all(endpoint: &Endpoint) -> BTreeMap<String, String> {
    let mut found = preferences::all(&endpoint.snapshot());
    found.retain(|name, _| !SECRET.contains(&name.as_str()));
    found
}

/// Changes some preferences, all or nothing, and returns all of them.
pub(crate) async fn change(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    values: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, ApiError> {
    let by = caller.clone();
    commit(endpoint, &caller.principal, move |work| put(work, &by, &values)).await?;
    Ok(all(endpoint))
}

/// Changes some preferences inside of a transaction.
pub(super) fn put(
    work: &mut Work<'_>,
    caller: &Caller,
    values: &BTreeMap<String, String>,
) -> Result<(), Stop> {
    caller.require("preferences", "post", "")?;
    for name in values.keys() {
        let old = work.tx.get::<Preference>(name);
        if old.is_some_and(|old| old.header.read_only && !is_brought_along(&*work.tx, old.as_ref())) {
            let message = format!("readonly: {name}");
            return Err(ApiError::new(409, "POST", message).about("preferences", name).into());
        }
    }
    let changed = fitting(&*work.tx, values)?;
    for preference in changed {
        work.put(Box::new(preference))?;
    }
    Ok(())
}

/// Returns the preferences of these names and values, if each may be what it is.
fn fitting(objects: &impl Objects, values: &BTreeMap<String, String>) -> Result<Vec<Preference>, ApiError> {
    let wanted =
        preferences::change(objects, values).map_err(|refusal| refused("preferences", "", refusal))?;
    if values.get(MANAGER).is_some_and(|value| value == "true") {
        let message =
            "this endpoint cannot manage others yet\nhint: leave `manager` false; nothing was changed";
        return Err(ApiError::new(501, "POST", message).about("preferences", MANAGER));
    }
    Ok(wanted)
}

/// Refuses a preference that a bundle or a pack cannot bring: what `POST /prefs` would refuse, and the secrets of all tokens, for
/// whoever reads the bundle would know them.
pub(crate) fn check_brought(objects: &impl Objects, object: &dyn Object) -> Result<(), ApiError> {
    let Some(preference) = object.as_any().downcast_ref::<Preference>() else { return Ok(()) };
    let (prefix, name) = (Preference::KIND.prefix, &preference.name);
    if is_secret(prefix, name) {
        let message = format!("{name}: it is a secret of the endpoint, which no bundle can bring");
        return Err(ApiError::invalid(prefix, name, vec![message]));
    }
    fitting(objects, &BTreeMap::from([(name.clone(), preference.val.clone())])).map(drop)
}
