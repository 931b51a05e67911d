//! Actions that plugins offer on objects and on the endpoint (drp-api.md 6.5).

use std::sync::Arc;

use formwork_api::{ApiError, Event};
use formwork_core::{
    params,
    plugins::{self as rules, NoOffer, Offer, SYSTEM},
};
use formwork_model::{AvailableAction, Object, Values};
use formwork_store::Snapshot;
use serde_json::{Value, json};

use super::{call, event};
use crate::endpoint::Endpoint;

/// An action that somebody asks for.
pub(crate) struct Asked {
    /// The object that it is asked of; none for the endpoint itself.
    pub(crate) subject: Option<Arc<dyn Object>>,
    /// The one plugin that may do it; any when none is named.
    pub(crate) plugin: Option<String>,
    /// The action.
    pub(crate) command: String,
    /// Params that go before those of the object.
    pub(crate) params: Values,
    /// Who asks.
    pub(crate) principal: String,
    /// The job that it is done for, whose log gets the lines of the component.
    pub(crate) job: Option<String>,
}

/// Returns the actions that can be used now, each once; all or those of one name. The required params of those that are
/// listed have values.
pub(crate) fn available(
    snapshot: &Snapshot,
    subject: Option<&dyn Object>,
    plugin: Option<&str>,
    command: Option<&str>,
) -> Vec<AvailableAction> {
    let mut found: Vec<AvailableAction> = Vec::new();
    for offer in rules::offers(snapshot, subject, plugin) {
        let named = command.is_none_or(|command| command == offer.action.command);
        let ready = || rules::missing(snapshot, subject, &offer, &Values::new()).is_empty();
        if named && !found.contains(&offer.action) && ready() {
            found.push(offer.action);
        }
    }
    found
}

/// Does an action and returns what the plugin says. It goes on to its end also when nobody waits for it any more.
///
/// # Errors
///
/// Nobody offers it (404), a param is missing or not valid (400), the plugin refuses (422, with its own code as the type),
/// or its component cannot be called (500).
pub(crate) async fn act(endpoint: &Arc<Endpoint>, mut asked: Asked) -> Result<Value, ApiError> {
    let endpoint = Arc::clone(endpoint);
    if let Some(subject) = &asked.subject {
        let (prefix, key) = (subject.kind().prefix, subject.key());
        let opened = endpoint.vault.opened(&endpoint.snapshot(), (prefix, &key), asked.params);
        asked.params =
            opened.map_err(|error| ApiError::new(400, "POST", error.to_string()).about(prefix, &key))?;
    }
    let acting = tokio::spawn(async move { act_now(&endpoint, &asked).await });
    acting.await.unwrap_or_else(|error| {
        tracing::error!(%error, "an action ended in a fault");
        Err(ApiError::new(500, "INTERNAL", "the action ended in a fault"))
    })
}

async fn act_now(endpoint: &Arc<Endpoint>, asked: &Asked) -> Result<Value, ApiError> {
    let (model, key) = match &asked.subject {
        Some(subject) => (subject.kind().prefix, subject.key()),
        None => (SYSTEM, String::new()),
    };
    let snapshot = endpoint.snapshot();
    let offer = choose(&snapshot, asked).map_err(|error| error.about(model, &key))?;
    let subject = asked.subject.as_deref();
    let params = rules::action_params(&snapshot, subject, &offer, &asked.params);
    tell(endpoint, asked, &offer, (model, &key));
    call::act(endpoint, &snapshot, asked, &offer, &params).await.map_err(|error| error.about(model, &key))
}

fn choose(snapshot: &Snapshot, asked: &Asked) -> Result<Offer, ApiError> {
    let malformed = params::problems(snapshot, &asked.command, &asked.params);
    if !malformed.is_empty() {
        return Err(ApiError { messages: malformed, ..ApiError::new(400, "POST", "") });
    }
    let wanted = (asked.plugin.as_deref(), asked.command.as_str());
    rules::choose(snapshot, asked.subject.as_deref(), wanted, &asked.params).map_err(
        |refusal| match refusal {
            NoOffer::Missing(names) => {
                let messages =
                    names.iter().map(|name| format!("required param `{name}` has no value")).collect();
                ApiError { messages, ..ApiError::new(400, "POST", "") }
            }
            NoOffer::Unknown(asleep) => {
                let mut messages = vec![format!("no plugin offers the action `{}`", asked.command)];
                messages.extend(asleep);
                ApiError { messages, ..ApiError::new(404, "POST", "") }
            }
        },
    )
}

/// Tells who listens that an action is asked for (drp-api.md 8.4).
fn tell(endpoint: &Endpoint, asked: &Asked, offer: &Offer, (model, key): (&str, &str)) {
    let names: Vec<&String> = asked.params.keys().collect();
    let event = Event {
        time: endpoint.now(),
        r#type: model.to_owned(),
        action: String::from("action"),
        key: key.to_owned(),
        principal: asked.principal.clone(),
        // The values of the request may be secret, so listeners get the names only.
        object: json!({
            "Model": Value::Null,
            "Plugin": offer.plugin.name,
            "Command": asked.command,
            "CommandSet": model,
            "Params": {},
            "ParamNames": names,
            "Job": asked.job,
        }),
        original: Value::Null,
        revision: None,
    };
    endpoint.hub.tell(event);
}

/// Returns who writes what an action changes.
pub(super) fn principal(plugin: &str) -> String {
    event::principal(plugin, 0)
}
