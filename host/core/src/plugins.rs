//! Plugins: which actions are offered on what, and with which parameters (drp-api.md 6.5, 7.19; drp-behaviour.md 7.5).

use std::sync::Arc;

use formwork_model::{AvailableAction, Object, Objects, ObjectsExt, Param, Plugin, PluginProvider, Values};
use serde_json::Value;

use crate::params::{self, Found};

/// The model of actions on the endpoint itself.
pub const SYSTEM: &str = "system";

/// An action of a plugin that can be used now.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// The plugin that does it.
    pub plugin: Arc<Plugin>,
    /// What the plugin's provider is.
    pub provider: Arc<PluginProvider>,
    /// The action, with its provider filled in.
    pub action: AvailableAction,
}

/// Why nobody does an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoOffer {
    /// No plugin that is available offers it; the lines say which ones would, were they available.
    Unknown(Vec<String>),
    /// These required params have no value anywhere.
    Missing(Vec<String>),
}

/// Returns the actions that plugins which are available offer on an object, or on the endpoint when there is none, in
/// the order of the plugins' names. Whether the params are there is not looked at. `only` names the one plugin to ask.
pub fn offers(
    objects: &(impl Objects + ?Sized),
    subject: Option<&dyn Object>,
    only: Option<&str>,
) -> Vec<Offer> {
    visit(objects, subject, only).into_iter().filter(|offer| offer.plugin.header.available).collect()
}

/// Picks the plugin that does an action: the first by name whose required params are there.
///
/// # Errors
///
/// Nobody offers the action, or all who do lack params; those that the first of them lacks are named.
pub fn choose(
    objects: &(impl Objects + ?Sized),
    subject: Option<&dyn Object>,
    (only, command): (Option<&str>, &str),
    request: &Values,
) -> Result<Offer, NoOffer> {
    let named = |offer: &Offer| offer.action.command == command;
    let mut lacking = None;
    for offer in offers(objects, subject, only).into_iter().filter(named) {
        let names = missing(objects, subject, &offer, request);
        if names.is_empty() {
            return Ok(offer);
        }
        lacking.get_or_insert(names);
    }
    Err(match lacking {
        Some(names) => NoOffer::Missing(names),
        None => {
            let asleep = visit(objects, subject, only).into_iter().filter(named).map(|offer| {
                let errors = offer.plugin.header.errors.join("; ");
                format!("plugin {} offers it, but is not available: {errors}", offer.plugin.name)
            });
            NoOffer::Unknown(asleep.collect())
        }
    })
}

/// Returns the required params of an action that have no value in the request, the object or the plugin.
pub fn missing(
    objects: &(impl Objects + ?Sized),
    subject: Option<&dyn Object>,
    offer: &Offer,
    request: &Values,
) -> Vec<String> {
    let absent = |name: &&String| {
        !request.contains_key(*name) && value(objects, subject, &offer.plugin, name).is_none()
    };
    offer.action.required_params.iter().filter(absent).cloned().collect()
}

/// Returns the params of one call of an action: all of the request, and of those that the action names the value that
/// the object or else the plugin has.
///
/// Secure params are among them only when the request itself holds them: a component reads the others as secrets,
/// which needs a grant.
pub fn action_params(
    objects: &(impl Objects + ?Sized),
    subject: Option<&dyn Object>,
    offer: &Offer,
    request: &Values,
) -> Values {
    let mut found = request.clone();
    for name in offer.action.required_params.iter().chain(&offer.action.optional_params) {
        if !found.contains_key(name)
            && !is_secure(objects, name)
            && let Some(value) = value(objects, subject, &offer.plugin, name)
        {
            found.insert(name.clone(), value);
        }
    }
    found
}

/// Returns a plugin's configuration: its own params, and the defaults of those that its provider names. Without secure
/// ones, as in [`action_params`].
pub fn config(objects: &(impl Objects + ?Sized), plugin: &Plugin) -> Values {
    let mut found = plugin.params.values();
    if let Some(provider) = objects.get::<PluginProvider>(&plugin.provider) {
        for name in provider.required_params.iter().chain(&provider.optional_params) {
            if let Some(default) = default_of(objects, name) {
                found.entry(name.clone()).or_insert(default);
            }
        }
    }
    found.retain(|name, _| !is_secure(objects, name));
    found
}

/// Returns the value of a param for a plugin that works on an object: that of the object and of what applies to it, else
/// the plugin's own, else the default.
pub fn value(
    objects: &(impl Objects + ?Sized),
    subject: Option<&dyn Object>,
    plugin: &Plugin,
    name: &str,
) -> Option<Value> {
    find(objects, subject, plugin, name).map(|found| found.value)
}

/// Returns what [`value`] does, with whose value it is.
pub fn find(
    objects: &(impl Objects + ?Sized),
    subject: Option<&dyn Object>,
    plugin: &Plugin,
    name: &str,
) -> Option<Found> {
    let of_subject = subject.and_then(|object| params::find(objects, object, name));
    let is_default = of_subject.as_ref().is_none_or(|found| found.owner.is_none());
    let own = plugin.params.get(name).filter(|_| is_default);
    let own = own.map(|value| Found { owner: Some((plugin.kind().prefix, plugin.key())), value });
    own.or(of_subject).or_else(|| Some(Found { owner: None, value: default_of(objects, name)? }))
}

/// Tells whether a param is defined as secure.
pub fn is_secure(objects: &(impl Objects + ?Sized), name: &str) -> bool {
    objects.get::<Param>(name).is_some_and(|param| param.secure)
}

/// Returns what keeps a plugin from being used besides its references: required params without a value.
pub(crate) fn faults(objects: &(impl Objects + ?Sized), object: &dyn Object) -> Vec<String> {
    let Some(plugin) = object.as_any().downcast_ref::<Plugin>() else { return Vec::new() };
    let Some(provider) = objects.get::<PluginProvider>(&plugin.provider) else { return Vec::new() };
    let absent = |name: &&String| value(objects, None, plugin, name).is_none();
    provider
        .required_params
        .iter()
        .filter(absent)
        .map(|name| format!("{}: required param `{name}` has no value", plugin.name))
        .collect()
}

fn default_of(objects: &(impl Objects + ?Sized), name: &str) -> Option<Value> {
    objects.get::<Param>(name)?.default_value().cloned()
}

/// Returns what plugins offer on an object, those that are not available included.
fn visit(objects: &(impl Objects + ?Sized), subject: Option<&dyn Object>, only: Option<&str>) -> Vec<Offer> {
    let mut found = Vec::new();
    for plugin in objects.list::<Plugin>() {
        let Some(provider) = objects.get::<PluginProvider>(&plugin.provider) else { continue };
        if only.is_some_and(|only| only != plugin.name) {
            continue;
        }
        for action in provider.available_actions.iter().filter(|action| fits(action, subject, &plugin)) {
            found.push(Offer {
                plugin: Arc::clone(&plugin),
                provider: Arc::clone(&provider),
                action: action.clone(),
            });
        }
    }
    found
}

/// Tells whether an action is for an object. One without a model is for the plugin's own object.
fn fits(action: &AvailableAction, subject: Option<&dyn Object>, plugin: &Plugin) -> bool {
    match subject {
        None => action.model == SYSTEM,
        Some(object) if object.as_any().is::<Plugin>() => {
            action.model == "plugins" || (action.model.is_empty() && object.key() == plugin.name)
        }
        Some(object) => action.model == object.kind().prefix,
    }
}

#[cfg(test)]
mod tests;
