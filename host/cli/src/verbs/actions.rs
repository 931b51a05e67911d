//! Bodies of requests that several verbs have in common.

use anyhow::{Result, bail};
use formwork_client::Query;
use serde_json::{Map, Value, json};

use super::Given;
use crate::{failure::UsageError, input};

/// Reads what an action is given: names and values in turn, or a JSON map.
pub(super) fn arguments(given: &Given<'_>) -> Result<Value> {
    let words = given.texts("PAIR");
    if let [map] = words.as_slice() {
        let value = input::value(map)?;
        if !value.is_object() {
            bail!(UsageError(format!(
                "`{map}` has no value\nhint: give names and values in turn, or a JSON map"
            )));
        }
        return Ok(value);
    }
    let pairs = given.pairs("PAIR")?;
    let mut map = Map::new();
    for (name, value) in pairs {
        // A value that is no JSON is a text.
        map.insert(name.to_owned(), input::parse(value).unwrap_or_else(|_| json!(value)));
    }
    Ok(Value::Object(map))
}

/// Reads members of a query: `ttl 600 roles a,b`.
pub(super) fn pairs_as_query(given: &Given<'_>) -> Result<Query> {
    let pairs = given.pairs("PAIR")?;
    Ok(pairs.into_iter().fold(Query::new(), |query, (name, value)| query.with(name, value)))
}

/// Returns an empty map.
#[expect(clippy::unnecessary_wraps, reason = "it stands where other bodies can fail")]
pub(super) fn nothing(_: &Given<'_>) -> Result<Value> {
    Ok(json!({}))
}

/// Reads from where a work order is to be run again, which is checked here: the endpoint knows no other words either.
pub(super) fn restart_mode(given: &Given<'_>) -> Result<Value> {
    match given.optional("MODE") {
        None => Ok(json!({})),
        Some(mode @ ("retry" | "continue" | "from-start")) => Ok(json!({"mode": mode})),
        Some(other) => bail!(UsageError(format!(
            "a work order is not restarted by `{other}`\n\
             hint: retry runs the task that failed again, continue goes on behind it, from-start begins the workflow anew"
        ))),
    }
}

/// Reads the argument `JSON`; an empty map when it was left out.
pub(super) fn json(given: &Given<'_>) -> Result<Value> {
    match given.optional("JSON") {
        Some(text) => input::value(text),
        None => Ok(json!({})),
    }
}

/// Reads the argument `TEXT`.
pub(super) fn words(given: &Given<'_>) -> Result<Value> {
    Ok(json!(input::text(given.text("TEXT"))?))
}

/// Reads a JSON patch; an empty one when it was left out.
pub(super) fn operations(given: &Given<'_>) -> Result<Value> {
    match given.optional("JSON") {
        Some(text) => input::value(text),
        None => Ok(json!([])),
    }
}
