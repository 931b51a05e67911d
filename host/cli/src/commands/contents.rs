//! Content bundles.

use clap::{ArgMatches, Command};
use serde_json::Value;

use super::input::{parse, source, text, word};
use crate::session::Session;

/// Returns the command.
pub(crate) fn command() -> Command {
    let bundle = || word("bundle", "A bundle: a JSON or YAML file, text, or -");
    Command::new("contents")
        .about("Work with content bundles")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("list").about("List all layers of content"))
        .subcommand(Command::new("show").about("Show a bundle").arg(word("name", "The bundle")))
        .subcommand(Command::new("exists").about("Succeed if there is such a bundle").arg(word("name", "The bundle")))
        .subcommand(Command::new("create").about("Install a new bundle").arg(bundle()))
        .subcommand(Command::new("upload").about("Install a bundle, or replace the installed one").arg(bundle()))
        .subcommand(
            Command::new("update").about("Replace an installed bundle").arg(word("name", "The bundle")).arg(bundle()),
        )
        .subcommand(Command::new("destroy").about("Remove a bundle").arg(word("name", "The bundle")))
}

/// Runs a verb.
pub(crate) async fn run(session: &Session, verb: &str, matches: &ArgMatches) -> anyhow::Result<()> {
    let client = &session.client;
    let bundle = || -> anyhow::Result<Value> { parse(&source(text(matches, "bundle")?)?) };
    match verb {
        "list" => session.output.value("contents", &client.contents().await?),
        "show" => session.output.value("", &client.content(text(matches, "name")?).await?),
        "exists" => client.content(text(matches, "name")?).await.map(|_| ()).map_err(Into::into),
        "create" => session.output.value("contents", &client.content_create(&bundle()?).await?),
        "update" => {
            let name = text(matches, "name")?;
            session.output.value("contents", &client.content_update(name, &bundle()?).await?)
        }
        "upload" => {
            let bundle = bundle()?;
            let name = bundle.pointer("/meta/Name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let there = client.contents().await?.iter().any(|content| content.meta.name == name);
            let summary = if there {
                client.content_update(&name, &bundle).await?
            } else {
                client.content_create(&bundle).await?
            };
            session.output.value("contents", &summary)
        }
        _ => {
            let name = text(matches, "name")?;
            client.content_destroy(name).await?;
            session.output.line(&format!("Deleted content {name}"))
        }
    }
}
