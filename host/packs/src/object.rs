//! Turns JSON into an object of a pack.

use std::sync::Arc;

use formwork_model::{ComponentKind, Header, Kind, Object, Task, Workflow};
use serde_json::Value;

/// The endpoint's own records, which live in its writable layer only. All other types can be in a pack. A pack that could
/// bring a publisher would make itself trusted.
const OWN_RECORDS: &[&str] = &[
    "contents",
    "dead_letters",
    "jobs",
    "leases",
    "machines",
    "pack_values",
    "packs",
    "plugin_cursors",
    "plugin_providers",
    "prefs",
    "publishers",
];

/// Types of the API (drp-api.md appendix A) that are part of bundles elsewhere and that this version has not.
const LATER: &[&str] = &[
    "alerts",
    "batches",
    "blueprints",
    "catalog_items",
    "clusters",
    "contexts",
    "endpoints",
    "filters",
    "identity_providers",
    "interfaces",
    "pipelines",
    "pools",
    "reservations",
    "resource_brokers",
    "store_objects",
    "subnets",
    "tenants",
    "trigger_providers",
    "triggers",
    "ux_options",
    "ux_settings",
    "ux_views",
    "version_sets",
    "work_orders",
    "zones",
];

/// Returns the kind of the objects under a prefix of a pack, or why there can be none.
pub(crate) fn kind_in_pack(prefix: &str) -> Result<&'static Kind, String> {
    match formwork_model::kind_of(prefix) {
        Some(_) if OWN_RECORDS.contains(&prefix) => {
            Err(format!("objects of type `{prefix}` cannot be part of a pack"))
        }
        Some(kind) => Ok(kind),
        None if LATER.contains(&prefix) => {
            Err(format!("objects of type `{prefix}` are not supported by this version"))
        }
        None => Err(format!("`{prefix}` is no type of object")),
    }
}

/// Tells whether a word is a type of object of the API, of this version or not.
pub(crate) fn is_type(prefix: &str) -> bool {
    formwork_model::kind_of(prefix).is_some() || LATER.contains(&prefix)
}

/// Decodes one object of a pack; what only the server writes is dropped from what came (drp-api.md 11.4).
///
/// # Errors
///
/// All that is wrong with the object, one line each.
pub(crate) fn decode(kind: &Kind, mut value: Value, bundle: &str) -> Result<Arc<dyn Object>, Vec<String>> {
    if let Value::Object(members) = &mut value {
        members.retain(|name, _| !is_read_only(kind, name));
    }
    let decoded = (kind.decode)(value).map_err(|error| vec![error.to_string()])?;
    let problems = decoded.problems();
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut object = decoded.boxed();
    let header = object.header_mut();
    header.set_errors(Vec::new());
    header.read_only = true;
    bundle.clone_into(&mut header.bundle);
    Ok(object.shared())
}

/// Tells whether only the server writes a member.
pub(crate) fn is_read_only(kind: &Kind, member: &str) -> bool {
    Header::READ_ONLY.contains(&member) || kind.read_only.contains(&member)
}

/// Returns the component that an object names, as `PACK/COMPONENT`, and the kind it must be. The name may be empty.
pub(crate) fn component_of(object: &dyn Object) -> Option<(&str, ComponentKind)> {
    let any = object.as_any();
    if let Some(task) = any.downcast_ref::<Task>() {
        return Some((&task.component, ComponentKind::Task));
    }
    let workflow = any.downcast_ref::<Workflow>()?;
    Some((&workflow.component, ComponentKind::Workflow))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_cannot_be_in_a_pack_is_refused_in_its_own_words() {
        for kind in formwork_model::KINDS {
            let own = OWN_RECORDS.contains(&kind.prefix);
            assert_eq!(kind_in_pack(kind.prefix).is_ok(), !own, "{}", kind.prefix);
        }
        assert_eq!(
            kind_in_pack("subnets").unwrap_err(),
            "objects of type `subnets` are not supported by this version"
        );
        assert_eq!(kind_in_pack("jobs").unwrap_err(), "objects of type `jobs` cannot be part of a pack");
        assert_eq!(kind_in_pack("taks").unwrap_err(), "`taks` is no type of object");
    }
}
