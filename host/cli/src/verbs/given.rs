//! What a user gave to a verb.

use anyhow::{Result, bail};
use clap::ArgMatches;
use formwork_client::Query;
use formwork_model::Kind;
use serde_json::Value;

use super::Verb;
use crate::{
    arguments::{optional, text, texts},
    failure::UsageError,
    input,
};

/// What a user gave to a verb.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    /// The type, or another first word.
    pub(crate) name: &'static str,
    /// The type, if it is one.
    pub(crate) kind: Option<&'static Kind>,
    /// The verb.
    pub(crate) verb: &'static Verb,
    /// The arguments.
    pub(crate) matches: &'a ArgMatches,
}

impl<'a> Given<'a> {
    /// Returns an argument or the value of a flag; empty when it was not given.
    pub(crate) fn text(&self, name: &str) -> &'a str {
        text(self.matches, name)
    }

    /// Returns an argument or the value of a flag that may be absent.
    pub(crate) fn optional(&self, name: &str) -> Option<&'a str> {
        optional(self.matches, name)
    }

    /// Returns all values of an argument or a flag.
    pub(crate) fn texts(&self, name: &str) -> Vec<&'a str> {
        texts(self.matches, name).collect()
    }

    /// Tells whether a switch was given.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.matches.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or_default()
    }

    /// Reads an argument as JSON or YAML.
    pub(crate) fn value(&self, name: &str) -> Result<Value> {
        input::value(self.text(name))
    }

    /// Reads an argument as a number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>> {
        let Some(text) = self.optional(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => bail!(UsageError(format!("`{text}` is no number"))),
        }
    }

    /// Returns what one object of the type is called.
    pub(crate) fn noun(&self) -> &'static str {
        self.kind.map_or(self.name.trim_end_matches('s'), |kind| kind.noun)
    }

    /// Returns the columns of the type.
    pub(crate) fn columns(&self) -> &'static [&'static str] {
        self.kind.map_or(&[], |kind| kind.columns)
    }

    /// Returns the query that the flags are.
    pub(crate) fn query(&self) -> Query {
        let mut query = Query::new();
        for flag in self.verb.flags {
            let Some(name) = flag.query else { continue };
            match flag.value {
                None if self.is_on(flag.name) => query.push(name, true),
                None => {}
                Some(_) => self.texts(flag.name).iter().for_each(|value| query.push(name, value)),
            }
        }
        query
    }

    /// Reads words that are pairs of a name and a value, such as `ttl 600 roles a,b`.
    pub(crate) fn pairs(&self, name: &str) -> Result<Vec<(&'a str, &'a str)>> {
        let words = self.texts(name);
        let (pairs, rest) = words.as_chunks::<2>();
        if !rest.is_empty() {
            bail!(UsageError(format!("`{}` has no value", rest.join(" "))));
        }
        Ok(pairs.iter().map(|[name, value]| (*name, *value)).collect())
    }
}
