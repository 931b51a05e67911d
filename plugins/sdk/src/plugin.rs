//! Plugins: actions on objects, and answers to what happens.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::bindings::plugin_world::exports::formwork::plugin::plugin;
use crate::{Failure, Timestamp, logger};

/// Something that the endpoint can do besides its own work.
///
/// Each call gets a fresh instance, so nothing is remembered between calls but what was written to [`crate::kv`]. Calls may
/// overlap. A repeat must be harmless: an action may be asked for again, an event delivered again.
pub trait Plugin {
    /// Says what it is; the same each time.
    fn describe() -> Description;

    /// Does an action and returns its result. Without an implementation every action is refused.
    ///
    /// # Errors
    ///
    /// What keeps it from being done, in words for whoever asked.
    fn act(call: &ActionCall) -> Result<Value, Failure> {
        Err(Failure::new("unknown-action", format!("there is no action `{}`", call.action)))
    }

    /// Takes in one event. Without an implementation it is ignored.
    ///
    /// # Errors
    ///
    /// What keeps it from being taken in: it is delivered again later, and after the last try kept as a dead letter.
    fn on_event(_event: &Event, _config: &Config) -> Result<(), Failure> {
        Ok(())
    }
}

/// What a plugin is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// The same as the name of the component in its pack.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Shown in place of the name.
    pub display_name: String,
    /// Markdown for the operator.
    pub documentation: String,
    /// What it can be asked to do.
    pub actions: Vec<Action>,
    /// Which events it wants, each as `TYPE.ACTION.KEY`; `*` matches anything.
    pub events: Vec<String>,
    /// Parameters that a plugin object must have before it is started.
    pub required_params: Vec<String>,
    /// Parameters that it may have.
    pub optional_params: Vec<String>,
    /// Whether the endpoint makes one plugin object by itself.
    pub auto_start: bool,
}

impl Description {
    /// Begins a description. `name` is that of the component in its pack.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self { name: name.into(), version: version.into(), ..Self::default() }
    }

    /// Adds an action.
    #[must_use]
    pub fn action(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    /// Adds events that it wants: `machines.update.*`.
    #[must_use]
    pub fn event(mut self, pattern: impl Into<String>) -> Self {
        self.events.push(pattern.into());
        self
    }

    /// Adds parameters that a plugin object must have.
    #[must_use]
    pub fn requires<const N: usize>(mut self, params: [&str; N]) -> Self {
        self.required_params.extend(params.map(str::to_owned));
        self
    }

    /// Adds parameters that a plugin object may have.
    #[must_use]
    pub fn accepts<const N: usize>(mut self, params: [&str; N]) -> Self {
        self.optional_params.extend(params.map(str::to_owned));
        self
    }
}

/// Something that a plugin can be asked to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Action {
    /// Its name.
    pub name: String,
    /// The prefix of the objects that it is for; `system` for the endpoint, empty for the plugin object.
    pub model: String,
    /// Parameters without which it is not offered.
    pub required_params: Vec<String>,
    /// Parameters that it gets as well when they have a value.
    pub optional_params: Vec<String>,
}

impl Action {
    /// Begins an action on the objects with a prefix.
    pub fn on(model: impl Into<String>, name: impl Into<String>) -> Self {
        Self { name: name.into(), model: model.into(), ..Self::default() }
    }

    /// Adds parameters without which it is not offered.
    #[must_use]
    pub fn requires<const N: usize>(mut self, params: [&str; N]) -> Self {
        self.required_params.extend(params.map(str::to_owned));
        self
    }

    /// Adds parameters that it gets as well when they have a value.
    #[must_use]
    pub fn accepts<const N: usize>(mut self, params: [&str; N]) -> Self {
        self.optional_params.extend(params.map(str::to_owned));
        self
    }
}

/// Parameters by name. Secure ones are read as secrets instead, with [`crate::secrets::read`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config(pub Map<String, Value>);

impl Config {
    /// Reads a parameter; none when it has no value.
    ///
    /// # Errors
    ///
    /// The value is of another type.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        T::deserialize(value).map(Some).map_err(|error| {
            Failure::new("invalid-param", format!("the value of param `{name}` is of another type: {error}"))
        })
    }

    fn parse(json: &str) -> Result<Self, Failure> {
        serde_json::from_str(json).map(Self).map_err(|error| {
            Failure::new(
                "invalid-call",
                format!("the endpoint sent parameters that are no JSON object: {error}"),
            )
        })
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Config {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(params: I) -> Self {
        Self(params.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// An action that somebody asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ActionCall {
    /// The name of the plugin object that it goes to.
    pub plugin: String,
    /// The action.
    pub action: String,
    /// The prefix of the object; `system` for the endpoint.
    pub model: String,
    /// The key of the object.
    pub key: String,
    /// The object.
    pub object: Value,
    /// The parameters of the request, and those that the action named.
    pub params: Config,
    /// The plugin object's own parameters.
    pub config: Config,
}

/// Something that happened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Event {
    /// Its type, mostly the prefix of an object.
    pub kind: String,
    /// `create`, `update`, `delete`, `save` and others.
    pub action: String,
    /// The key of the object.
    pub key: String,
    /// The object after the change, before it when it is gone.
    pub object: Value,
    /// When it happened.
    pub time: Timestamp,
    /// The number of the change; the same when it is delivered again.
    pub revision: u64,
}

/// Stands between the world's types and those of this crate.
#[derive(Debug)]
pub struct PluginComponent<T>(PhantomData<T>);

impl<T: Plugin> plugin::Guest for PluginComponent<T> {
    fn describe() -> plugin::Description {
        logger::begin();
        T::describe().into()
    }

    fn act(call: plugin::ActionCall) -> Result<String, plugin::Failure> {
        logger::begin();
        let call = ActionCall {
            params: Config::parse(&call.params)?,
            config: Config::parse(&call.config)?,
            object: object(&call.object)?,
            plugin: call.plugin,
            action: call.action,
            model: call.model,
            key: call.key,
        };
        Ok(T::act(&call)?.to_string())
    }

    fn on_event(event: plugin::Event, config: String) -> Result<(), plugin::Failure> {
        logger::begin();
        let config = Config::parse(&config)?;
        let event = Event {
            object: object(&event.object)?,
            kind: event.kind,
            action: event.action,
            key: event.key,
            time: Timestamp(event.time_ms),
            revision: event.revision,
        };
        Ok(T::on_event(&event, &config)?)
    }
}

fn object(json: &str) -> Result<Value, Failure> {
    serde_json::from_str(json).map_err(|error| {
        Failure::new("invalid-call", format!("the endpoint sent an object that is no JSON: {error}"))
    })
}

impl From<Description> for plugin::Description {
    fn from(description: Description) -> Self {
        let action = |action: Action| plugin::Action {
            name: action.name,
            model: action.model,
            required_params: action.required_params,
            optional_params: action.optional_params,
        };
        Self {
            name: description.name,
            version: description.version,
            display_name: description.display_name,
            documentation: description.documentation,
            actions: description.actions.into_iter().map(action).collect(),
            events: description.events,
            required_params: description.required_params,
            optional_params: description.optional_params,
            auto_start: description.auto_start,
        }
    }
}

impl From<Failure> for plugin::Failure {
    fn from(failure: Failure) -> Self {
        Self { code: failure.code, message: failure.message, hint: failure.hint }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameter_of_another_type_is_named() {
        let config = Config(json!({"a/b": 5}).as_object().cloned().unwrap());
        assert_eq!(config.read::<u8>("a/b").unwrap(), Some(5));
        assert_eq!(config.read::<u8>("other").unwrap(), None);
        let failure = config.read::<String>("a/b").unwrap_err();
        assert_eq!(failure.code, "invalid-param");
        assert!(failure.message.contains("`a/b`"), "{failure}");
    }
}
