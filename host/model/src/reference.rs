//! What one object needs of others: the edges that availability and deletion follow.

use std::collections::BTreeSet;

use crate::{Objects, ObjectsExt, Record};

/// What happens when the thing that is referred to is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The object is refused.
    Refused,
    /// The object is stored, but not available.
    Unavailable,
    /// Nothing: the object is only found from the other, which may go.
    Allowed,
}

/// A reference of one object to another. Where it is refused when missing, it is refused when not available as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The prefix of the object that is needed.
    pub prefix: &'static str,
    /// Its key.
    pub key: String,
    /// What happens when it does not exist.
    pub missing: Missing,
    /// The message when it does not exist.
    pub message: String,
    /// The message when it exists but is not available; `None` when that does not matter.
    pub unavailable: Option<String>,
}

/// The references of one object in the making, with the usual messages.
#[derive(Debug)]
pub(crate) struct Needs<'a> {
    key: &'a str,
    missing: Missing,
    found: Vec<Reference>,
}

impl<'a> Needs<'a> {
    /// Begins a list for an object that is stored though something is missing.
    pub(crate) fn soft(key: &'a str) -> Self {
        Self { key, missing: Missing::Unavailable, found: Vec::new() }
    }

    /// Begins a list for an object that is refused when something is missing.
    pub(crate) fn hard(key: &'a str) -> Self {
        Self { key, missing: Missing::Refused, found: Vec::new() }
    }

    /// Begins a list of what an object is only to be found from.
    pub(crate) fn found_from(key: &'a str) -> Self {
        Self { key, missing: Missing::Allowed, found: Vec::new() }
    }

    /// Adds one object, available or not; an empty name names none.
    pub(crate) fn one(self, prefix: &'static str, noun: &str, name: &str) -> Self {
        let message = format!("{}: {noun} {name} does not exist", self.key);
        self.with(prefix, name, message, None)
    }

    /// Adds one object that must also be available; an empty name names none.
    pub(crate) fn usable(self, prefix: &'static str, noun: &str, name: &str) -> Self {
        let message = format!("{}: {noun} {name} does not exist", self.key);
        let unavailable = format!("{}: {noun} {name} is not available", self.key);
        self.with(prefix, name, message, Some(unavailable))
    }

    /// Adds a list of objects, available or not.
    pub(crate) fn list(self, prefix: &'static str, noun: &str, names: &[String]) -> Self {
        let at = |needs: Self, (index, name): (usize, &String)| needs.at(prefix, noun, name, index);
        names.iter().enumerate().fold(self, at)
    }

    /// Adds what the entries of a task list name: tasks, stages and boot environments.
    pub(crate) fn tasks(self, entries: &[String]) -> Self {
        entries.iter().enumerate().fold(self, |needs, (index, entry)| match entry.split_once(':') {
            None => needs.at("tasks", "Task", entry, index),
            Some(("stage", name)) => needs.at("stages", "Stage", name, index),
            Some(("bootenv", name)) => needs.at("bootenvs", "BootEnv", name, index),
            Some(_) => needs,
        })
    }

    /// Adds one object with messages of the caller's; an empty name names none.
    pub(crate) fn with(
        mut self,
        prefix: &'static str,
        name: &str,
        message: String,
        unavailable: Option<String>,
    ) -> Self {
        if !name.is_empty() {
            let key = name.to_owned();
            self.found.push(Reference { prefix, key, missing: self.missing, message, unavailable });
        }
        self
    }

    /// Returns the list.
    pub(crate) fn done(self) -> Vec<Reference> {
        self.found
    }

    fn at(self, prefix: &'static str, noun: &str, name: &str, index: usize) -> Self {
        let message = format!("{}: {noun} {name} (at {index}) does not exist", self.key);
        self.with(prefix, name, message, None)
    }
}

/// Returns the message about an object that comes to itself when the names of others of its type in it are followed.
pub(crate) fn circle_problem<R: Record>(
    objects: &dyn Objects,
    own: &R,
    noun: &str,
    next: impl Fn(&R) -> Vec<String>,
) -> Option<String> {
    let key = own.key();
    let mut seen = BTreeSet::new();
    let mut waiting = next(own);
    while let Some(name) = waiting.pop() {
        if name == key {
            return Some(format!("{key}: {noun} {key} contains itself"));
        }
        if seen.insert(name.clone()) {
            waiting.extend(objects.get::<R>(&name).map(|other| next(&other)).unwrap_or_default());
        }
    }
    None
}
