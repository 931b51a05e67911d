//! Plugins, track 0.1.

use wasmtime::Store;

use super::failures;
use crate::plugin::{ActionCall, PluginAction, PluginDescription, PluginEvent};
use crate::state::CallState;
use crate::{Answer, Question};

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package formwork:host; world guest { export formwork:plugin/plugin@0.1.0; }",
        path: [
            "../../wit/log-0.1",
            "../../wit/params-0.2",
            "../../wit/http-0.1",
            "../../wit/kv-0.1",
            "../../wit/files-0.2",
            "../../wit/progress-0.1",
            "../../wit/secrets-0.1",
            "../../wit/clock-0.1",
            "../../wit/random-0.1",
            "../../wit/plugin-0.1",
        ],
        world: "formwork:host/guest",
        exports: { default: async },
    });
}

use bindings::exports::formwork::plugin::plugin as guest;

pub(crate) use bindings::{Guest, GuestPre};

/// Puts a question to a plugin.
pub(crate) async fn ask(
    plugin: &Guest,
    store: &mut Store<CallState>,
    question: &Question,
) -> wasmtime::Result<Option<Answer>> {
    let plugin = plugin.formwork_plugin_plugin();
    Ok(Some(match question {
        Question::Describe => Answer::Description(plugin.call_describe(store).await?.into()),
        Question::Act(call) => Answer::Acted(plugin.call_act(store, &call.into()).await?.map_err(Into::into)),
        Question::OnEvent(call) => {
            let delivered = plugin.call_on_event(store, &(&call.event).into(), &call.config).await?;
            Answer::Delivered(delivered.map_err(Into::into))
        }
        _ => return Ok(None),
    }))
}

failures!(guest::Failure);

impl From<guest::Description> for PluginDescription {
    fn from(description: guest::Description) -> Self {
        Self {
            name: description.name,
            version: description.version,
            display_name: description.display_name,
            documentation: description.documentation,
            actions: description.actions.into_iter().map(Into::into).collect(),
            events: description.events,
            required_params: description.required_params,
            optional_params: description.optional_params,
            auto_start: description.auto_start,
        }
    }
}

impl From<guest::Action> for PluginAction {
    fn from(action: guest::Action) -> Self {
        let guest::Action { name, model, required_params, optional_params } = action;
        Self { name, model, required_params, optional_params }
    }
}

impl From<&ActionCall> for guest::ActionCall {
    fn from(call: &ActionCall) -> Self {
        let ActionCall { plugin, action, model, key, object, params, config } = call.clone();
        Self { plugin, action, model, key, object, params, config }
    }
}

impl From<&PluginEvent> for guest::Event {
    fn from(event: &PluginEvent) -> Self {
        let PluginEvent { kind, action, key, object, time_ms, revision } = event.clone();
        Self { kind, action, key, object, time_ms, revision }
    }
}
