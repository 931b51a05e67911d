//! Preferences.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use clap::{ArgMatches, Command};

use super::input::{text, texts, word, words};
use crate::session::Session;

/// Returns the command.
pub(crate) fn command() -> Command {
    Command::new("prefs")
        .about("Work with the preferences of the endpoint")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("list").about("List all preferences"))
        .subcommand(Command::new("get").about("Show one preference").arg(word("name", "The preference")))
        .subcommand(
            Command::new("set")
                .about("Set preferences, all or nothing: set NAME VALUE [NAME VALUE ...]")
                .arg(words("pairs", "Names and values by turns").required(true)),
        )
}

/// Runs a verb.
pub(crate) async fn run(session: &Session, verb: &str, matches: &ArgMatches) -> anyhow::Result<()> {
    match verb {
        "set" => {
            let given = texts(matches, "pairs");
            if given.len() % 2 != 0 {
                bail!("names and values by turns are needed: set NAME VALUE [NAME VALUE ...]");
            }
            let values: BTreeMap<String, String> = given
                .chunks(2)
                .filter_map(|pair| Some((pair.first()?.to_string(), pair.get(1)?.to_string())))
                .collect();
            session.output.value("", &session.client.prefs_set(&values).await?)
        }
        "get" => {
            let name = text(matches, "name")?;
            let all = session.client.prefs().await?;
            let value = all.get(name).with_context(|| format!("there is no preference `{name}`"))?;
            session.output.value("", value)
        }
        _ => session.output.value("", &session.client.prefs().await?),
    }
}
