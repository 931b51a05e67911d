//! Preferences (drp-api.md 12.4).

use std::{collections::BTreeMap, sync::Arc};

use formwork_api::ApiError;
use formwork_core::preferences;
use formwork_model::{Preference, Record};

use crate::{
    auth::Caller,
    commit::{Stop, Work, commit, refused},
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
    let changed =
        preferences::change(&*work.tx, values).map_err(|refusal| refused("preferences", "", refusal))?;
    if changed.iter().any(|preference| preference.name == MANAGER && preference.val == "true") {
        let message =
            "this endpoint cannot manage others yet\nhint: leave `manager` false; nothing was changed";
        return Err(ApiError::new(501, "POST", message).about("preferences", MANAGER).into());
    }
    for preference in changed {
        work.put(Box::new(preference))?;
    }
    Ok(())
}
