//! Files and archives: listed, sent, fetched, removed (drp-api.md 11.1).

use reqwest::Method;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Client, ClientError, Query, request::Body};

/// One of the two spaces of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobKind {
    /// Files of any kind, in folders.
    Files,
    /// Archives that boot environments are made from.
    Isos,
}

impl BlobKind {
    /// Returns the segment of its routes.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Isos => "isos",
        }
    }
}

/// What an endpoint tells of a file that it took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BlobSent {
    /// The path; that of a file begins with a slash.
    pub path: String,
    /// The bytes.
    pub size: u64,
}

impl Client {
    /// Returns the names in a folder, those of folders with a slash at their end; with `all` also what is in its folders.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is no such folder.
    pub async fn blobs(&self, kind: BlobKind, folder: &str, all: bool) -> Result<Vec<String>, ClientError> {
        let mut query = Query::new();
        if !folder.is_empty() {
            query.push("path", folder);
        }
        if all {
            query.push("all", true);
        }
        self.ask(Method::GET, &[kind.word()], &query).await?.decode()
    }

    /// Sends a file under a name. `explode` has an archive also taken apart where it is.
    ///
    /// The file is never whole in memory; `sent` is called with the number of bytes that have gone so far.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 409 when a file is where a folder is needed, 507 when the disk is full.
    pub async fn blob_send(
        &self,
        (kind, name): (BlobKind, &str),
        from: impl AsyncRead + Send + Unpin + 'static,
        (length, explode): (Option<u64>, bool),
        sent: impl FnMut(u64) + Send + 'static,
    ) -> Result<BlobSent, ClientError> {
        let mut query = Query::new();
        if explode {
            query.push("explode", true);
        }
        let body = Body::of(from, length, sent);
        self.patient()?.send(Method::POST, &path(kind, name), &query, body).await?.decode()
    }

    /// Fetches a file and returns the number of its bytes.
    ///
    /// `received` is called with the number of bytes that have come so far, and with that of all if it is known.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is no such file. What was written by then stays.
    pub async fn blob_fetch(
        &self,
        kind: BlobKind,
        name: &str,
        to: &mut (impl AsyncWrite + Unpin),
        mut received: impl FnMut(u64, Option<u64>),
    ) -> Result<u64, ClientError> {
        self.patient()?.fetch(&path(kind, name), to, &mut received).await
    }

    /// Tells whether there is a file.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`] but the 404.
    pub async fn blob_exists(&self, kind: BlobKind, name: &str) -> Result<bool, ClientError> {
        match self.ask(Method::HEAD, &path(kind, name), &Query::new()).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes a file or an empty folder.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is neither.
    pub async fn blob_remove(&self, kind: BlobKind, name: &str) -> Result<(), ClientError> {
        self.ask(Method::DELETE, &path(kind, name), &Query::new()).await.map(drop)
    }
}

fn path(kind: BlobKind, name: &str) -> Vec<&str> {
    std::iter::once(kind.word()).chain(name.split('/').filter(|part| !part.is_empty())).collect()
}
