//! Secure values of a content bundle on its way between an endpoint and a file: `contents show | upload --key`.
//!
//! On an endpoint each object has a key of its own, which never leaves it. In a file the values are sealed to a pair that is
//! made for the bundle; whoever has the file with its secret half can bring them to another endpoint (drp-behaviour.md 1.6).

use anyhow::{Context as _, Result, bail};
use formwork_client::{BundleKey, Query, is_sealed};
use serde_json::Value;

use super::Given;
use crate::{commands::Context, failure::UsageError, input};

/// The flag that names the file with the secret half.
pub(super) const KEY: &str = "key";

/// Seals the secure values of a bundle that came from the endpoint to a new pair, and writes its secret half into the file
/// that was named. A bundle without any needs no pair.
pub(super) async fn seal(given: &Given<'_>, context: &Context, content: &mut Value) -> Result<()> {
    if !holds_any(content) {
        return Ok(());
    }
    let Some(file) = given.optional(KEY) else { return without_key(given, context) };
    if file == "-" {
        bail!(UsageError(String::from("the key goes to a file: the bundle is on standard output")));
    }
    let replaces = context.settings.force;
    // Whoever lost an older key could open nothing of what was sealed to it.
    if !replaces && std::fs::symlink_metadata(file).is_ok() {
        bail!(UsageError(format!(
            "`{file}` is there already, and may be the key of another bundle\n\
             hint: name another file; --force replaces this one"
        )));
    }
    let (client, key) = (context.client()?, BundleKey::generate());
    let decode = Query::new().with("decode", true);
    for (prefix, name, params) in params_of(content) {
        if !params.values().any(is_sealed) {
            continue;
        }
        let clear = client.collection(&prefix).show(&name, &decode).await?;
        for (param, value) in params.iter_mut().filter(|(_, value)| is_sealed(value)) {
            let clear = clear.get("Params").and_then(|params| params.get(param));
            let sealed = clear.filter(|clear| !is_sealed(clear)).and_then(|clear| key.seal(clear));
            *value = sealed
                .with_context(|| format!("the endpoint does not open param `{param}` of {prefix}:{name}"))?;
        }
    }
    let text = format!("{}\n", Value::String(key.to_base64()));
    // The file is for its owner only, as all that is made under another name first.
    match replaces {
        true => super::transfer::write(text.as_bytes(), file, &mut crate::output::Output::nowhere()),
        false => super::transfer::write_new(text.as_bytes(), file),
    }
}

/// Opens the secure values of a bundle with the secret half that was named; the endpoint seals them anew as it takes them.
pub(super) fn open(given: &Given<'_>, context: &Context, content: &mut Value) -> Result<()> {
    if !holds_any(content) {
        return Ok(());
    }
    let Some(file) = given.optional(KEY) else { return without_key(given, context) };
    let text = input::value(&format!("@{file}"))?;
    let key = text.as_str().and_then(BundleKey::from_base64);
    let key = key.ok_or_else(|| UsageError(format!("`{file}` is no key: it is no base64 of 32 bytes")))?;
    for (prefix, name, params) in params_of(content) {
        for (param, value) in params.iter_mut().filter(|(_, value)| is_sealed(value)) {
            *value = key
                .open(value)
                .with_context(|| format!("key `{file}` does not open param `{param}` of {prefix}:{name}"))?;
        }
    }
    Ok(())
}

fn without_key(given: &Given<'_>, context: &Context) -> Result<()> {
    if context.settings.force {
        return Ok(());
    }
    bail!(UsageError(format!(
        "the bundle holds secure values, which no other endpoint can open\n\
         hint: `formwork {} {} ... --key FILE` keeps their key in a file; --force leaves them as they are",
        given.name, given.verb.words
    )))
}

fn holds_any(content: &mut Value) -> bool {
    params_of(content).any(|(_, _, params)| params.values().any(is_sealed))
}

/// Returns the params of all objects of a bundle, each with its type and key.
fn params_of(
    content: &mut Value,
) -> impl Iterator<Item = (String, String, &mut serde_json::Map<String, Value>)> {
    let sections = content.get_mut("sections").and_then(Value::as_object_mut).into_iter().flatten();
    sections.flat_map(|(prefix, section)| {
        let objects = section.as_object_mut().into_iter().flatten();
        objects.filter_map(move |(name, object)| {
            Some((prefix.clone(), name.clone(), object.get_mut("Params")?.as_object_mut()?))
        })
    })
}
