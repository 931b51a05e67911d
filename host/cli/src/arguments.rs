//! Flags that every subcommand has, and how arguments are read.

use clap::{ArgMatches, Args, builder::NonEmptyStringValueParser};

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// JSON with two spaces of indentation.
    #[default]
    Json,
    /// YAML.
    Yaml,
    /// A table for people.
    Table,
    /// Columns with a tab between them, for other programs.
    Text,
}

impl Format {
    /// Reads the name of a format.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let known =
            [("json", Self::Json), ("yaml", Self::Yaml), ("table", Self::Table), ("text", Self::Text)];
        known.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, format)| format)
    }
}

/// The levels at which an endpoint logs (drp-api.md 1.3).
const LEVELS: [&str; 9] = ["trace", "debug", "info", "warn", "error", "err", "fatal", "panic", "audit"];

/// Flags that every subcommand has (drp-behaviour.md 10.3). What is set nowhere else has its variable named.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Endpoint and output")]
pub(crate) struct GlobalArgs {
    /// The endpoint [RS_ENDPOINT, or the first of RS_ENDPOINTS that answers; default https://127.0.0.1:8092]
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
    /// json, yaml, table or text; or columns as Name,Uuid for a table of them [RS_FORMAT; default json]
    #[arg(short = 'F', long, global = true, value_name = "FORMAT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) format: Option<String>,
    /// The columns of a table or text, a comma list; Params.KEY and Meta.KEY too [RS_PRINT_FIELDS]
    #[arg(short = 'J', long, global = true, value_name = "COLUMNS")]
    pub(crate) print_fields: Option<String>,
    /// Leave the header of a table out [RS_NO_HEADER]
    #[arg(short = 'H', long, global = true)]
    pub(crate) no_header: bool,
    /// Cut what is longer in a table; 0 cuts nothing [RS_TRUNCATE_LENGTH; default 60]
    #[arg(short = 'j', long, global = true, value_name = "N")]
    pub(crate) truncate_length: Option<usize>,
    /// Write no colours [RS_NO_COLOR]
    #[arg(short = 'N', long, global = true)]
    pub(crate) no_color: bool,
    /// The colours of JSON on a terminal: text, booleans, numbers, null, names [RS_COLORS; default 0=32;1=33;2=36;3=90;4=34,1]
    #[arg(short = 'C', long, global = true, value_name = "COLORS")]
    pub(crate) colors: Option<String>,
    /// The object as you know it (JSON, `-`, @FILE): a change is done only if it still is so
    #[arg(short = 'r', long = "ref", global = true, value_name = "JSON")]
    pub(crate) reference: Option<String>,
    /// Make the endpoint relax the checks that it can relax
    #[arg(short = 'f', long, global = true)]
    pub(crate) force: bool,
    /// End with an error when the object that is shown has errors [RS_OBJECT_ERRORS_ARE_FATAL]
    #[arg(short = 'X', long, global = true)]
    pub(crate) exit_early: bool,
    /// Show the password with each request; keep and use no token [RS_TOKEN_CACHE is where tokens are kept]
    #[arg(short = 'x', long = "noToken", alias = "no-token", global = true)]
    pub(crate) no_token: bool,
    /// The catalog: a URL or a file [RS_CATALOG; default: that of the endpoint]
    #[arg(short = 'c', long, global = true, value_name = "URL")]
    pub(crate) catalog: Option<String>,
    /// The id of an endpoint that the named one manages, and that is meant [RS_URL_PROXY]
    #[arg(short = 'u', long, global = true, value_name = "ID")]
    pub(crate) url_proxy: Option<String>,
    /// The HTTP proxy for downloads from elsewhere [RS_DOWNLOAD_PROXY]
    #[arg(short = 'D', long, global = true, value_name = "URL")]
    pub(crate) download_proxy: Option<String>,
    /// The level at which the endpoint logs this request
    #[arg(short = 't', long, global = true, value_name = "LEVEL", value_parser = LEVELS, ignore_case = true)]
    pub(crate) trace: Option<String>,
    /// A word that the endpoint logs with this request
    #[arg(short = 'Z', long = "traceToken", alias = "trace-token", global = true, value_name = "WORD")]
    pub(crate) trace_token: Option<String>,
    /// Tell what this program does
    #[arg(short = 'd', long, global = true)]
    pub(crate) debug: bool,
    /// How often a request is sent again when the network fails [FORMWORK_RETRIES; default 6]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) retries: Option<usize>,
}

/// Returns a text argument; empty when it was not given.
pub(crate) fn text<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    optional(matches, name).unwrap_or_default()
}

/// Returns a text argument that may be absent.
pub(crate) fn optional<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.try_get_one::<String>(name).ok().flatten().map(String::as_str)
}

/// Returns all values of a text argument.
pub(crate) fn texts<'a>(matches: &'a ArgMatches, name: &str) -> impl Iterator<Item = &'a str> {
    matches.try_get_many::<String>(name).ok().flatten().into_iter().flatten().map(String::as_str)
}
