//! Answers that the HTTP library gives by itself to what it cannot read as a request: it writes no body, and clients are to
//! have the error object whatever goes wrong (drp-api.md 1.5).

use formwork_api::ApiError;

/// What such an answer has in place of a body.
const EMPTY: &str = "content-length: 0\r\n";

/// What stands in place of a method: there was none that could be read.
const TYPE: &str = "HTTP";

/// The codes that the HTTP library gives by itself.
const BY_ITSELF: [u16; 3] = [400, 414, 431];

/// Returns the answer with a body, if these bytes are the whole of a refusal without one. Those of the routes with one of these
/// codes all say what they hold.
pub(super) fn filled(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.starts_with(b"HTTP/1.1 4") && !bytes.starts_with(b"HTTP/1.0 4") {
        return None;
    }
    let head =
        std::str::from_utf8(bytes).ok().filter(|head| head.find("\r\n\r\n") == Some(head.len() - 4))?;
    let code = head.get(9..12)?.parse().ok().filter(|code| BY_ITSELF.contains(code))?;
    let (before, after) = head.split_once(EMPTY).filter(|_| !head.contains("content-type:"))?;
    let words = match code {
        414 => "the URL is too long\nhint: send less in the query, or ask by several requests",
        431 => {
            "the head of the request is too long or has too many fields\nhint: send fewer or shorter header fields"
        }
        _ => "this is no request of HTTP\nhint: look at the request line and the header fields",
    };
    let body = serde_json::to_string(&ApiError::new(code, TYPE, words)).ok()?;
    let length = body.len();
    let told = format!("content-type: application/json; charset=utf-8\r\ncontent-length: {length}\r\n");
    Some([before, &told, after, &body].concat().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_without_a_body_gets_the_error_object() {
        let bare = "HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        let text = String::from_utf8(filled(bare.as_bytes()).unwrap()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}", body.len())) && head.ends_with("date: x"),
            "{text}"
        );
        let error: ApiError = serde_json::from_str(body).unwrap();
        assert_eq!((error.code, error.r#type.as_str()), (414, "HTTP"));
    }

    #[test]
    fn other_bytes_stay_as_they_are() {
        for bytes in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\nmore",
            "HTTP/1.1 416 Range Not Satisfiable\r\ncontent-range: bytes */3\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 3\r\n\r\n",
            "HTTP/1.1 4",
            "",
        ] {
            assert!(filled(bytes.as_bytes()).is_none(), "{bytes}");
        }
    }
}
