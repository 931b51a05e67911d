//! Triggers: one that is enabled has what its provider needs, and one with a hook says where it is (drp-api.md 14.7).

use std::sync::Arc;

use formwork_api::{ApiError, BASE_PATH, EventFilter};
use formwork_core::{
    params,
    triggers::{EVENT_MATCH, SCHEDULE, Schedule},
};
use formwork_model::{Object, Objects, ObjectsExt, Record, Trigger, TriggerProvider};
use serde_json::Value;

use super::Behaviour;
use crate::{
    commands::objects::Request,
    commit::{Stop, Work},
};

/// The member of the meta that says where the hook is.
const URL: &str = "URL";

/// Says what is wrong with a text.
type Reads = fn(&str) -> Result<(), String>;

/// The params that are read when a trigger is written, so that nobody waits in vain for it to fire.
const READ: &[(&str, Reads)] = &[
    (SCHEDULE, |text| Schedule::parse(text).map(drop)),
    (EVENT_MATCH, |text| EventFilter::parse(text).map(drop).map_err(|error| error.to_string())),
];

/// How triggers behave.
pub(super) struct Triggers;

impl Behaviour for Triggers {
    fn complete(&self, work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
        let Some(trigger) = object.as_any().downcast_ref::<Trigger>() else { return Ok(object) };
        Ok(Box::new(checked(&*work.tx, trigger)?))
    }

    fn change(
        &self,
        work: &mut Work<'_>,
        _request: &Request,
        _old: &Arc<dyn Object>,
        new: &dyn Object,
    ) -> Result<Arc<dyn Object>, Stop> {
        let object = self.complete(work, new.boxed())?;
        work.put(object)
    }
}

/// Returns a trigger with the place of its hook, if it has one.
fn checked(objects: &impl Objects, trigger: &Trigger) -> Result<Trigger, Stop> {
    let mut trigger = trigger.clone();
    let Some(provider) = objects.get::<TriggerProvider>(&trigger.trigger_provider) else {
        return Ok(trigger);
    };
    let mut wrong = Vec::new();
    for name in provider.required_parameters.iter().filter(|_| trigger.enabled) {
        if params::resolve(objects, &trigger, name).is_none() {
            let (key, provider) = (&trigger.name, &provider.name);
            wrong.push(format!(
                "{key}: {provider} needs the param {name}\nhint: set it, or `Enabled` to false"
            ));
        }
    }
    for (name, reads) in READ {
        if let Some(Value::String(text)) = trigger.params.get(name)
            && let Err(error) = reads(&text)
        {
            wrong.push(format!("{}: {name}: {error}", trigger.name));
        }
    }
    if !wrong.is_empty() {
        return Err(ApiError::invalid(Trigger::KIND.prefix, &trigger.name, wrong).into());
    }
    let url = format!("{BASE_PATH}/webhook/{}", trigger.name);
    match provider.no_url {
        true => trigger.header.meta.remove(URL),
        false => trigger.header.meta.insert(URL.to_owned(), url),
    };
    Ok(trigger)
}
