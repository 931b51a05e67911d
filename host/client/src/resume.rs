//! Fetching large files in as many pieces as it takes.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{
    Response, StatusCode,
    header::{CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, LAST_MODIFIED, RANGE},
};
use tokio::{
    fs::{File, OpenOptions},
    io::{AsyncSeekExt as _, AsyncWriteExt as _},
    time::sleep,
};

use crate::{ClientError, download, request::root_cause};

/// How often in a row a fetch breaks off without a byte more before it is given up.
const MAX_FAILURES: u32 = 6;

/// The first pause after a break; each further one without a byte is twice as long.
const PAUSE: Duration = Duration::from_millis(500);

/// Most bytes of the file beside a part that says what it is a part of.
const MAX_NOTE_BYTES: u64 = 64 << 10;

/// Why one attempt did not bring the rest.
enum Broken {
    /// Another attempt may help.
    Again(ClientError),
    /// None will.
    ForGood(ClientError),
}

/// Fetches a file from anywhere as [`download_into`](crate::download_into) does, and goes on where a connection broke off: in
/// this call, and in a later one for the same URL that finds the part. `part` gets the bytes; beside it, with `.from` behind
/// its name, stands what they are a part of, which is removed at the end. `received` is called with the number of bytes that
/// are there, and with that of all if it is known. Returns the number of bytes.
///
/// A server that no longer has the same file, or cannot send pieces, sends all of it anew. A length that turns out to be
/// wrong is forgotten once the server says so. Whether the bytes are the right ones is for the caller to look at.
///
/// # Errors
///
/// A URL that is neither HTTP nor HTTPS, a status that tells that there is no such file or that it is not for us,
/// a part that cannot be written, and what keeps breaking off.
pub async fn download_resumed(
    url: &str,
    proxy: Option<&str>,
    part: &Path,
    received: impl FnMut(u64, Option<u64>),
) -> Result<u64, ClientError> {
    fetch(url, proxy, (part, PAUSE), received).await
}

async fn fetch(
    url: &str,
    proxy: Option<&str>,
    (part, pause): (&Path, Duration),
    mut received: impl FnMut(u64, Option<u64>),
) -> Result<u64, ClientError> {
    let client = download::client(url, proxy)?;
    let mut fetch = Fetch { url, client, part, note: part.with_added_extension("from"), validator: None };
    fetch.recall().await;
    let (mut failures, mut before) = (0, fetch.length().await);
    loop {
        match fetch.attempt(&mut received).await {
            Ok(count) => {
                // What is left over is looked at by nobody.
                let _ = tokio::fs::remove_file(&fetch.note).await;
                return Ok(count);
            }
            Err(Broken::ForGood(error)) => return Err(error),
            Err(Broken::Again(error)) => {
                let now = fetch.length().await;
                failures = if now > before { 1 } else { failures + 1 };
                before = now;
                if failures > MAX_FAILURES {
                    return Err(error);
                }
                tracing::debug!(url, bytes = now, %error, "a fetch broke off");
                sleep(pause * 2_u32.pow(failures - 1)).await;
            }
        }
    }
}

struct Fetch<'a> {
    url: &'a str,
    client: reqwest::Client,
    part: &'a Path,
    note: PathBuf,
    /// What tells this version of the file from another.
    validator: Option<String>,
}

impl Fetch<'_> {
    /// Reads what an earlier call noted of the part. A part of something else is none.
    async fn recall(&mut self) {
        let small = tokio::fs::metadata(&self.note).await.is_ok_and(|note| note.len() <= MAX_NOTE_BYTES);
        let note = if small { tokio::fs::read_to_string(&self.note).await.ok() } else { None };
        let note = note.as_deref().and_then(|note| note.split_once('\n'));
        match note.filter(|(url, _)| *url == self.url) {
            Some((_, validator)) => self.validator = Some(validator.trim_end().to_owned()),
            // A failure shows when the part is written to.
            None => drop(tokio::fs::remove_file(self.part).await),
        }
    }

    async fn length(&self) -> u64 {
        tokio::fs::metadata(self.part).await.map_or(0, |part| part.len())
    }

    /// Asks for what is missing and writes what comes.
    async fn attempt(&mut self, received: &mut impl FnMut(u64, Option<u64>)) -> Result<u64, Broken> {
        let have = if self.validator.is_some() { self.length().await } else { 0 };
        let mut request = self.client.get(self.url);
        if let Some(validator) = self.validator.as_ref().filter(|_| have > 0) {
            request = request.header(RANGE, format!("bytes={have}-")).header(IF_RANGE, validator);
        }
        let failed = |error: reqwest::Error| self.broken(root_cause(&error));
        let response = request.send().await.map_err(|error| Broken::Again(failed(error)))?;
        let range = ContentRange::of(response.headers());
        let status = response.status();
        let begin = match status {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT if range.first == Some(have) => have,
            // The server says where the file ends.
            StatusCode::RANGE_NOT_SATISFIABLE if have > 0 && range.total == Some(have) => return Ok(have),
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                self.validator = None;
                return Err(Broken::Again(self.broken("the file is another one than before".into())));
            }
            status => {
                let error = self.broken(format!("status {}", status.as_u16()).into());
                let again = status.is_server_error()
                    || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
                return Err(if again { Broken::Again(error) } else { Broken::ForGood(error) });
            }
        };
        if begin == 0 {
            self.validator = validator(response.headers());
            self.remember().await.map_err(Broken::ForGood)?;
        }
        let total = response.content_length().map(|rest| begin + rest);
        self.write(response, (begin, total), received).await
    }

    async fn write(
        &self,
        mut response: Response,
        (begin, total): (u64, Option<u64>),
        received: &mut impl FnMut(u64, Option<u64>),
    ) -> Result<u64, Broken> {
        let local = |source| Broken::ForGood(self.local(source));
        let opened = OpenOptions::new().create(true).write(true).truncate(false).open(self.part).await;
        let mut file: File = opened.map_err(local)?;
        file.set_len(begin).await.map_err(local)?;
        file.seek(std::io::SeekFrom::Start(begin)).await.map_err(local)?;
        let mut count = begin;
        let ended = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    file.write_all(&chunk).await.map_err(local)?;
                    count += chunk.len() as u64;
                    received(count, total);
                }
                Ok(None) => break None,
                Err(error) => break Some(root_cause(&error)),
            }
        };
        // What came is kept, also of a piece that broke off.
        file.sync_all().await.map_err(local)?;
        match ended {
            None => Ok(count),
            Some(error) => Err(Broken::Again(self.broken(error))),
        }
    }

    /// Notes what the part is a part of. Without a validator nothing could go on with it.
    async fn remember(&self) -> Result<(), ClientError> {
        let text = self.validator.as_ref().map(|validator| format!("{}\n{validator}\n", self.url));
        let written = match text {
            Some(text) => tokio::fs::write(&self.note, text).await,
            None => match tokio::fs::remove_file(&self.note).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        };
        written.map_err(|source| self.local(source))
    }

    fn broken(&self, source: Box<dyn std::error::Error + Send + Sync>) -> ClientError {
        download::broken(self.url, source)
    }

    fn local(&self, source: std::io::Error) -> ClientError {
        ClientError::Local { path: self.part.display().to_string(), source }
    }
}

/// Returns what a later request can name this version of a file by: a strong tag or a date (RFC 9110 section 13.1.5).
fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let tag = text(ETAG).filter(|tag| !tag.starts_with("W/"));
    tag.or_else(|| text(LAST_MODIFIED)).map(str::to_owned)
}

/// Where a piece begins, and how long the whole is.
#[derive(Debug, Default, PartialEq, Eq)]
struct ContentRange {
    first: Option<u64>,
    total: Option<u64>,
}

impl ContentRange {
    /// Reads `bytes 5-9/10`, `bytes 5-9/*` or `bytes */10`.
    fn of(headers: &HeaderMap) -> Self {
        let text = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let Some((range, total)) = text.trim().strip_prefix("bytes ").and_then(|text| text.split_once('/'))
        else {
            return Self::default();
        };
        let first = range.split_once('-').and_then(|(first, _)| first.trim().parse().ok());
        Self { first, total: total.trim().parse().ok() }
    }
}

#[cfg(test)]
mod tests;
