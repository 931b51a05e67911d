//! What is particular about writing objects of each type; everything else is in [`crate::commands::objects`].
//!
//! A type is described by its [`Kind`]. What a description cannot say is a [`Behaviour`], one file a type; most types
//! have none.

mod alerts;
mod batches;
mod contents;
mod followed;
mod groups;
mod jobs;
mod machines;
mod moved;
mod plugins;
mod preferences;
mod profiles;
mod providers;
mod roles;
mod store_objects;
mod subnets;
mod tasks;
mod triggers;
mod users;
mod work_orders;

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_model::{Choice, Claim, Kind, Object, Objects, Record};
use formwork_store::Revision;
use futures_util::future::{BoxFuture, FutureExt, ready};
use serde_json::Value;

use crate::{
    auth::Caller,
    commands::objects::Request,
    commit::{Stop, Work},
    endpoint::Endpoint,
};

pub(crate) use followed::follow_workflows;
pub(crate) use groups::CONTEXT as GROUP_CONTEXT;
pub(crate) use jobs::change as change_job;
pub(crate) use machines::{end_job, settled};
pub(crate) use moved::put_moved;
pub(crate) use store_objects::follow_declarations;
pub(crate) use work_orders::{cancel_order, put_new_order, put_order};

/// What the life of an object has that other types do not. Each method stands for the rule of most types.
pub(crate) trait Behaviour: Sync {
    /// Fills in what a new object lacks, or says why it cannot be made like this.
    fn complete(&self, work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
        let _ = work;
        Ok(object)
    }

    /// Fills in what an object lacks that is put back as it was; nothing begins by that.
    fn restore(&self, work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
        self.complete(work, object)
    }

    /// Does what follows from an object that was put back.
    fn restored(&self, work: &mut Work<'_>, object: &dyn Object) -> Result<(), Stop> {
        let _ = (work, object);
        Ok(())
    }

    /// Tells whether objects say what ran. Put back, they keep what only the endpoint writes; one that is there has gone on since,
    /// and stays.
    fn is_record(&self) -> bool {
        false
    }

    /// Returns a stored object with the change that a creation makes of it where no new object comes of that.
    fn instead(&self, work: &Work<'_>, object: &dyn Object) -> Option<Box<dyn Object>> {
        let _ = (work, object);
        None
    }

    /// Decides what a change that a client asked for stores, and stores it. What clients cannot write has been put back
    /// into `new` already.
    fn change(
        &self,
        work: &mut Work<'_>,
        request: &Request,
        old: &Arc<dyn Object>,
        new: &dyn Object,
    ) -> Result<Arc<dyn Object>, Stop> {
        let _ = (request, old);
        work.put(new.boxed())
    }

    /// Refuses a deletion for another reason than that the object is in use.
    fn may_delete(&self, work: &Work<'_>, caller: &Caller, object: &dyn Object) -> Result<(), Stop> {
        let _ = (work, caller, object);
        Ok(())
    }

    /// Deletes what belongs to an object that is being deleted; with `force` also what others use.
    fn delete_with(&self, work: &mut Work<'_>, object: &dyn Object, force: bool) -> Result<(), Stop> {
        let _ = (work, object, force);
        Ok(())
    }

    /// Deletes an object that goes with more than a transaction of its own could take; nothing for those that do not.
    fn delete_whole<'a>(
        &'a self,
        endpoint: &'a Arc<Endpoint>,
        caller: &'a Caller,
        object: &'a dyn Object,
    ) -> Option<BoxFuture<'a, Result<Revision, ApiError>>> {
        let _ = (endpoint, caller, object);
        None
    }

    /// Does outside of the store what follows from the deletion of an object.
    fn deleted<'a>(&'a self, endpoint: &'a Endpoint, object: &'a dyn Object) -> BoxFuture<'a, ()> {
        let _ = (endpoint, object);
        ready(()).boxed()
    }

    /// Returns the rights that writing an object gives to somebody who had them not by the old one.
    fn given(&self, objects: &dyn Objects, old: Option<&dyn Object>, new: &dyn Object) -> Vec<Claim> {
        let _ = (objects, old, new);
        Vec::new()
    }

    /// Returns what auditors are told of a change, in one word, and in a sentence.
    fn audited(&self, old: &dyn Object, new: &dyn Object) -> Option<(&'static str, &'static str)> {
        let _ = (old, new);
        None
    }

    /// Returns the key that claims about an object name (drp-api.md 2.4).
    fn claim_key(&self, object: &dyn Object) -> String {
        object.key()
    }

    /// Returns the key that claims would name about an object that is not there; nothing when only the object could tell.
    fn claim_key_of_missing<'a>(&self, key: &'a str) -> Option<&'a str> {
        Some(key)
    }

    /// Returns an object as clients see it, where that is more than that its private members are empty.
    fn shown(&self, object: &dyn Object) -> Option<Value> {
        let _ = object;
        None
    }
}

/// Empties what clients do not see of an object.
pub(crate) fn without_private(kind: &Kind, mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        for name in kind.private {
            members.insert((*name).to_owned(), Value::String(String::new()));
        }
    }
    value
}

/// Returns an object before and after a change as objects of one type.
fn pair<'a, R: Record>(old: &'a dyn Object, new: &'a dyn Object) -> Option<(&'a R, &'a R)> {
    old.as_any().downcast_ref().zip(new.as_any().downcast_ref())
}

/// The behaviour of types that have nothing special.
struct Plain;

impl Behaviour for Plain {}

/// The types that have something special, in the order of their prefixes.
static SPECIAL: &[(&str, &dyn Behaviour)] = &[
    ("alerts", &alerts::Alerts),
    ("batches", &batches::Batches),
    ("clusters", &groups::Groups),
    ("contents", &contents::Contents),
    ("jobs", &jobs::Jobs),
    ("machines", &machines::Machines),
    ("plugin_providers", &providers::Providers),
    ("plugins", &plugins::Plugins),
    ("preferences", &preferences::Preferences),
    ("profiles", &profiles::Profiles),
    ("reservations", &subnets::Reservations),
    ("resource_brokers", &groups::Groups),
    ("roles", &roles::Roles),
    ("subnets", &subnets::Subnets),
    ("tasks", &tasks::Tasks),
    ("triggers", &triggers::Triggers),
    ("users", &users::Users),
    ("work_orders", &work_orders::WorkOrders),
];

/// Returns how objects of a type behave.
pub(crate) fn of(kind: &Kind) -> &'static dyn Behaviour {
    let place = SPECIAL.binary_search_by(|(prefix, _)| (*prefix).cmp(kind.prefix));
    match place.ok().and_then(|place| SPECIAL.get(place)) {
        Some((_, behaviour)) => *behaviour,
        None => &Plain,
    }
}

/// Returns an object as clients see it: private members are there and empty.
pub(crate) fn shown(object: &dyn Object) -> Value {
    let kind = object.kind();
    of(kind).shown(object).unwrap_or_else(|| without_private(kind, object.to_json()))
}

/// Appends what [`shown`] returns to a text.
pub(crate) fn write_shown(object: &dyn Object, out: &mut Vec<u8>) {
    let kind = object.kind();
    if let Some(shown) = of(kind).shown(object) {
        return out.extend_from_slice(shown.to_string().as_bytes());
    }
    object.write(out, &mut |member| match kind.private.contains(&member) {
        true => Choice::Instead(String::from("\"\"")),
        false => Choice::Keep,
    });
}

/// Returns the key that claims about an object name.
pub(crate) fn claim_key(object: &dyn Object) -> String {
    of(object.kind()).claim_key(object)
}

#[cfg(test)]
mod tests {
    use formwork_model::kind_of;

    use super::*;

    #[test]
    fn what_is_written_is_what_is_shown() {
        for kind in formwork_model::KINDS {
            let object = (kind.decode)(serde_json::json!({"Description": "d", "Meta": {"a": "b"}})).unwrap();
            let mut out = Vec::new();
            write_shown(object.as_ref(), &mut out);
            let written: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(written, shown(object.as_ref()), "{}", kind.prefix);
        }
    }

    #[test]
    fn secrets_among_the_preferences_are_not_shown() {
        let decode = kind_of("preferences").unwrap().decode;
        for (name, value) in [("baseTokenSecret", ""), ("systemGrantorSecret", ""), ("defaultStage", "told")]
        {
            let object = decode(serde_json::json!({"Name": name, "Val": "told"})).unwrap();
            let mut out = Vec::new();
            write_shown(object.as_ref(), &mut out);
            assert_eq!(serde_json::from_slice::<Value>(&out).unwrap()["Val"], value);
        }
    }

    #[test]
    fn special_types_are_in_order_and_are_types() {
        assert!(SPECIAL.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(SPECIAL.iter().all(|(prefix, _)| kind_of(prefix).is_some()));
    }

    /// A handler that names a type knows what only the type's own file should know.
    #[test]
    fn no_prefix_is_named_in_the_generic_handlers() {
        let sources = [
            ("commands/objects.rs", include_str!("commands/objects.rs")),
            ("commands/patch.rs", include_str!("commands/patch.rs")),
            ("http/objects.rs", include_str!("http/objects.rs")),
            ("http/answer.rs", include_str!("http/answer.rs")),
            ("http/actions.rs", include_str!("http/actions.rs")),
            ("http/request.rs", include_str!("http/request.rs")),
        ];
        for (name, text) in sources {
            let code = text.split("#[cfg(test)]").next().unwrap();
            for kind in formwork_model::KINDS {
                assert!(!code.contains(&format!("\"{}\"", kind.prefix)), "{name} names `{}`", kind.prefix);
            }
        }
    }
}
