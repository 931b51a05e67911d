//! Content bundles as files and folders here: `contents bundle | unbundle | bundlize | document`.

use std::{fmt::Write as _, path::Path};

use anyhow::{Context as _, Result, bail};
use formwork_client::Query;
use formwork_model::{Content, kind_of};
use serde_json::{Map, Value, json};

use super::{Given, contents, sealing, transfer};
use crate::{commands::Context, failure::UsageError, input};

/// Types in the order in which their objects can be made: those that others refer to first.
const ORDER: &[&str] = &[
    "params",
    "templates",
    "contexts",
    "tasks",
    "bootenvs",
    "stages",
    "workflows",
    "profiles",
    "roles",
    "tenants",
    "users",
    "pools",
    "blueprints",
    "subnets",
    "reservations",
    "plugins",
    "trigger_providers",
    "triggers",
    "machines",
];

/// Puts objects into the order in which they can be made.
pub(super) fn in_order(mut objects: Vec<(String, Value)>) -> Vec<(String, Value)> {
    let place = |prefix: &str| ORDER.iter().position(|known| *known == prefix).unwrap_or(ORDER.len());
    objects.sort_by_key(|(prefix, _)| place(prefix));
    objects
}

/// Makes one file of a folder: `bundle FILE [FOLDER] [KEY=VALUE...]`.
pub(super) async fn bundle(given: Given<'_>, context: &mut Context) -> Result<()> {
    let (folders, members): (Vec<&str>, Vec<&str>) =
        given.texts("FOLDER").into_iter().partition(|word| !word.contains('='));
    let folder = match folders.as_slice() {
        [] => ".",
        [folder] => *folder,
        _ => bail!(UsageError(String::from("only one folder can be bundled"))),
    };
    let content = formwork_packs::bundle_folder(Path::new(folder))?;
    let mut content = serde_json::to_value(&content)?;
    set_meta(&mut content, &members)?;
    note_unnamed(content.pointer("/meta/Name").and_then(Value::as_str).unwrap_or_default(), folder);
    save(&content, given.text("TARGET"), context)
}

/// Tells that a folder does not say how its bundle is called, which others are called too then.
pub(super) fn note_unnamed(name: &str, folder: &str) {
    if name == "Unspecified" {
        tracing::warn!(
            "the bundle of `{folder}` is called `{name}`: neither `meta.yaml` nor `._Name.meta` there names it\nhint: \
             write the name into one of them"
        );
    }
}

/// Makes a folder of one file: `unbundle FILE [FOLDER]`.
pub(super) async fn unbundle(given: Given<'_>, context: &mut Context) -> Result<()> {
    let file = given.text("SOURCE");
    let text = input::file(file)?;
    let content = formwork_packs::parse_content(text.as_bytes())
        .map_err(|error| UsageError(format!("`{file}` is no content bundle: {error}")))?;
    let folder = given.optional("FOLDER").unwrap_or(".");
    let notes = formwork_packs::unbundle(&content, Path::new(folder))?;
    for note in notes {
        tracing::warn!("{note}");
    }
    context.out.line(&format!("Unbundled content {} into {folder}", content.meta.name))
}

/// Makes a bundle of objects of the endpoint, named `TYPE:KEY` or `TYPE:INDEX=VALUE`.
pub(super) async fn bundlize(given: Given<'_>, context: &mut Context) -> Result<()> {
    let (objects, members): (Vec<&str>, Vec<&str>) =
        given.texts("OBJECT").into_iter().partition(|word| word.contains(':'));
    if objects.is_empty() {
        bail!(UsageError(String::from(
            "no object is named\nhint: such as profiles:web or params:Name=web/port"
        )));
    }
    let client = context.client()?;
    let mut found = Vec::new();
    for name in objects {
        let (prefix, key) = name.split_once(':').unwrap_or_default();
        match key.split_once('=') {
            Some((index, value)) => {
                let objects = client.collection(prefix).list(&Query::new().with(index, value)).await?;
                found.extend(objects.into_iter().map(|object| (prefix.to_owned(), object)));
            }
            None => {
                found.push((prefix.to_owned(), client.collection(prefix).show(key, &Query::new()).await?));
            }
        }
    }
    let mut content =
        json!({"meta": {"Name": "Unspecified", "Version": "v0.0.0", "Type": "dynamic"}, "sections": {}});
    set_meta(&mut content, &members)?;
    for (prefix, object) in &found {
        let key = key_of(prefix, object)?;
        let clean = without_state(object);
        if let Some(sections) = content.get_mut("sections").and_then(Value::as_object_mut) {
            let section = sections.entry(prefix.clone()).or_insert_with(|| json!({}));
            if let Some(section) = section.as_object_mut() {
                section.insert(key, clean);
            }
        }
    }
    let mut saved = content.clone();
    sealing::seal(&given, context, &mut saved).await?;
    save(&saved, given.text("TARGET"), context)?;
    if given.is_on("delete") || given.is_on("reload") {
        // What refers to others goes first.
        for (prefix, object) in in_order(found).iter().rev() {
            client.collection(prefix).force(context.settings.force).destroy(&key_of(prefix, object)?).await?;
        }
    }
    if given.is_on("reload") {
        let name = content.pointer("/meta/Name").and_then(Value::as_str).unwrap_or_default().to_owned();
        sealing::open(&given, context, &mut saved)?;
        contents::send(context, &name, &saved).await?;
    }
    Ok(())
}

/// Writes the documentation of a bundle, as reStructuredText or as Markdown.
pub(super) async fn document(given: Given<'_>, context: &mut Context) -> Result<()> {
    let (_, value) = contents::bundle(given.text("SOURCE"), context).await?;
    let content: Content = serde_json::from_value(value)?;
    let markdown = given.verb.words.ends_with("-md");
    let mut text = String::new();
    heading(&mut text, &content.meta.name, 0, markdown);
    for part in [&content.meta.description, &content.meta.documentation] {
        paragraph(&mut text, part);
    }
    for (prefix, section) in &content.sections {
        heading(&mut text, prefix, 1, markdown);
        for (key, object) in section {
            heading(&mut text, key, 2, markdown);
            for member in ["Description", "Documentation"] {
                paragraph(&mut text, object.get(member).and_then(Value::as_str).unwrap_or_default());
            }
        }
    }
    transfer::write(text.as_bytes(), given.text("TARGET"), &mut context.out)
}

fn heading(text: &mut String, words: &str, level: usize, markdown: bool) {
    let line = ["=", "-", "~"].get(level).copied().unwrap_or("~").repeat(words.chars().count());
    let written = match markdown {
        true => writeln!(text, "{} {words}\n", "#".repeat(level + 1)),
        false => writeln!(text, "{words}\n{line}\n"),
    };
    written.ok();
}

fn paragraph(text: &mut String, words: &str) {
    if !words.trim().is_empty() {
        writeln!(text, "{}\n", words.trim()).ok();
    }
}

fn set_meta(content: &mut Value, members: &[&str]) -> Result<()> {
    for member in members {
        let Some((name, value)) = member.split_once('=') else {
            bail!(UsageError(format!("`{member}` is not of the form MEMBER=VALUE")));
        };
        // `meta.Name=x` and `Name=x` mean the same.
        let name = name.strip_prefix("meta.").unwrap_or(name);
        if let Some(meta) = content.get_mut("meta").and_then(Value::as_object_mut) {
            meta.insert(name.to_owned(), json!(value));
        }
    }
    Ok(())
}

/// Writes a bundle: YAML where its name says so, else JSON.
fn save(content: &Value, target: &str, context: &mut Context) -> Result<()> {
    let yaml = target.ends_with(".yaml") || target.ends_with(".yml");
    let text = match yaml {
        true => serde_saphyr::to_string(content).context("failed to write YAML")?,
        false => format!("{}\n", serde_json::to_string_pretty(content)?),
    };
    transfer::write(text.as_bytes(), target, &mut context.out)
}

fn key_of(prefix: &str, object: &Value) -> Result<String> {
    let Some(kind) = kind_of(prefix) else { bail!(UsageError(format!("there is no type `{prefix}`"))) };
    match object.get(kind.key).and_then(Value::as_str) {
        Some(key) => Ok(key.to_owned()),
        None => bail!("an object of type `{prefix}` has no `{}`", kind.key),
    }
}

/// Returns an object without what the endpoint says of it.
fn without_state(object: &Value) -> Value {
    let gone = [
        "Validated",
        "Available",
        "Errors",
        "ReadOnly",
        "Bundle",
        "Endpoint",
        "Partial",
        "CreatedAt",
        "CreatedBy",
        "LastModifiedAt",
        "LastModifiedBy",
    ];
    let members = object.as_object().cloned().unwrap_or_default();
    let kept: Map<String, Value> =
        members.into_iter().filter(|(name, _)| !gone.contains(&name.as_str())).collect();
    Value::Object(kept)
}
