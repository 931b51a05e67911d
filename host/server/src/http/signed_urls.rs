//! URLs of files that need no other credentials for some time (drp-behaviour.md 5.4).

use std::{borrow::Cow, sync::Arc};

use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
};
use formwork_api::{ApiError, BASE_PATH, SignedUrl};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::{
    answer::{self, Handled},
    request::{Authenticated, Query},
    route::{Body, Route, Shape},
    users,
};
use crate::{auth, endpoint::Endpoint};

/// Seconds that a URL works when nobody says for how long.
const DEFAULT_SECONDS: u64 = 3600;

/// The most seconds, a week: whoever sees the URL has the file, so it is not for ever.
const MAX_SECONDS: u64 = 7 * 86_400;

/// What can be signed: the spaces of files, by the first segment of their paths.
const SPACES: [&str; 2] = ["files", "isos"];

/// What a path of a URL cannot hold as it is (RFC 3986, section 3.3).
const NOT_IN_PATHS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/system/signurl", "get_system_signurl", sign)
            .tells("Makes a URL by which anybody can read a file for some time.")
            .query(&[
                (
                    "url",
                    Shape::Text,
                    "The URL of a file or an iso of this endpoint, or its path as in `files/a/b`.",
                ),
                (
                    "ttl",
                    Shape::Text,
                    "How long it works: seconds, or a number with a unit; an hour unless given.",
                ),
            ])
            .answers(200, Body::json::<SignedUrl>())
            .refuses(&[400]),
    ]
}

/// A URL that is to be signed, in its parts.
#[derive(Debug, PartialEq, Eq)]
struct Place<'a> {
    /// All before the segment of the space, empty where only a path was given.
    before: &'a str,
    /// The segment of the space.
    space: &'static str,
    /// The path of the file, decoded.
    path: Cow<'a, str>,
}

impl<'a> Place<'a> {
    /// Reads a URL; nothing for one that is not of a file.
    fn of(url: &'a str) -> Option<Self> {
        if url.contains(['?', '#']) {
            return None;
        }
        let marked = |space: &'static str| {
            let (before, path) = match url.contains("://") {
                true => url.split_once(&format!("{BASE_PATH}/{space}/"))?,
                false => {
                    let path = url.trim_start_matches('/');
                    let path = path.strip_prefix(BASE_PATH.trim_start_matches('/')).unwrap_or(path);
                    ("", path.trim_start_matches('/').strip_prefix(space)?.strip_prefix('/')?)
                }
            };
            let path = percent_decode_str(path).decode_utf8().ok().filter(|path| !path.is_empty())?;
            Some(Self { before, space, path })
        };
        SPACES.into_iter().find_map(marked)
    }
}

async fn sign(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    RawQuery(query): RawQuery,
) -> Handled {
    let query = Query::parse(&query.unwrap_or_default());
    let wrong = |words: String| ApiError::new(400, "GET", words).about("system", "signurl");
    let url = query.value("url").unwrap_or_default();
    let place = Place::of(url).ok_or_else(|| {
        wrong(format!(
            "`{url}` is no file of this endpoint\nhint: as in `files/a/b` or `isos/x.iso`, or such a URL"
        ))
    })?;
    caller.require(place.space, "get", &place.path)?;
    let user = caller.user().ok_or_else(|| wrong(String::from("only users can have URLs signed")))?;
    let seconds = users::lifetime(&query)?.unwrap_or(DEFAULT_SECONDS);
    if seconds > MAX_SECONDS {
        return Err(wrong(format!("a signed URL works for up to {MAX_SECONDS} s, not {seconds}")).into());
    }
    let (token, expires) = auth::sign(&endpoint, user, (place.space, &place.path), seconds);
    caller.audit("signed", (place.space, &place.path), "a URL was signed that needs no other credentials");
    let path = utf8_percent_encode(&place.path, NOT_IN_PATHS);
    let url = format!("{}{BASE_PATH}/{}/{path}?token={token}", place.before, place.space);
    answer::json(StatusCode::OK, &SignedUrl { url, expires })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_an_endpoint_can_be_signed() {
        let place = |url| Place::of(url).map(|place| (place.before, place.space, place.path.into_owned()));
        let found = |before, space, path: &str| Some((before, space, path.to_owned()));
        assert_eq!(place("files/a/b"), found("", "files", "a/b"));
        assert_eq!(place("/api/v3/isos/x%20y.iso"), found("", "isos", "x y.iso"));
        assert_eq!(place("https://h:1/api/v3/files/a"), found("https://h:1", "files", "a"));
        assert_eq!(place("https://h/fred/api/v3/files/a"), found("https://h/fred", "files", "a"));
        for other in [
            "",
            "files",
            "files/",
            "machines/x",
            "https://h/files/a",
            "https://h",
            "files/a?token=x",
            "files/%FF",
        ] {
            assert_eq!(place(other), None, "{other}");
        }
    }
}
