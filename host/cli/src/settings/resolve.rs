//! What follows from the flags, the file and the environment.

use std::{
    io::{self, IsTerminal as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use anyhow::{Result, bail};
use formwork_client::{Credentials, Endpoint};

use super::{Settings, named::Named};
use crate::{
    arguments::{Format, GlobalArgs},
    failure::UsageError,
    output::{Colors, Style},
    token_cache::TokenCache,
};

/// The endpoint when nothing names one.
pub(super) const DEFAULT_ENDPOINT: &str = "https://127.0.0.1:8092";

/// The credentials when nothing names some: those of the ecosystem's tools (drp-api.md 16.2).
const DEFAULT_KEY: &str = "rocketskates:r0cketsk8ts";

/// The longest text in a cell of a list when nothing says another: a line of it still fits most terminals.
pub(super) const DEFAULT_TRUNCATE: usize = 60;

/// How often a request is sent again when nothing says another.
pub(super) const DEFAULT_RETRIES: usize = 6;

/// The folder for tokens below the home folder: that of the ecosystem's tools.
const TOKENS: &str = ".cache/drpcli/tokens";

/// Resolves the settings. Unless `proxied`, a local proxy that the environment names is not meant: it may be this program.
pub(super) fn resolve(flags: &GlobalArgs, named: &Named, proxied: bool) -> Result<Settings> {
    let text = |flag: &Option<String>, name: &str| {
        flag.clone().filter(|value| !value.is_empty()).or_else(|| named.value(name).map(str::to_owned))
    };
    let one = text(&flags.endpoint, "RS_ENDPOINT");
    let several = named.value("RS_ENDPOINTS").unwrap_or_default().split_whitespace().map(str::to_owned);
    let several: Vec<String> = if one.is_some() { Vec::new() } else { several.collect() };
    let url = one.or_else(|| several.first().cloned()).unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
    let headers = [("x-log-request", &flags.trace), ("x-log-token", &flags.trace_token)];
    let retries = match (flags.retries, named.value("FORMWORK_RETRIES")) {
        (Some(count), _) => count,
        (None, Some(text)) => number("FORMWORK_RETRIES", text)?,
        (None, None) => DEFAULT_RETRIES,
    };
    // A proxy says itself who calls, and whom; -E and -T mean that it is not to be asked.
    let direct = !proxied || flags.endpoint.is_some() || flags.token.is_some();
    let proxy = named.value("RS_LOCAL_PROXY").filter(|_| !direct);
    let (endpoint, socket) = match proxy {
        Some(place) => {
            let address = place.parse::<SocketAddr>().ok();
            let url = address.map_or_else(|| String::from("http://localhost"), |at| format!("http://{at}"));
            let socket = address.is_none().then(|| PathBuf::from(place));
            (Endpoint { url, credentials: Credentials::Token(String::from("local-proxy")) }, socket)
        }
        None => (Endpoint { url, credentials: credentials(flags, named)? }, None),
    };
    Ok(Settings {
        endpoint,
        socket,
        candidates: if several.len() > 1 && proxy.is_none() { several } else { Vec::new() },
        style: style(flags, named)?,
        force: flags.force,
        reference: flags.reference.clone(),
        catalog: text(&flags.catalog, "RS_CATALOG"),
        behind: text(&flags.url_proxy, "RS_URL_PROXY"),
        download_proxy: text(&flags.download_proxy, "RS_DOWNLOAD_PROXY"),
        headers: headers.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect(),
        retries,
        tokens: tokens(flags, named),
        connected: OnceLock::new(),
    })
}

/// Says who calls: a token wins over the key, and a user who was named by a flag over both.
fn credentials(flags: &GlobalArgs, named: &Named) -> Result<Credentials> {
    let by_name = flags.username.is_some() || flags.password.is_some();
    let token = flags.token.as_deref().or_else(|| named.value("RS_TOKEN").filter(|_| !by_name));
    if token.is_some_and(str::is_empty) {
        bail!(UsageError(String::from(
            "the token is empty\nhint: leave -T out to call with a user and password"
        )));
    }
    if let Some(token) = token {
        return Ok(Credentials::Token(token.to_owned()));
    }
    let Some((name, secret)) = named.value("RS_KEY").unwrap_or(DEFAULT_KEY).split_once(':') else {
        bail!(UsageError(String::from("RS_KEY is not of the form user:password")));
    };
    let user = flags.username.as_deref().or_else(|| named.value("RS_USERNAME"));
    let password = flags.password.as_deref().or_else(|| named.value("RS_PASSWORD"));
    Ok(Credentials::Basic {
        user: user.unwrap_or(name).to_owned(),
        password: password.unwrap_or(secret).to_owned(),
    })
}

fn style(flags: &GlobalArgs, named: &Named) -> Result<Style> {
    let list = |text: &str| {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let columns = flags.print_fields.as_deref().or_else(|| named.value("RS_PRINT_FIELDS"));
    let columns = columns.map(list).unwrap_or_default();
    let (format, columns) = match (flags.format.as_deref(), named.value("RS_FORMAT")) {
        (None, None) => (Format::default(), columns),
        (Some(name), _) | (None, Some(name)) => match Format::named(name) {
            Some(format) => (format, columns),
            // Members begin with a capital, so that a format that was mistyped is not taken for one.
            None if list(name).iter().all(|name| name.starts_with(|first: char| first.is_uppercase())) => {
                (Format::Table, list(name))
            }
            None => bail!(UsageError(format!(
                "format `{name}` is not json, yaml, table or text\nhint: columns for a table are a list as Name,Uuid"
            ))),
        },
    };
    let truncate = match (flags.truncate_length, named.value("RS_TRUNCATE_LENGTH")) {
        (Some(most), _) => Some(most),
        (None, Some(text)) => Some(number("RS_TRUNCATE_LENGTH", text)?),
        (None, None) => None,
    };
    let usual = if format == Format::Table { DEFAULT_TRUNCATE } else { 0 };
    let plain = flags.no_color || named.is_on("RS_NO_COLOR") || named.value("NO_COLOR").is_some();
    Ok(Style {
        format,
        columns,
        no_header: flags.no_header || named.is_on("RS_NO_HEADER"),
        truncate: Some(truncate.unwrap_or(usual)).filter(|most| *most > 0),
        colors: match colors(flags, named)? {
            colors if io::stdout().is_terminal() && !plain => Some(colors),
            _ => None,
        },
        errors_are_fatal: flags.exit_early || named.is_on("RS_OBJECT_ERRORS_ARE_FATAL"),
    })
}

fn colors(flags: &GlobalArgs, named: &Named) -> Result<Colors> {
    let Some(text) = flags.colors.as_deref().or_else(|| named.value("RS_COLORS")) else {
        return Ok(Colors::default());
    };
    match Colors::parse(text) {
        Some(colors) => Ok(colors),
        None => bail!(UsageError(format!("colours `{text}` are not of the form 0=32;4=34,1"))),
    }
}

/// Says where tokens are kept. Nowhere for a password that was typed: it is to be looked at, not an old token.
fn tokens(flags: &GlobalArgs, named: &Named) -> Option<TokenCache> {
    if flags.no_token || flags.password.is_some() || flags.url_proxy.is_some() {
        return None;
    }
    let folder = named.value("RS_TOKEN_CACHE").map(PathBuf::from);
    let usual = || named.value("HOME").map(|home| Path::new(home).join(TOKENS));
    folder.or_else(usual).map(TokenCache::new)
}

fn number(name: &str, text: &str) -> Result<usize> {
    text.parse().map_err(|_| UsageError(format!("{name} `{text}` is no number")).into())
}
