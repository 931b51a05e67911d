//! What the verbs take: positional words, and objects as text, file or standard input.

use std::io::Read;

use anyhow::Context;
use clap::{Arg, ArgMatches};
use serde_json::Value;

/// Returns a positional word that must be given.
pub(super) fn word(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).required(true).value_name(name.to_uppercase()).help(help)
}

/// Returns the rest of the words.
pub(super) fn words(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).num_args(0..).value_name(name.to_uppercase()).help(help)
}

/// Returns a word that was given.
pub(super) fn text<'a>(matches: &'a ArgMatches, name: &str) -> anyhow::Result<&'a str> {
    matches.get_one::<String>(name).map(String::as_str).with_context(|| format!("`{name}` is missing"))
}

/// Returns all of the words of one name.
pub(super) fn texts<'a>(matches: &'a ArgMatches, name: &str) -> Vec<&'a str> {
    matches.get_many::<String>(name).map(|words| words.map(String::as_str).collect()).unwrap_or_default()
}

/// Reads `-` as standard input and `@FILE`, or the name of a file that is there, as that file.
pub(super) fn source(given: &str) -> anyhow::Result<String> {
    if given == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("failed to read standard input")?;
        return Ok(text);
    }
    let path = given.strip_prefix('@').unwrap_or(given);
    if given.starts_with('@') || std::path::Path::new(path).is_file() {
        return std::fs::read_to_string(path).with_context(|| format!("failed to read `{path}`"));
    }
    Ok(given.to_owned())
}

/// Reads JSON or YAML.
pub(super) fn parse(text: &str) -> anyhow::Result<Value> {
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    serde_saphyr::from_str(text).context("neither JSON nor YAML")
}
