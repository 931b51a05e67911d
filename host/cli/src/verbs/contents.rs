//! Content bundles on an endpoint.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use formwork_client::Method;
use serde_json::Value;

use super::{Given, bundles, sealing};
use crate::{commands::Context, failure::UsageError, input};

/// What a table of bundles shows.
const COLUMNS: &[&str] = &["Name", "Version", "Type", "Description"];

/// Lists bundles.
pub(super) async fn list(_: Given<'_>, context: &mut Context) -> Result<()> {
    let list = context.client()?.contents().await?;
    if context.out.has_columns() {
        let metas: Vec<_> = list.into_iter().map(|summary| summary.meta).collect();
        return context.out.value(&metas, COLUMNS);
    }
    context.out.value(&list, COLUMNS)
}

/// Shows a bundle with its objects; secure values as they are in files.
pub(super) async fn show(given: Given<'_>, context: &mut Context) -> Result<()> {
    let name = given.text("NAME");
    let mut content = context.client()?.call(Method::GET, ["contents", name]).send().await?.value;
    sealing::seal(&given, context, &mut content).await?;
    context.out.value(&content, &[])
}

/// Reads a bundle that is to be sent, with its secure values in the clear.
async fn opened(given: &Given<'_>, context: &Context) -> Result<(String, Value)> {
    let (name, mut bundle) = bundle(given.text("SOURCE"), context).await?;
    sealing::open(given, context, &mut bundle)?;
    Ok((name, bundle))
}

/// Counts bundles.
pub(super) async fn count(_: Given<'_>, context: &mut Context) -> Result<()> {
    let count = context.client()?.contents().await?.len();
    context.out.line(&count.to_string())
}

/// Tells whether there is a bundle.
pub(super) async fn exists(given: Given<'_>, context: &mut Context) -> Result<()> {
    context.client()?.content(given.text("NAME")).await.map(drop).map_err(Into::into)
}

/// Installs a new bundle.
pub(super) async fn create(given: Given<'_>, context: &mut Context) -> Result<()> {
    let bundle = opened(&given, context).await?.1;
    let made = context.client()?.content_create(&bundle).await?;
    context.out.value(&made, &[])
}

/// Replaces a bundle.
pub(super) async fn update(given: Given<'_>, context: &mut Context) -> Result<()> {
    let bundle = opened(&given, context).await?.1;
    let changed = context.client()?.content_update(given.text("NAME"), &bundle).await?;
    context.out.value(&changed, &[])
}

/// Installs a bundle, or replaces it when it is there.
pub(super) async fn upload(given: Given<'_>, context: &mut Context) -> Result<()> {
    let (name, bundle) = opened(&given, context).await?;
    let sent = send(context, &name, &bundle).await?;
    context.out.value(&sent, &[])
}

/// Installs a bundle, or replaces it when it is there.
pub(super) async fn send(context: &Context, name: &str, bundle: &Value) -> Result<Value> {
    let client = context.client()?;
    let known = client.contents().await?.iter().any(|summary| summary.meta.name == name);
    let summary = match known {
        true => client.content_update(name, bundle).await?,
        false => client.content_create(bundle).await?,
    };
    Ok(serde_json::to_value(summary)?)
}

/// Makes the objects of a bundle writable ones: each is made anew, or replaced.
pub(super) async fn convert(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let name = given.text("NAME");
    let content = serde_json::to_value(client.content(name).await?)?;
    client.content_destroy(name).await?;
    let mut sections = content.get("sections").and_then(Value::as_object).cloned().unwrap_or_default();
    // They are set and not created, after what they name.
    let preferences = sections.remove("preferences");
    let mut objects: Vec<(String, Value)> = Vec::new();
    for (prefix, section) in sections {
        let members = section.as_object().cloned().unwrap_or_default();
        objects.extend(members.into_iter().map(|(_, object)| (prefix.clone(), object)));
    }
    let mut count = 0;
    for (prefix, object) in super::bundles::in_order(objects) {
        client.collection(&prefix).force(true).create(&object).await?;
        count += 1;
    }
    let preferences = preferences.as_ref().and_then(Value::as_object).into_iter().flatten();
    let values: BTreeMap<String, String> = preferences
        .map(|(name, one)| {
            (name.clone(), one.get("Val").and_then(Value::as_str).unwrap_or_default().to_owned())
        })
        .collect();
    if !values.is_empty() {
        client.prefs_set(&values).await?;
        count += values.len();
    }
    context.out.line(&format!("Converted {count} objects of content {name}"))
}

/// Reads a bundle and its name, as carelessly as the tools of the ecosystem write them (drp-behaviour.md 7.2).
pub(super) async fn bundle(source: &str, context: &Context) -> Result<(String, Value)> {
    let bytes = match source.contains("://") {
        true => super::catalog::download(source, context).await?,
        // A folder is bundled on the way.
        false if std::path::Path::new(source).is_dir() => {
            let content = formwork_packs::bundle_folder(std::path::Path::new(source))?;
            bundles::note_unnamed(&content.meta.name, source);
            serde_json::to_vec(&content)?
        }
        false if source.starts_with(['@', '{']) => input::text(source)?.into_bytes(),
        false => input::file(source)?.into_bytes(),
    };
    let value = formwork_packs::parse_bundle(&bytes)
        .map_err(|error| UsageError(format!("`{source}` is no content bundle: {error}")))?;
    match value.pointer("/meta/Name").and_then(Value::as_str).filter(|name| !name.is_empty()) {
        Some(name) => Ok((name.to_owned(), value)),
        None => bail!(UsageError(format!("`{source}` is no content bundle: it has no `meta.Name`"))),
    }
}
