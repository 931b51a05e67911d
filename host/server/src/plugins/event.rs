//! A change of the store, or an injected event, as a plugin sees it.

use formwork_api::Event;
use formwork_core::plugins::is_secure;
use formwork_model::{Object, Objects, Timestamp, is_internal};
use formwork_store::{Change, Revision};
use serde_json::Value;

use crate::{hub::word as change_word, kinds};

/// How many plugins a change may have come through and still be delivered to one: enough for a chain of plugins that
/// build on each other, little enough that two which answer each other stop at once.
pub(crate) const MAX_HOPS: u32 = 8;

/// Members that are nobody's business but the endpoint's.
const PRIVATE: &[&str] = &["PasswordHash", "Secret", "Token"];

/// An event for a plugin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Incoming {
    /// Its type, mostly the prefix of an object.
    pub(crate) kind: String,
    /// What happened.
    pub(crate) action: String,
    /// The key of the object.
    pub(crate) key: String,
    /// The object afterwards; before, when it is gone.
    pub(crate) object: Value,
    /// When it happened.
    pub(crate) time: Timestamp,
    /// The revision that made it.
    pub(crate) revision: u64,
    /// How many plugins it has come through.
    pub(crate) hops: u32,
}

impl Incoming {
    /// Makes the event of a change; `None` for types that are the endpoint's own.
    pub(crate) fn of_change(
        objects: &(impl Objects + ?Sized),
        change: &Change,
        now: Timestamp,
    ) -> Option<Self> {
        if is_internal(change.prefix) {
            return None;
        }
        let object = change.after.as_ref().or(change.before.as_ref())?;
        let changed = change.after.as_ref().map(|object| object.header().last_modified_at);
        Some(Self {
            kind: change.prefix.to_owned(),
            action: change_word(change).to_owned(),
            key: change.key.to_string(),
            object: shown(objects, object.as_ref()),
            time: changed.filter(|time| !time.is_unset()).unwrap_or(now),
            revision: change.revision.0,
            hops: hops(&change.principal),
        })
    }

    /// Makes the event of one that a client injected. It has no revision of its own: it gets that of the store.
    pub(crate) fn of_injected(event: &Event, revision: Revision) -> Self {
        Self {
            kind: event.r#type.clone(),
            action: event.action.clone(),
            key: event.key.clone(),
            object: event.object.clone(),
            time: event.time,
            revision: revision.0,
            hops: hops(&event.principal),
        }
    }
}

/// Returns an object as plugins see it: as clients do, without what is private and without secure params, which a
/// component reads as secrets.
pub(crate) fn shown(objects: &(impl Objects + ?Sized), object: &dyn Object) -> Value {
    let mut value = kinds::shown(object);
    let Some(members) = value.as_object_mut() else { return value };
    for name in PRIVATE {
        members.remove(*name);
    }
    if let Some(params) = members.get_mut("Params").and_then(Value::as_object_mut) {
        params.retain(|name, _| !is_secure(objects, name));
    }
    value
}

/// Returns who writes when a plugin does so because of something that is `hops` plugins away from its cause.
pub(crate) fn principal(plugin: &str, hops: u32) -> String {
    format!("plugin:{plugin}#{}", hops.saturating_add(1))
}

/// Returns a principal as clients see it: `plugin:NAME` (drp-api.md 8.1).
pub(crate) fn principal_shown(principal: &str) -> &str {
    match principal.strip_prefix("plugin:").and_then(|rest| rest.split_once('#')) {
        Some((name, _)) => principal.get(.."plugin:".len() + name.len()).unwrap_or(principal),
        None => principal,
    }
}

fn hops(principal: &str) -> u32 {
    let counted = principal.strip_prefix("plugin:").and_then(|rest| rest.split_once('#'));
    counted.and_then(|(_, hops)| hops.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plugin_does_is_one_hop_further_than_its_cause() {
        assert_eq!(hops("user:anna"), 0);
        assert_eq!(hops(&principal("hooks", hops("user:anna"))), 1);
        assert_eq!(hops(&principal("hooks", hops(&principal("other", 3)))), 5);
    }

    #[test]
    fn clients_see_the_name_of_the_plugin_only() {
        assert_eq!(principal_shown(&principal("my hooks", 4)), "plugin:my hooks");
        assert_eq!(principal_shown("user:a#1"), "user:a#1");
        assert_eq!(principal_shown("system"), "system");
    }
}
