//! Which endpoint is meant and who calls: flags, the environment, and `~/.drpclirc` (drp-api.md 16.2).

use std::collections::HashMap;

use clap::{Arg, ArgMatches, Command};
use formwork_client::{Client, Credentials, Endpoint};

use crate::output::{Format, Output};

/// Where an endpoint is when nobody says otherwise.
const DEFAULT_ENDPOINT: &str = "https://127.0.0.1:8092";

/// What the commands of an operator need.
pub(crate) struct Session {
    /// The endpoint.
    pub(crate) client: Client,
    /// Where results go.
    pub(crate) output: Output,
    /// True when soft checks are waived.
    pub(crate) force: bool,
}

/// Adds the flags that all commands of an operator take.
pub(crate) fn flags(command: Command) -> Command {
    let text = |name: &'static str, short: char, help: &'static str| {
        Arg::new(name).long(name).short(short).global(true).help(help).help_heading("Endpoint")
    };
    command
        .arg(text("endpoint", 'E', "The endpoint [env: RS_ENDPOINT] [default: https://127.0.0.1:8092]").value_name("URL"))
        .arg(text("token", 'T', "A token to call with [env: RS_TOKEN]").value_name("TOKEN"))
        .arg(text("username", 'U', "The user to call as [env: RS_KEY=user:password]").value_name("NAME"))
        .arg(text("password", 'P', "The password of the user").value_name("PASSWORD"))
        .arg(
            Arg::new("format")
                .long("format")
                .short('F')
                .global(true)
                .value_parser(clap::builder::EnumValueParser::<Format>::new())
                .default_value("json")
                .help("How results are written")
                .help_heading("Endpoint"),
        )
        .arg(
            Arg::new("force")
                .long("force")
                .short('f')
                .global(true)
                .action(clap::ArgAction::SetTrue)
                .help("Waive soft checks")
                .help_heading("Endpoint"),
        )
}

/// Makes a session out of flags, the environment and the file in the home folder, in this order.
pub(crate) fn open(matches: &ArgMatches) -> anyhow::Result<Session> {
    Ok(Session {
        client: Client::connect(endpoint(matches))?,
        output: Output::new(matches.get_one("format").copied().unwrap_or_default()),
        force: matches.get_flag("force"),
    })
}

/// Returns which endpoint is meant and who calls it.
pub(crate) fn endpoint(matches: &ArgMatches) -> Endpoint {
    let file = rc_file();
    let given = |flag: &str| matches.get_one::<String>(flag).cloned();
    let named = |name: &str| std::env::var(name).ok().or_else(|| file.get(name).cloned()).filter(|text| !text.is_empty());
    let url = given("endpoint")
        .or_else(|| named("RS_ENDPOINT"))
        .unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
    let key = named("RS_KEY").and_then(|key| key.split_once(':').map(|(user, word)| (user.to_owned(), word.to_owned())));
    let (key_user, key_password) = key.unzip();
    let user = given("username").or_else(|| named("RS_USERNAME")).or(key_user);
    let password = given("password").or_else(|| named("RS_PASSWORD")).or(key_password);
    let credentials = match (given("token").or_else(|| named("RS_TOKEN")), given("username")) {
        (Some(token), None) => Credentials::Token(token),
        _ => Credentials::Basic {
            user: user.unwrap_or_else(|| String::from("rocketskates")),
            password: password.unwrap_or_else(|| String::from("r0cketsk8ts")),
        },
    };
    Endpoint { url, credentials }
}

/// Reads `NAME=value` lines of `~/.drpclirc`; a file that is not there says nothing.
fn rc_file() -> HashMap<String, String> {
    let text = std::env::var_os("HOME")
        .and_then(|home| std::fs::read_to_string(std::path::Path::new(&home).join(".drpclirc")).ok())
        .unwrap_or_default();
    lines(&text)
}

fn lines(text: &str) -> HashMap<String, String> {
    text.lines()
        .map(|line| line.trim().trim_start_matches("export "))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_holds_names_and_values() {
        let read = lines("# me\nRS_KEY=a:b\n export RS_ENDPOINT=\"https://x:1\"\nnonsense\n");
        assert_eq!(read["RS_KEY"], "a:b");
        assert_eq!(read["RS_ENDPOINT"], "https://x:1");
        assert_eq!(read.len(), 2);
    }
}
