//! `formwork prefs`: the settings of the endpoint.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use clap::{Arg, ArgMatches, Command};

use super::Context;
use crate::{
    arguments::{text, texts},
    failure::UsageError,
    input,
};

pub(super) fn command() -> Command {
    Command::new("prefs")
        .about("Reads and changes the settings of the endpoint")
        .subcommand_required(true)
        .subcommand(Command::new("list").about("Shows all settings"))
        .subcommand(Command::new("get").about("Shows one setting").arg(Arg::new("name").required(true)))
        .subcommand(Command::new("set").about("Changes settings: NAME VALUE pairs, or a JSON map").arg(
            Arg::new("pairs").value_name("NAME VALUE").required(true).num_args(1..).allow_hyphen_values(true),
        ))
}

pub(super) async fn run(matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    match matches.subcommand() {
        Some(("set", matches)) => {
            let changes = changes(&texts(matches, "pairs").collect::<Vec<_>>())?;
            context.out.value(&client.prefs_set(&changes).await?, &[])
        }
        Some(("get", matches)) => {
            let name = text(matches, "name");
            match client.prefs().await?.get(name) {
                Some(value) => context.out.line(value),
                None => bail!("there is no preference `{name}`"),
            }
        }
        _ => context.out.value(&client.prefs().await?, &[]),
    }
}

fn changes(words: &[&str]) -> Result<BTreeMap<String, String>> {
    if let [map] = words {
        let value = input::value(map)?;
        return serde_json::from_value(value)
            .map_err(|_| UsageError(String::from("give NAME VALUE pairs, or a JSON map of texts")).into());
    }
    let (pairs, rest) = words.as_chunks::<2>();
    if !rest.is_empty() {
        bail!(UsageError(format!("`{}` has no value", rest.join(" "))));
    }
    Ok(pairs.iter().map(|[name, value]| ((*name).to_owned(), (*value).to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_a_map_mean_the_same() {
        let expected = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        assert_eq!(changes(&["a", "b"]).unwrap(), expected);
        assert_eq!(changes(&[r#"{"a": "b"}"#]).unwrap(), expected);
        assert!(changes(&["a", "b", "c"]).is_err());
    }
}
