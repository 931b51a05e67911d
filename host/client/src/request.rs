//! One request: its URL, its body, and the answer or the refusal.

use std::{error::Error, io};

use formwork_api::ApiError;
use reqwest::{
    Method, Response, Url,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, IF_NONE_MATCH},
};
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{Client, ClientError, Query};

/// The largest answer that is read, in bytes. A list of 100,000 machines has some 300 MiB; an endpoint that sends
/// more without a page limit would only fill the memory.
const MAX_ANSWER: usize = 1 << 30;

/// How much of an error that is no JSON is kept, in bytes.
const MAX_RAW_ERROR: usize = 2048;

/// How much of an upload is read and sent at once, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// What a request carries.
#[derive(Debug)]
pub(crate) enum Body {
    /// Nothing.
    None,
    /// JSON text.
    Json(Vec<u8>),
    /// Bytes as they are.
    Bytes(Vec<u8>),
    /// Bytes as they come, and how many there will be if that is known.
    Stream(reqwest::Body, Option<u64>),
}

impl Body {
    /// Makes a body of bytes that are sent as they are read; it is never whole in memory. `sent` is called with the number
    /// of bytes that have gone so far.
    pub(crate) fn of(
        from: impl AsyncRead + Send + Unpin + 'static,
        length: Option<u64>,
        sent: impl FnMut(u64) + Send + 'static,
    ) -> Self {
        let chunks =
            futures_util::stream::try_unfold((from, sent, 0), async |(mut from, mut sent, mut count)| {
                let mut chunk = Vec::with_capacity(CHUNK_BYTES);
                let read = (&mut from).take(CHUNK_BYTES as u64).read_to_end(&mut chunk).await?;
                count += read as u64;
                sent(count);
                Ok::<_, io::Error>((read > 0).then_some((chunk, (from, sent, count))))
            });
        Self::Stream(reqwest::Body::wrap_stream(chunks), length)
    }

    /// Returns the same body once more; nothing for one that is gone when it was sent.
    fn again(&self) -> Option<Self> {
        match self {
            Self::None => Some(Self::None),
            Self::Json(bytes) => Some(Self::Json(bytes.clone())),
            Self::Bytes(bytes) => Some(Self::Bytes(bytes.clone())),
            Self::Stream(..) => None,
        }
    }

    /// Writes a value as JSON.
    pub(crate) fn json(value: &impl Serialize) -> Result<Self, ClientError> {
        serde_json::to_vec(value)
            .map(Self::Json)
            .map_err(|error| ClientError::Url { text: String::from("the body"), reason: error.to_string() })
    }
}

/// The answer to a request that was not refused.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
    pub(crate) method: Method,
    pub(crate) path: String,
}

impl Answer {
    /// Reads the body as JSON; an empty body is null.
    pub(crate) fn json(&self) -> Result<Value, ClientError> {
        if self.bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.bytes).map_err(|error| self.wrong(error.to_string()))
    }

    /// Reads the body as a type.
    pub(crate) fn decode<T: serde::de::DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.bytes).map_err(|error| self.wrong(error.to_string()))
    }

    /// Says that the answer does not fit.
    pub(crate) fn wrong(&self, reason: impl Into<String>) -> ClientError {
        ClientError::Answer {
            method: self.method.to_string(),
            path: self.path.clone(),
            reason: reason.into(),
        }
    }
}

impl Client {
    /// Sends a request without a body.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &[&str],
        query: &Query,
    ) -> Result<Answer, ClientError> {
        self.send(method, path, query, Body::None).await
    }

    /// Sends a request. `path` are the segments behind the base path, not yet encoded.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &Query,
        body: Body,
    ) -> Result<Answer, ClientError> {
        self.send_with(method, (path, query), HeaderMap::new(), body).await
    }

    /// The same with headers. When the network fails, it is sent again as the client was told.
    pub(crate) async fn send_with(
        &self,
        method: Method,
        (path, query): (&[&str], &Query),
        headers: HeaderMap,
        mut body: Body,
    ) -> Result<Answer, ClientError> {
        let url = url(&self.base, path, query)?;
        let mut attempt = 0;
        let answer = loop {
            let again = self.retries.and_then(|retries| Some((retries, body.again()?)));
            match self.send_once(&method, &url, &headers, body).await {
                Ok(answer) => break answer,
                Err(error) => {
                    let Some((retries, same)) = again else { return Err(error) };
                    let Some(wait) = retries.wait(attempt, &error) else { return Err(error) };
                    (retries.told)(&error, wait);
                    tokio::time::sleep(wait).await;
                    body = same;
                    attempt += 1;
                }
            }
        };
        let unchanged = answer.status == 304 && headers.contains_key(IF_NONE_MATCH);
        if unchanged || (200..300).contains(&answer.status) {
            Ok(answer)
        } else {
            Err(refusal(&answer, path))
        }
    }

    async fn send_once(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Answer, ClientError> {
        let turn = self.crowd.turn(method, url).await;
        let mut request = self
            .http
            .request(method.clone(), url.clone())
            .headers(self.headers.clone())
            .headers(headers.clone())
            .header(AUTHORIZATION, self.credentials.authorization());
        request = match body {
            Body::None => request,
            Body::Json(bytes) => request.header(CONTENT_TYPE, "application/json").body(bytes),
            Body::Bytes(bytes) => request.header(CONTENT_TYPE, "application/octet-stream").body(bytes),
            Body::Stream(body, length) => {
                let request = request.header(CONTENT_TYPE, "application/octet-stream").body(body);
                match length {
                    Some(length) => request.header(CONTENT_LENGTH, length),
                    None => request,
                }
            }
        };
        let response = request.send().await.map_err(|error| self.failed(method, url, error))?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let bytes = self.body(method, url, response).await?;
        turn.is_answered(status);
        // Without the query, which may hold a token.
        tracing::debug!(%method, path = url.path(), status, bytes = bytes.len(), "asked");
        Ok(Answer { status, headers, bytes, method: method.clone(), path: url.path().to_owned() })
    }

    /// Fetches bytes and writes them as they come. `received` is called with the number of bytes that have come so far,
    /// and with that of all if it is known.
    pub(crate) async fn fetch(
        &self,
        path: &[&str],
        to: &mut (impl AsyncWrite + Unpin),
        received: &mut impl FnMut(u64, Option<u64>),
    ) -> Result<u64, ClientError> {
        let url = url(&self.base, path, &Query::new())?;
        let request = self
            .http
            .get(url.clone())
            .headers(self.headers.clone())
            .header(AUTHORIZATION, self.credentials.authorization());
        let method = Method::GET;
        let failed = |error| self.failed(&method, &url, error);
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        if !(200..300).contains(&status) {
            let headers = response.headers().clone();
            let bytes = self.body(&method, &url, response).await?;
            return Err(refusal(
                &Answer { status, headers, bytes, method, path: url.path().to_owned() },
                path,
            ));
        }
        let length = response.content_length();
        let local = |source| ClientError::Local { path: url.path().to_owned(), source };
        let mut count = 0;
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            to.write_all(&chunk).await.map_err(local)?;
            count += chunk.len() as u64;
            received(count, length);
        }
        to.flush().await.map_err(local)?;
        Ok(count)
    }

    async fn body(&self, method: &Method, url: &Url, mut response: Response) -> Result<Vec<u8>, ClientError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(method, url, error))? {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                return Err(ClientError::Answer {
                    method: method.to_string(),
                    path: url.path().to_owned(),
                    reason: format!("it is longer than {MAX_ANSWER} bytes"),
                });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn failed(&self, method: &Method, url: &Url, error: reqwest::Error) -> ClientError {
        let source = root_cause(&error);
        if error.is_connect() {
            return ClientError::Connect { url: self.endpoint().to_owned(), source };
        }
        ClientError::Transport { method: method.to_string(), path: url.path().to_owned(), source }
    }
}

/// Returns what the network said; the layers above it say the same in other words.
pub(crate) fn root_cause(error: &reqwest::Error) -> Box<dyn Error + Send + Sync> {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string().into()
}

/// Puts a URL together. Empty and dotted segments would name something else than the caller means, such as the whole
/// collection instead of one object.
fn url(base: &Url, path: &[&str], query: &Query) -> Result<Url, ClientError> {
    let unusable =
        |text: &str, reason: &str| ClientError::Url { text: text.to_owned(), reason: reason.to_owned() };
    let mut url = base.clone();
    let mut segments =
        url.path_segments_mut().map_err(|()| unusable(base.as_str(), "it cannot have a path"))?;
    for segment in path {
        if matches!(*segment, "" | "." | "..") {
            return Err(unusable(segment, "it is no key"));
        }
        segments.push(segment);
    }
    drop(segments);
    let mut members = query.iter().peekable();
    if members.peek().is_some() {
        url.query_pairs_mut().extend_pairs(members);
    }
    Ok(url)
}

/// Reads the error object of an answer (drp-api.md 1.5). What is no JSON is kept as it is.
fn refusal(answer: &Answer, path: &[&str]) -> ClientError {
    if let Ok(error) = serde_json::from_slice::<ApiError>(&answer.bytes)
        && error.code != 0
    {
        return ClientError::Api(Box::new(error));
    }
    let kept = answer.bytes.get(..MAX_RAW_ERROR).unwrap_or(&answer.bytes);
    let text = String::from_utf8_lossy(kept).trim().to_owned();
    let message = match (text.is_empty(), answer.status) {
        (false, _) => text,
        (true, 404) => String::from("Not Found"),
        (true, status) => format!("status {status}"),
    };
    let mut segments = path.iter();
    let (model, key) = (segments.next().copied().unwrap_or(""), segments.next().copied().unwrap_or(""));
    let error = ApiError::new(answer.status, answer.method.as_str(), message).about(model, key);
    ClientError::Api(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Url {
        "https://h/api/v3".parse().unwrap()
    }

    #[test]
    fn keys_and_query_members_are_encoded() {
        let query = Query::new().with("Name", "Eq(a b)").with("sort", "Name");
        let url = url(&base(), &["machines", "Name:a/b c"], &query).unwrap();
        assert_eq!(url.as_str(), "https://h/api/v3/machines/Name:a%2Fb%20c?Name=Eq%28a+b%29&sort=Name");
    }

    #[test]
    fn empty_key_never_becomes_the_collection() {
        for key in ["", ".", ".."] {
            assert!(url(&base(), &["machines", key], &Query::new()).is_err());
        }
    }

    #[test]
    fn error_that_is_no_json_is_kept_raw_and_a_bare_404_gets_words() {
        let answer = |bytes: &[u8]| Answer {
            status: 404,
            headers: HeaderMap::new(),
            bytes: bytes.to_vec(),
            method: Method::HEAD,
            path: String::new(),
        };
        let ClientError::Api(raw) = refusal(&answer(b"no route\n"), &["machines", "x"]) else { panic!() };
        assert_eq!(raw.to_string(), "HEAD: machines/x\n  no route");
        let ClientError::Api(bare) = refusal(&answer(b""), &["machines", "x"]) else { panic!() };
        assert_eq!(bare.messages, ["Not Found"]);
    }
}
