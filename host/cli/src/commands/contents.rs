//! `formwork contents`: content bundles.

use anyhow::{Result, bail};
use clap::{Arg, ArgMatches, Command};
use serde_json::Value;

use super::Context;
use crate::{arguments::text, failure::UsageError, input};

/// What a table of bundles shows.
const COLUMNS: &[&str] = &["Name", "Version", "Type", "Description"];

pub(super) fn command() -> Command {
    let name = || Arg::new("name").required(true);
    let file =
        || Arg::new("file").value_name("FILE").help("JSON or YAML; `-` is standard input").required(true);
    Command::new("contents")
        .about("Lists, shows and installs content bundles")
        .subcommand_required(true)
        .subcommand(Command::new("list").about("Lists content bundles"))
        .subcommand(Command::new("count").about("Counts content bundles"))
        .subcommand(Command::new("show").about("Shows a content bundle with its objects").arg(name()))
        .subcommand(Command::new("exists").about("Tells whether there is such a bundle").arg(name()))
        .subcommand(Command::new("create").about("Installs a new bundle").arg(file()))
        .subcommand(Command::new("update").about("Replaces a bundle").arg(name()).arg(file()))
        .subcommand(
            Command::new("upload").about("Installs a bundle, or replaces it when it is there").arg(file()),
        )
        .subcommand(Command::new("destroy").about("Removes a bundle").arg(name()))
}

pub(super) async fn run(matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let Some((verb, matches)) = matches.subcommand() else { return Ok(()) };
    let argument = |name| if matches.try_contains_id(name).is_ok() { text(matches, name) } else { "" };
    let (name, file) = (argument("name"), argument("file"));
    let summary = match verb {
        "list" => return list(context).await,
        "count" => return context.out.line(&client.contents().await?.len().to_string()),
        "show" => return context.out.value(&client.content(name).await?, &[]),
        "exists" => return client.content(name).await.map(drop).map_err(Into::into),
        "create" => client.content_create(&bundle(file)?.1).await?,
        "update" => client.content_update(name, &bundle(file)?.1).await?,
        "upload" => {
            let (name, bundle) = bundle(file)?;
            let known = client.contents().await?.iter().any(|summary| summary.meta.name == name);
            if known {
                client.content_update(&name, &bundle).await?
            } else {
                client.content_create(&bundle).await?
            }
        }
        _ => {
            client.content_destroy(name).await?;
            return context.out.line(&format!("Deleted content {name}"));
        }
    };
    context.out.value(&summary, &[])
}

async fn list(context: &mut Context) -> Result<()> {
    let list = context.client()?.contents().await?;
    if context.out.is_table() {
        let metas: Vec<_> = list.into_iter().map(|summary| summary.meta).collect();
        return context.out.value(&metas, COLUMNS);
    }
    context.out.value(&list, COLUMNS)
}

/// Reads a bundle and its name, as carelessly as the tools of the ecosystem write them (drp-behaviour.md 7.2).
fn bundle(file: &str) -> Result<(String, Value)> {
    let text = input::file(file)?;
    let value = formwork_packs::parse_bundle(text.as_bytes())
        .map_err(|error| UsageError(format!("`{file}` is no content bundle: {error}")))?;
    match value.pointer("/meta/Name").and_then(Value::as_str).filter(|name| !name.is_empty()) {
        Some(name) => Ok((name.to_owned(), value)),
        None => bail!(UsageError(format!("`{file}` is no content bundle: it has no `meta.Name`"))),
    }
}
