//! Flags that every subcommand has, and how arguments are read.

use clap::{ArgMatches, Args, ValueEnum};

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// JSON with two spaces of indentation.
    #[default]
    Json,
    /// YAML.
    Yaml,
    /// A table for people.
    Table,
}

/// Flags that every subcommand has.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Endpoint and output")]
pub(crate) struct GlobalArgs {
    /// The endpoint [RS_ENDPOINT, default https://127.0.0.1:8092]
    #[arg(short = 'E', long, global = true, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// A token to show [RS_TOKEN]
    #[arg(short = 'T', long, global = true)]
    pub(crate) token: Option<String>,
    /// The user [RS_USERNAME, or the first part of RS_KEY]
    #[arg(short = 'U', long, global = true, value_name = "NAME")]
    pub(crate) username: Option<String>,
    /// The password [RS_PASSWORD, or the second part of RS_KEY]
    #[arg(short = 'P', long, global = true)]
    pub(crate) password: Option<String>,
    /// How results are written [RS_FORMAT, default json]
    #[arg(short = 'F', long, global = true, value_enum)]
    pub(crate) format: Option<Format>,
    /// Make the endpoint relax the checks that it can relax
    #[arg(short = 'f', long, global = true)]
    pub(crate) force: bool,
}

/// Returns a text argument; empty when it was not given.
pub(crate) fn text<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    matches.get_one::<String>(name).map(String::as_str).unwrap_or_default()
}

/// Returns a text argument that may be absent.
pub(crate) fn optional<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

/// Returns all values of a text argument.
pub(crate) fn texts<'a>(matches: &'a ArgMatches, name: &str) -> impl Iterator<Item = &'a str> {
    matches.get_many::<String>(name).into_iter().flatten().map(String::as_str)
}
