//! A plain request for a file, as loaders and installers send it, and the head of its answer.

use std::{borrow::Cow, io::Write as _, time::SystemTime};

use httparse::{EMPTY_HEADER, Header, Request, Status};
use percent_encoding::percent_decode_str;

use super::{
    conditions::{Conditions, Selection},
    range::Selected,
    version::Version,
};

/// The longest head that is looked at, in bytes. One that is longer is read by somebody else.
pub const MAX_HEAD_BYTES: usize = 8 << 10;

/// The most header fields of such a head.
const MAX_FIELDS: usize = 32;

/// A request for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask<'a> {
    /// The bytes of its head.
    pub bytes: usize,
    /// True for `HEAD`: the answer has no body.
    pub head_only: bool,
    /// The path without its first slash, decoded, and without the query.
    pub path: Cow<'a, str>,
    /// What the answer depends on.
    pub conditions: Conditions<'a>,
    /// True when the client ends the connection after this.
    pub closes: bool,
}

/// What the beginning of a stream of bytes is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// The beginning of a head, or nothing.
    Partial,
    /// A request for a file.
    Ask(Ask<'a>),
    /// Something else: another method or version, a body, an upgrade, what is malformed, or more than is looked at.
    Other,
}

/// Looks at what a client sent. Everything that is not sure to be a plain `GET` or `HEAD` of HTTP/1.1 is [`Parsed::Other`].
#[must_use]
pub fn parse(bytes: &[u8]) -> Parsed<'_> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut request = Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(Status::Complete(length)) if length <= MAX_HEAD_BYTES => {
            ask(&request, length).map_or(Parsed::Other, Parsed::Ask)
        }
        Ok(Status::Partial) if bytes.len() < MAX_HEAD_BYTES => Parsed::Partial,
        _ => Parsed::Other,
    }
}

fn ask<'a>(request: &Request<'_, 'a>, bytes: usize) -> Option<Ask<'a>> {
    let head_only = match request.method? {
        "GET" => false,
        "HEAD" => true,
        _ => return None,
    };
    if request.version? != 1 {
        return None;
    }
    let target = request.path?.strip_prefix('/')?;
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let mut ask = Ask { bytes, head_only, path, conditions: Conditions::default(), closes: false };
    for field in request.headers.iter() {
        note(&mut ask, field)?;
    }
    Some(ask)
}

/// Takes a header field in; nothing when the request is more than one for a file by it.
fn note<'a>(ask: &mut Ask<'a>, field: &Header<'a>) -> Option<()> {
    let is = |name: &str| field.name.eq_ignore_ascii_case(name);
    if is("connection") {
        return match std::str::from_utf8(field.value).ok()?.trim() {
            value if value.eq_ignore_ascii_case("close") => {
                ask.closes = true;
                Some(())
            }
            value => value.eq_ignore_ascii_case("keep-alive").then_some(()),
        };
    }
    if is("content-length") {
        return (field.value == b"0").then_some(());
    }
    if is("transfer-encoding") || is("upgrade") || is("expect") {
        return None;
    }
    let conditions = &mut ask.conditions;
    let place = if is("range") {
        &mut conditions.range
    } else if is("if-range") {
        &mut conditions.if_range
    } else if is("if-none-match") {
        &mut conditions.if_none_match
    } else if is("if-modified-since") {
        &mut conditions.if_modified_since
    } else {
        return Some(());
    };
    // The first counts, and one that is no text is as good as none that is understood.
    let value = std::str::from_utf8(field.value).unwrap_or_default();
    place.get_or_insert(value);
    Some(())
}

/// Writes the head of an answer to an empty `head`, and returns where in the file its body begins and how long it is.
pub fn answer_head(
    head: &mut Vec<u8>,
    selection: Selection,
    (version, len, kind): (&Version, u64, &str),
    (now, closes): (SystemTime, bool),
) -> (u64, u64) {
    let (status, (first, count)) = match selection {
        Selection::NotModified => ("304 Not Modified", (0, 0)),
        Selection::Of(Selected::All) => ("200 OK", (0, len)),
        Selection::Of(Selected::Part { first, last }) => ("206 Partial Content", (first, last - first + 1)),
        Selection::Of(Selected::Impossible) => ("416 Range Not Satisfiable", (0, 0)),
    };
    // Writing to memory does not fail.
    let _ = write!(head, "HTTP/1.1 {status}\r\ndate: {}\r\n", httpdate::fmt_http_date(now));
    if selection != Selection::NotModified {
        let _ = write!(head, "content-length: {count}\r\n");
    }
    match selection {
        Selection::Of(Selected::Part { first, last }) => {
            let _ = write!(head, "content-range: bytes {first}-{last}/{len}\r\n");
        }
        Selection::Of(Selected::Impossible) => {
            let _ = write!(head, "content-range: bytes */{len}\r\n");
        }
        _ => {}
    }
    if selection != Selection::Of(Selected::Impossible) {
        let _ = write!(head, "etag: {}\r\nlast-modified: {}\r\n", version.tag(), version.date());
        if selection != Selection::NotModified {
            let _ = write!(head, "content-type: {kind}\r\naccept-ranges: bytes\r\n");
        }
    }
    head.extend_from_slice(if closes { b"connection: close\r\n\r\n" } else { b"\r\n" });
    (first, count)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    fn asked(text: &str) -> Ask<'_> {
        match parse(text.as_bytes()) {
            Parsed::Ask(ask) => ask,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn request_of_a_loader_is_read_with_its_conditions() {
        let text = "GET /isos/a%20b.iso?x=%2F HTTP/1.1\r\nhost: h\r\nRANGE: bytes=1-\r\nrange: bytes=2-\r\n\
                    If-Range: \"t\"\r\nConnection: Keep-Alive\r\n\r\nGET /next";
        let ask = asked(text);
        assert_eq!((&*ask.path, ask.head_only, ask.closes), ("isos/a b.iso", false, false));
        assert_eq!(&text[ask.bytes..], "GET /next");
        let conditions =
            Conditions { range: Some("bytes=1-"), if_range: Some("\"t\""), ..Conditions::default() };
        assert_eq!(ask.conditions, conditions);
        let ask = asked("HEAD //a/../b HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        assert_eq!((&*ask.path, ask.head_only, ask.closes), ("/a/../b", true, true));
    }

    #[test]
    fn what_is_more_than_a_request_for_a_file_is_left_to_others() {
        for text in [
            "POST /a HTTP/1.1\r\n\r\n",
            "GET /a HTTP/1.0\r\n\r\n",
            "GET http://h/a HTTP/1.1\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\n\r\n",
            "GET /a%FF HTTP/1.1\r\n\r\n",
            "GET /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
            "GET /a HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            "GET /a HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
            "GET /a HTTP/1.1\r\nConnection: close, te\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "GET /a\r\n\r\n",
            "\x16\x03\x01\x02\0",
        ] {
            assert_eq!(parse(text.as_bytes()), Parsed::Other, "{text:?}");
        }
        let many = format!("GET /a HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(MAX_FIELDS + 1));
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(MAX_HEAD_BYTES));
        let endless = format!("GET /{}", "a".repeat(MAX_HEAD_BYTES));
        for text in [many, long, endless] {
            assert_eq!(parse(text.as_bytes()), Parsed::Other, "{}", text.len());
        }
        for part in ["", "G", "GET /a HTTP/1.1\r\nhost: h\r\n"] {
            assert_eq!(parse(part.as_bytes()), Parsed::Partial, "{part:?}");
        }
    }

    #[test]
    fn head_says_what_the_body_is() {
        let version = Version::new(UNIX_EPOCH + Duration::from_secs(1), 10);
        let written = |selection, closes| {
            let mut head = Vec::new();
            let now = (UNIX_EPOCH, closes);
            let body = answer_head(&mut head, selection, (&version, 10, "text/plain"), now);
            (String::from_utf8(head).unwrap(), body)
        };
        let of = |selected| Selection::Of(selected);
        let (head, body) = written(of(Selected::All), false);
        assert_eq!(body, (0, 10));
        let wanted = "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\ncontent-length: 10\r\n\
                      etag: \"3b9aca00-a\"\r\nlast-modified: Thu, 01 Jan 1970 00:00:01 GMT\r\n\
                      content-type: text/plain\r\naccept-ranges: bytes\r\n\r\n";
        assert_eq!(head, wanted);
        let (head, body) = written(of(Selected::Part { first: 2, last: 4 }), true);
        assert_eq!(body, (2, 3));
        for line in ["HTTP/1.1 206 ", "content-length: 3\r\n", "content-range: bytes 2-4/10\r\n"] {
            assert!(head.contains(line), "{head}");
        }
        assert!(head.ends_with("connection: close\r\n\r\n"), "{head}");
        let (head, body) = written(of(Selected::Impossible), false);
        assert_eq!(body, (0, 0));
        assert!(
            head.starts_with("HTTP/1.1 416 ") && head.contains("content-range: bytes */10\r\n"),
            "{head}"
        );
        assert!(head.contains("content-length: 0\r\n"), "{head}");
        let (head, body) = written(Selection::NotModified, false);
        assert_eq!(body, (0, 0));
        assert!(head.starts_with("HTTP/1.1 304 ") && head.contains("etag: "), "{head}");
        assert!(!head.contains("content-length"), "{head}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            let request = [b"GET /".as_slice(), &bytes, b" HTTP/1.1\r\nRange: ", &bytes, b"\r\n\r\n"].concat();
            if let Parsed::Ask(ask) = parse(&request) {
                prop_assert!(ask.bytes <= request.len());
            }
        }
    }
}
