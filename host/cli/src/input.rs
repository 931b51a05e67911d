//! Values that a user gives: JSON or YAML, on the command line, in a file or on standard input.

use std::{
    fs::File,
    io::{self, Read},
};

use anyhow::{Context as _, Result, bail};
use formwork_model::Kind;
use serde_json::{Value, json};

use crate::failure::UsageError;

/// Most bytes that are read, enough for the largest content bundles.
const MAX_BYTES: u64 = 256 << 20;

/// Reads an argument: `-` is standard input, `@FILE` a file, all else the text itself.
pub(crate) fn text(argument: &str) -> Result<String> {
    match argument.strip_prefix('@') {
        _ if argument == "-" => read(io::stdin()).context("failed to read standard input"),
        Some(path) => file(path),
        None => Ok(argument.to_owned()),
    }
}

/// Reads a file; `-` is standard input.
pub(crate) fn file(path: &str) -> Result<String> {
    if path == "-" {
        return text(path);
    }
    File::open(path)
        .map_err(anyhow::Error::from)
        .and_then(read)
        .with_context(|| format!("failed to read `{path}`"))
}

/// Reads an argument as JSON or YAML.
pub(crate) fn value(argument: &str) -> Result<Value> {
    parse(&text(argument)?)
}

/// Reads JSON or YAML text. JSON first: it is what programs write, and its errors tell more.
pub(crate) fn parse(text: &str) -> Result<Value> {
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        Err(json) if text.trim_start().starts_with(['{', '[']) => {
            // Flow style of YAML begins with the same characters.
            serde_saphyr::from_str(text).map_err(|_| UsageError(format!("this is no JSON: {json}")).into())
        }
        Err(_) => serde_saphyr::from_str(text)
            .map_err(|error| UsageError(format!("this is neither JSON nor YAML: {error}")).into()),
    }
}

/// Reads the object to create: a bare word is its name.
pub(crate) fn object(kind: &Kind, argument: &str) -> Result<Value> {
    match value(argument)? {
        Value::String(name) => {
            let member = if kind.unique.contains(&"Name") { "Name" } else { kind.key };
            Ok(json!({ member: name }))
        }
        value @ Value::Object(_) => Ok(value),
        _ => bail!(UsageError(format!("a {} is a JSON object or a name", kind.noun))),
    }
}

fn read(source: impl Read) -> Result<String> {
    let mut text = String::new();
    let length = source.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if length as u64 > MAX_BYTES {
        bail!("it is longer than {MAX_BYTES} bytes");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use formwork_model::kind_of;

    use super::*;

    #[test]
    fn bare_word_is_a_name_of_a_machine_and_a_key_of_a_template() {
        assert_eq!(object(kind_of("machines").unwrap(), "fred").unwrap(), json!({"Name": "fred"}));
        assert_eq!(object(kind_of("templates").unwrap(), "a.tmpl").unwrap(), json!({"ID": "a.tmpl"}));
        assert!(object(kind_of("machines").unwrap(), "[1]").is_err());
    }

    #[test]
    fn json_and_yaml_are_read_alike() {
        let expected = json!({"Name": "x", "Tasks": ["a"]});
        assert_eq!(parse(r#"{"Name": "x", "Tasks": ["a"]}"#).unwrap(), expected);
        assert_eq!(parse("Name: x\nTasks:\n  - a\n").unwrap(), expected);
        assert!(parse("{\"Name\": ").unwrap_err().to_string().contains("no JSON"));
    }
}
