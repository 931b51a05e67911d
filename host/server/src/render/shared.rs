//! The `templates` objects, parsed once for as long as they do not change.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use formwork_model::{Object, Objects, Template as TemplateObject};
use formwork_store::{Revision, Snapshot};
use formwork_template::{Delimiters, ParseError, Template, TemplateSet};

/// All shared templates.
#[derive(Default)]
pub(super) struct SharedTemplates(Mutex<Parsed>);

#[derive(Default)]
struct Parsed {
    revision: Option<Revision>,
    templates: HashMap<String, Known>,
    set: TemplateSet,
}

/// An object and what its text parsed to.
type Known = (Arc<dyn Object>, Result<Template, ParseError>);

impl SharedTemplates {
    /// Returns the templates of a snapshot, as a set out of which others include them.
    pub(super) fn of(&self, objects: &Snapshot) -> TemplateSet {
        let mut parsed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if parsed.revision != Some(objects.revision()) {
            parsed.update(objects);
        }
        parsed.set.clone()
    }
}

impl Parsed {
    /// Parses what is new. Objects never change in place, so the same object has the same text.
    fn update(&mut self, objects: &Snapshot) {
        self.revision = Some(objects.revision());
        let mut changed = objects.count("templates") != self.templates.len();
        objects.visit("templates", &mut |object| {
            let known = self.templates.get(&object.key());
            changed |= known.is_none_or(|(known, _)| !Arc::ptr_eq(known, object));
            !changed
        });
        if !changed {
            return;
        }
        let mut before = std::mem::take(&mut self.templates);
        objects.visit("templates", &mut |object| {
            let key = object.key();
            let kept = before.remove(&key).filter(|(known, _)| Arc::ptr_eq(known, object));
            let parsed = kept.map(|(_, parsed)| parsed).or_else(|| parse(object.as_ref()));
            if let Some(parsed) = parsed {
                self.templates.insert(key, (Arc::clone(object), parsed));
            }
            true
        });
        let pairs = self.templates.iter().map(|(name, (_, parsed))| (name.clone(), parsed.clone()));
        self.set = TemplateSet::default().overlay(pairs);
    }
}

fn parse(object: &dyn Object) -> Option<Result<Template, ParseError>> {
    let template = object.as_any().downcast_ref::<TemplateObject>()?;
    let delimiters = Delimiters::new(&template.start_delimiter, &template.end_delimiter);
    Some(Template::parse_between(&template.id, &template.contents, &delimiters))
}
