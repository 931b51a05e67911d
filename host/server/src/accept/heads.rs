//! How long the head of a request of HTTP/2 may be. Its library refuses one that is too long without a body, and clients are to
//! have the error object whatever goes wrong (drp-api.md 1.5): so it reads somewhat longer ones, which are refused here.

use axum::http::{Request, Version};
use formwork_api::ApiError;

/// The most bytes of the head of a request of HTTP/2 that is answered. It is less than for HTTP/1.1, since a connection has as many
/// heads as streams, and some bytes of a client stand for thousands (RFC 7541).
const MOST_BYTES: usize = 16 << 10;

/// The most bytes of one that is read, of which clients are told. A longer one gets 431 of the library, without the error object.
/// Nothing holds what is refused here, so that connections hold little more for it.
pub(super) const READ_BYTES: u32 = 32 << 10;

/// What each field counts beside its name and its value (RFC 9113, section 6.5.2).
const FIELD_BYTES: usize = 32;

/// Refuses a request of HTTP/2 whose head is too long.
pub(super) fn fits<B>(request: &Request<B>) -> Result<(), ApiError> {
    if request.version() < Version::HTTP_2 || bytes(request) <= MOST_BYTES {
        return Ok(());
    }
    let words = format!(
        "the head of the request is longer than {MOST_BYTES} bytes\nhint: send fewer or shorter header fields, or ask by several \
         requests"
    );
    Err(ApiError::new(431, request.method().as_str(), words))
}

/// Returns the length of a head as HTTP/2 counts it.
fn bytes<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let parts = [
        (":method", request.method().as_str().len()),
        (":scheme", uri.scheme_str().map_or(0, str::len)),
        (":authority", uri.authority().map_or(0, |authority| authority.as_str().len())),
        (":path", path),
    ];
    let pseudo = parts.iter().map(|(name, length)| name.len() + length + FIELD_BYTES);
    let fields =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD_BYTES);
    pseudo.chain(fields).sum()
}
