//! Events that are delivered at once and once: in a simulation, which has no workers.

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_model::Objects;
use serde_json::Value;

use super::{
    call,
    delivery::{filters_of, passes},
    event::{Incoming, shown},
    wanted,
};
use crate::endpoint::Endpoint;

/// Something that plugins are told of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Happening {
    /// Its type, mostly the prefix of an object.
    pub kind: String,
    /// What happened, such as `create`.
    pub action: String,
    /// The native key of the object.
    pub key: String,
    /// The object as plugins get it; the one that is there when none is given.
    pub object: Option<Value>,
}

/// Delivers an event to all plugins that want it, by their names. Returns the names.
///
/// # Errors
///
/// There is no such object, and none was given; no plugin wants it (404); or plugins refuse it (422, a message each), which
/// keeps it from no other one.
pub(crate) async fn deliver(endpoint: &Arc<Endpoint>, happening: Happening) -> Result<Vec<String>, ApiError> {
    let Happening { kind, action, key, object } = happening;
    let refused = |code, message: String| ApiError::new(code, "DELIVER", message).about(&kind, &key);
    let snapshot = endpoint.snapshot();
    let known = || snapshot.find(&kind, &key).map(|object| shown(&snapshot, object.as_ref()));
    let object = object.or_else(known);
    let object = object.ok_or_else(|| refused(404, String::from("there is no such object")))?;
    let mut plugins: Vec<String> = wanted(&snapshot)
        .into_iter()
        .filter(|(_, setup)| passes(&filters_of(&setup.events), &kind, &action, &key))
        .map(|(name, _)| name)
        .collect();
    plugins.sort();
    if plugins.is_empty() {
        return Err(refused(404, format!("no plugin wants events `{kind}.{action}`")));
    }
    let event = Incoming {
        kind: kind.clone(),
        action: action.clone(),
        key: key.clone(),
        object,
        time: endpoint.now(),
        revision: snapshot.revision().0,
        hops: 0,
    };
    let mut messages = Vec::new();
    for plugin in &plugins {
        if let Err(reason) = call::on_event(endpoint, plugin, &event).await {
            messages.push(format!("plugin {plugin}: {reason}"));
        }
    }
    if messages.is_empty() { Ok(plugins) } else { Err(ApiError { messages, ..refused(422, String::new()) }) }
}
