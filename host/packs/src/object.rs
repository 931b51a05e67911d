//! Turns JSON into an object of a pack.

use std::sync::Arc;

use formwork_model::{ComponentKind, Header, Kind, Object, Task, Workflow};
use serde_json::Value;

/// Has routes like the types, but is computed and never stored (drp-api.md 7.14).
const COMPUTED: &str = "interfaces";

/// Returns the kind of the objects under a prefix of a pack, or why there can be none.
pub(crate) fn kind_in_pack(prefix: &str) -> Result<&'static Kind, String> {
    match formwork_model::kind_of(prefix) {
        Some(kind) if !kind.layers.in_packs() => {
            Err(format!("objects of type `{prefix}` cannot be part of a pack"))
        }
        Some(kind) => Ok(kind),
        None if prefix == COMPUTED => Err(format!("objects of type `{prefix}` cannot be part of a pack")),
        None => Err(format!("`{prefix}` is no type of object")),
    }
}

/// Tells whether a word is a type of object of the API.
pub(crate) fn is_type(prefix: &str) -> bool {
    formwork_model::kind_of(prefix).is_some() || prefix == COMPUTED
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
    let decoded = kind.read(value).map_err(|error| vec![error.to_string()])?;
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
        let refused = formwork_model::KINDS.iter().filter(|kind| kind_in_pack(kind.prefix).is_err());
        // A pack that could bring a publisher would make itself trusted.
        assert_eq!(
            refused.map(|kind| kind.prefix).collect::<Vec<_>>().join(" "),
            "activities alerts batches catalog_items clusters contents dead_letters jobs leases machines \
             object_keys pack_values packs plugin_cursors plugin_providers publishers reservations \
             resource_brokers work_orders"
        );
        assert_eq!(
            kind_in_pack("interfaces").unwrap_err(),
            "objects of type `interfaces` cannot be part of a pack"
        );
        assert_eq!(kind_in_pack("jobs").unwrap_err(), "objects of type `jobs` cannot be part of a pack");
        assert_eq!(kind_in_pack("taks").unwrap_err(), "`taks` is no type of object");
    }
}
