//! Which endpoint is called, by whom, and how results are written: flags over `~/.drpclirc` over the environment
//! (drp-behaviour.md 10.3).

use std::{collections::BTreeMap, env, fs};

use anyhow::Result;
use clap::ValueEnum as _;
use formwork_client::{Client, Credentials, Endpoint};

use crate::{
    arguments::{Format, GlobalArgs},
    failure::UsageError,
};

/// The endpoint when nothing names one.
const DEFAULT_ENDPOINT: &str = "https://127.0.0.1:8092";

/// The credentials when nothing names some: those of the ecosystem's tools (drp-api.md 16.2).
const DEFAULT_KEY: &str = "rocketskates:r0cketsk8ts";

/// Most bytes of the file with defaults.
const MAX_FILE: u64 = 64 << 10;

/// What every subcommand needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The endpoint and who calls.
    pub(crate) endpoint: Endpoint,
    /// How results are written.
    pub(crate) format: Format,
    /// Whether checks are relaxed.
    pub(crate) force: bool,
}

impl Settings {
    /// Gathers the settings of this call.
    pub(crate) fn gather(flags: &GlobalArgs) -> Result<Self> {
        let file = env::var_os("HOME").map(|home| std::path::Path::new(&home).join(".drpclirc"));
        let small = file.filter(|file| fs::metadata(file).is_ok_and(|found| found.len() <= MAX_FILE));
        let text = small.and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        resolve(flags, &defaults(&text), |name| env::var(name).ok())
    }

    /// Returns a client of the endpoint.
    pub(crate) fn client(&self) -> Result<Client> {
        Ok(Client::connect(self.endpoint.clone())?)
    }
}

/// Reads `NAME=value` lines; anything else is ignored.
fn defaults(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.trim().split_once('='))
        .filter(|(name, _)| !name.starts_with('#'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

fn resolve(
    flags: &GlobalArgs,
    file: &BTreeMap<String, String>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Settings> {
    let named = |name: &str| {
        let found = file.get(name).cloned().or_else(|| environment(name));
        found.filter(|value| !value.is_empty())
    };
    let first = |names: String| names.split_whitespace().next().map(str::to_owned);
    let url = flags
        .endpoint
        .clone()
        .or_else(|| named("RS_ENDPOINT"))
        .or_else(|| named("RS_ENDPOINTS").and_then(first))
        .unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
    let by_name = flags.username.is_some() || flags.password.is_some();
    let token = flags.token.clone().or_else(|| named("RS_TOKEN").filter(|_| !by_name));
    let credentials = match token {
        Some(token) => Credentials::Token(token),
        None => {
            let key = named("RS_KEY").unwrap_or_else(|| DEFAULT_KEY.to_owned());
            let (name, secret) = key
                .split_once(':')
                .ok_or_else(|| UsageError(String::from("RS_KEY is not of the form user:password")))?;
            let user = flags.username.clone().or_else(|| named("RS_USERNAME"));
            let password = flags.password.clone().or_else(|| named("RS_PASSWORD"));
            Credentials::Basic {
                user: user.unwrap_or_else(|| name.to_owned()),
                password: password.unwrap_or_else(|| secret.to_owned()),
            }
        }
    };
    let format = match (flags.format, named("RS_FORMAT")) {
        (Some(format), _) => format,
        (None, Some(name)) => Format::from_str(&name, true)
            .map_err(|_| UsageError(format!("RS_FORMAT `{name}` is not json, yaml or table")))?,
        (None, None) => Format::default(),
    };
    Ok(Settings { endpoint: Endpoint { url, credentials }, format, force: flags.force })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(flags: GlobalArgs, file: &str, environment: &[(&str, &str)]) -> Settings {
        let find = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        resolve(&flags, &defaults(file), find).unwrap()
    }

    fn basic(user: &str, password: &str) -> Credentials {
        Credentials::Basic { user: user.into(), password: password.into() }
    }

    #[test]
    fn without_anything_the_ecosystems_defaults_hold() {
        let found = settings(GlobalArgs::default(), "", &[]);
        assert_eq!(found.endpoint.url, DEFAULT_ENDPOINT);
        assert_eq!(found.endpoint.credentials, basic("rocketskates", "r0cketsk8ts"));
        assert_eq!(found.format, Format::Json);
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_the_environment() {
        let environment = [("RS_ENDPOINT", "https://e"), ("RS_KEY", "e:e"), ("RS_FORMAT", "table")];
        assert_eq!(settings(GlobalArgs::default(), "", &environment).endpoint.url, "https://e");
        let file = "# words\nRS_ENDPOINT=https://f\nRS_KEY = f:g\n";
        let found = settings(GlobalArgs::default(), file, &environment);
        assert_eq!(found.endpoint.url, "https://f");
        assert_eq!(found.endpoint.credentials, basic("f", "g"));
        assert_eq!(found.format, Format::Table);
        let flags = GlobalArgs { endpoint: Some("https://x".into()), ..GlobalArgs::default() };
        assert_eq!(settings(flags, file, &environment).endpoint.url, "https://x");
    }

    #[test]
    fn token_wins_over_the_key_but_not_over_a_user_that_was_named() {
        let environment = [("RS_TOKEN", "t"), ("RS_KEY", "e:p")];
        let found = settings(GlobalArgs::default(), "", &environment);
        assert_eq!(found.endpoint.credentials, Credentials::Token("t".into()));
        let flags = GlobalArgs { username: Some("me".into()), ..GlobalArgs::default() };
        assert_eq!(settings(flags, "", &environment).endpoint.credentials, basic("me", "p"));
    }
}
