//! Signed URLs: whoever has one reads one file without other credentials, for some time (drp-behaviour.md 5.4).
//!
//! The reference names the command and what it does, and no wire format. Here the URL carries a token in the member `token` of
//! its query, where clients may show every token (drp-api.md 2.1). It stands for the user who had it made, for nothing but
//! reading that one path, and ends with all other tokens of that user.

use axum::http::Method;
use formwork_api::ApiError;
use formwork_model::{Claim, Timestamp};
use percent_encoding::percent_decode_str;

use super::{Caller, Limits, NewToken, Subject, held, made, refused};
use crate::endpoint::Endpoint;

/// Why such a token is refused for any other request.
pub(super) const ELSEWHERE: &str = "of a signed URL, which is good for nothing but to read what it names";

/// Makes the token of a URL of a file, and says when it ends. `scope` is the first segment of the path, and of the claims.
///
/// The caller checks that the user may read the file; it is checked again whenever the URL is used.
pub(crate) fn sign(
    endpoint: &Endpoint,
    user: &str,
    (scope, path): (&str, &str),
    seconds: u64,
) -> (String, Timestamp) {
    let limits = Limits { roles: Vec::new(), claims: vec![Claim::new(scope, "get", path)] };
    let subject = Subject::User(user.to_owned());
    let grant = NewToken { subject, grantor: None, seconds, limits: Some(limits) };
    let mut token = made(endpoint, &endpoint.snapshot(), grant);
    token.only = Some(format!("{scope}/{path}"));
    let expires = Timestamp::from_millis(token.expires_seconds.saturating_mul(1000));
    (endpoint.key.seal(&token), expires)
}

/// Finds out for whom a signed URL stands; nothing when the token is no part of one. `path` is what follows the base path, as
/// it was sent.
pub(crate) fn by_signed_url(
    endpoint: &Endpoint,
    token: &str,
    (method, path): (&Method, &str),
) -> Option<Result<Caller, ApiError>> {
    let token = endpoint.key.open(token)?;
    let only = token.only.as_deref()?;
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let path = percent_decode_str(path.trim_start_matches('/')).decode_utf8();
    if !reads || !path.is_ok_and(|path| path == only) {
        return Some(Err(refused(ELSEWHERE)));
    }
    Some(held(endpoint, &endpoint.snapshot(), token).map(|known| known.caller.clone()))
}
