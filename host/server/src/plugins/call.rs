//! The calls of plugin components: what they are asked, on whose account, and what is said when they fail.

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_core::plugins::{self as rules, Offer};
use formwork_model::{ComponentRecord, ObjectsExt, Plugin, PluginProvider, Values};
use formwork_sandbox::{
    ActionCall, CallError, Digest, EventCall, Grants, Invocation, Limits, PluginDescription, PluginEvent,
    Turn,
};
use formwork_store::Snapshot;
use serde_json::{Value, json};

use super::{
    actions::{self, Asked},
    event::{self, Incoming},
    host::PluginHost,
};
use crate::{content, endpoint::Endpoint, packs::Counted};

/// A component that can be called.
struct Callable {
    digest: Digest,
    record: ComponentRecord,
    invocation: Invocation,
}

impl Callable {
    /// Finds a component and sees to it that it can be called; in words what keeps it from that.
    async fn find(
        endpoint: &Endpoint,
        component: &str,
        record: &ComponentRecord,
        turn: &str,
    ) -> Result<Self, String> {
        let named = |words: String| format!("component `{component}` {words}");
        let grants =
            Grants::parse(&record.grants).map_err(|error| named(format!("has a bad grant: {error}")))?;
        let limits = Limits::from_manifest(&record.limits)
            .map_err(|error| named(format!("has a bad limit: {error}")))?;
        let digest = content::prepared(endpoint, &record.digest).await.map_err(named)?;
        let turn = Turn::of(component, turn);
        let invocation = Invocation { turn, grants: grants.into(), limits, ..Invocation::new(component, "") };
        Ok(Self { digest, record: record.clone(), invocation })
    }

    /// Finds the component of a provider.
    async fn of_provider(
        endpoint: &Endpoint,
        snapshot: &Snapshot,
        provider: &PluginProvider,
        turn: &str,
    ) -> Result<Self, String> {
        let record = endpoint.library.component(snapshot, &provider.component);
        let record = record.ok_or_else(|| format!("component `{}` is not installed", provider.component))?;
        Self::find(endpoint, &provider.component, &record, turn).await
    }

    /// Sets who answers what the component asks; which of its grants it uses is counted.
    fn hosted(mut self, endpoint: &Arc<Endpoint>, host: PluginHost) -> Self {
        let component = &self.invocation.component;
        let host = Counted::new(endpoint, component, &self.record, Arc::new(host));
        self.invocation.host = Some(Arc::new(host));
        self
    }
}

/// Asks a component what it is; in words what keeps it from answering.
pub(super) async fn describe(
    endpoint: &Endpoint,
    component: &str,
    record: &ComponentRecord,
) -> Result<PluginDescription, String> {
    let callable = Callable::find(endpoint, component, record, "").await?;
    let described = endpoint.sandbox.asking(&callable.digest, callable.invocation).describe_plugin().await;
    described.map_err(|error| format!("it cannot be asked what it is: {error}"))
}

/// Has a plugin do an action.
///
/// # Errors
///
/// The plugin refuses (422) or its component cannot be called (500).
pub(super) async fn act(
    endpoint: &Arc<Endpoint>,
    snapshot: &Snapshot,
    asked: &Asked,
    offer: &Offer,
    params: &Values,
) -> Result<Value, ApiError> {
    let failed = |words: String| {
        tracing::warn!(plugin = offer.plugin.name, action = asked.command, "{words}");
        ApiError::new(500, "PLUGIN", words)
    };
    let subject = asked.subject.as_deref();
    let is_own = offer.action.model.is_empty();
    let (model, key) = match subject.filter(|_| !is_own) {
        Some(subject) => (subject.kind().prefix.to_owned(), subject.key()),
        None => (offer.action.model.clone(), String::new()),
    };
    let host = PluginHost::new(
        Arc::clone(endpoint),
        &offer.plugin,
        &offer.provider,
        actions::principal(&offer.plugin.name),
    )
    .about(subject.map(|subject| (subject.kind().prefix, subject.key())))
    .asked(&asked.params, asked.job.clone());
    let turn = if key.is_empty() { &offer.plugin.name } else { &key };
    let callable = Callable::of_provider(endpoint, snapshot, &offer.provider, turn)
        .await
        .map_err(failed)?
        .hosted(endpoint, host);
    let call = ActionCall {
        plugin: offer.plugin.name.clone(),
        action: asked.command.clone(),
        model,
        key,
        object: subject.map_or(Value::Null, |subject| event::shown(snapshot, subject)).to_string(),
        params: json!(params).to_string(),
        config: json!(rules::config(snapshot, &offer.plugin)).to_string(),
    };
    match endpoint.sandbox.asking(&callable.digest, callable.invocation).act(call).await {
        Ok(report) => serde_json::from_str(&report.answer)
            .map_err(|error| failed(format!("the plugin {} answered no JSON: {error}", offer.plugin.name))),
        Err(CallError::Refused { failure, .. }) => {
            let mut messages = vec![failure.message];
            messages.extend(failure.hint.map(|hint| format!("hint: {hint}")));
            Err(ApiError { messages, ..ApiError::new(422, &failure.code, "") })
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Delivers an event to a plugin; in words why it was not taken in.
pub(super) async fn on_event(
    endpoint: &Arc<Endpoint>,
    plugin: &str,
    incoming: &Incoming,
) -> Result<(), String> {
    let snapshot = endpoint.snapshot();
    let plugin = snapshot.get::<Plugin>(plugin).ok_or("the plugin is gone")?;
    let provider = snapshot.get::<PluginProvider>(&plugin.provider).ok_or("the plugin has no provider")?;
    let host = PluginHost::new(
        Arc::clone(endpoint),
        &plugin,
        &provider,
        event::principal(&plugin.name, incoming.hops),
    )
    .about(formwork_model::kind_of(&incoming.kind).map(|kind| (kind.prefix, incoming.key.clone())));
    let callable =
        Callable::of_provider(endpoint, &snapshot, &provider, &plugin.name).await?.hosted(endpoint, host);
    let call = EventCall {
        event: PluginEvent {
            kind: incoming.kind.clone(),
            action: incoming.action.clone(),
            key: incoming.key.clone(),
            object: incoming.object.to_string(),
            time_ms: u64::try_from(incoming.time.millis()).unwrap_or(0),
            revision: incoming.revision,
        },
        config: json!(rules::config(&snapshot, &plugin)).to_string(),
    };
    match endpoint.sandbox.asking(&callable.digest, callable.invocation).on_event(call).await {
        Ok(_) => Ok(()),
        Err(CallError::Refused { failure, .. }) => {
            let hint = failure.hint.map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
            Err(format!("{}: {}{hint}", failure.code, failure.message))
        }
        Err(error) => Err(error.to_string()),
    }
}
