//! Files and archives that clients upload, read and remove (drp-api.md 11.1).

use std::{sync::Arc, time::Duration};

use axum::body::Bytes;
use formwork_api::{ApiError, Event};
use formwork_blobs::{ArchiveWorker, Blob, BlobError, BlobPath, ExplodeError, Space, TreeLimits, explode};
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use serde_json::Value;
use tokio::{
    sync::{Semaphore, mpsc},
    task::spawn_blocking,
    time::timeout,
};

use crate::{auth::Caller, commit::internal, endpoint::Endpoint};

/// Pieces of an upload that wait for the disk.
const WAITING: usize = 8;

/// How long an upload waits for its turn.
const PATIENCE: Duration = Duration::from_secs(60);

/// Uploads that are received at the same time, each by a thread of its own; further ones wait.
static RECEIVING: Semaphore = Semaphore::const_new(64);

/// Archives that are taken apart at the same time on request.
static TAKING_APART: Semaphore = Semaphore::const_new(2);

/// How releases begin: zip, gzip, xz, zstd, and programs of Linux.
const RELEASES: &[&[u8]] = &[b"PK\x03\x04", b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x7fELF"];

/// The bytes of a file that tell what it is.
const FIRST_BYTES: usize = 8;

/// One of the spaces of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Files of any kind, in folders.
    Files,
    /// Archives that boot environments are made from.
    Isos,
    /// The release that the endpoint is to be upgraded to.
    Releases,
    /// What is looked at before it is content or a plugin. Whoever names a place here has asked for the claims.
    Staged,
}

impl Kind {
    /// Returns the segment of its routes, which is also the scope of claims and the type of events.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Isos => "isos",
            Self::Releases => "system",
            Self::Staged => "content_archives",
        }
    }

    fn space(self, endpoint: &Endpoint) -> &Space {
        match self {
            Self::Files => endpoint.files.files(),
            Self::Isos => endpoint.files.isos(),
            Self::Releases => &endpoint.releases,
            Self::Staged => endpoint.updates.space(),
        }
    }

    /// Returns why a file that begins like this is not taken.
    fn misfit(self, first: &[u8]) -> Option<&'static str> {
        let fits = self != Self::Releases || RELEASES.iter().any(|beginning| first.starts_with(beginning));
        (!fits).then_some(
            "this is no release: neither an archive nor a program\nhint: send the file as it was published",
        )
    }

    /// Returns a path as answers tell it: that of a file begins with a slash.
    fn told(self, path: &BlobPath) -> String {
        match self {
            Self::Files => format!("/{path}"),
            Self::Isos | Self::Releases | Self::Staged => path.to_string(),
        }
    }
}

/// What is told of an upload (drp-api.md 11.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BlobInfo {
    /// The path, with a leading slash for files.
    pub(crate) path: String,
    /// The bytes.
    pub(crate) size: u64,
}

/// What somebody does with a file.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The space.
    pub(crate) kind: Kind,
    /// The path as it was asked for.
    pub(crate) path: String,
    /// Who asks.
    pub(crate) caller: Caller,
    /// The method, which errors name.
    pub(crate) method: &'static str,
}

impl Request {
    /// Reads the path and checks that the caller may do something with it.
    fn allowed(&self, action: &str) -> Result<BlobPath, ApiError> {
        match self.kind {
            Kind::Releases => self.caller.require(self.kind.word(), "upgrade", "")?,
            Kind::Staged => {}
            kind => self.caller.require(kind.word(), action, &self.path)?,
        }
        BlobPath::parse(&self.path).map_err(|error| {
            // What leads elsewhere is not there; what it would be is nobody's business.
            let code = if self.method == "POST" { 400 } else { 404 };
            self.error(code, &error.to_string())
        })
    }

    fn error(&self, code: u16, message: &str) -> ApiError {
        let key = format!("/{}", self.path.trim_matches('/'));
        ApiError::new(code, self.method, message).about(self.kind.word(), &key)
    }

    fn failed(&self, error: &BlobError) -> ApiError {
        let code = match error {
            BlobError::NotRegular | BlobError::NoFolder(_) | BlobError::Unremovable { .. } => 404,
            BlobError::FileInTheWay(_) => 409,
            BlobError::TooMany(_) => 400,
            BlobError::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => 507,
                std::io::ErrorKind::IsADirectory => 409,
                _ => 500,
            },
            _ => 500,
        };
        if let BlobError::Unremovable { path, reason } = error {
            tracing::debug!(%path, reason, "not removed");
        }
        self.error(code, &error.to_string())
    }
}

/// Returns the names in a folder.
pub(crate) async fn list(
    endpoint: &Arc<Endpoint>,
    request: &Request,
    all: bool,
) -> Result<Vec<String>, ApiError> {
    let path = request.allowed("list")?;
    let space = request.kind.space(endpoint).clone();
    let listed = spawn_blocking(move || space.list(&path, all)).await.map_err(|error| internal(&error))?;
    listed.map_err(|error| request.failed(&error))
}

/// Opens a file and returns it with its SHA-256.
pub(crate) async fn read(endpoint: &Arc<Endpoint>, request: &Request) -> Result<(Blob, String), ApiError> {
    let path = request.allowed("get")?;
    let space = request.kind.space(endpoint).clone();
    let read = spawn_blocking(move || {
        let blob = space.read(&path)?;
        let sum = space.sum_of(&path, &blob)?;
        Ok((blob, sum))
    });
    read.await.map_err(|error| internal(&error))?.map_err(|error: BlobError| request.failed(&error))
}

/// Takes a file, and takes it apart where it is if that is wanted.
///
/// # Errors
///
/// The path is none, the upload breaks off, the disk is full; the file that was there stays. An archive
/// that cannot be taken apart is kept.
pub(crate) async fn write<E: std::fmt::Display>(
    endpoint: &Arc<Endpoint>,
    request: &Request,
    chunks: impl Stream<Item = Result<Bytes, E>> + Unpin,
    apart: bool,
) -> Result<BlobInfo, ApiError> {
    let path = request.allowed("post")?;
    let size = receive(endpoint, request, &path, chunks).await?;
    let info = BlobInfo { path: request.kind.told(&path), size };
    if request.kind == Kind::Staged {
        return Ok(info);
    }
    tell(endpoint, request, "create", &info);
    if request.kind == Kind::Isos {
        endpoint.files.trees().look();
    }
    if apart {
        let taken = take_apart(endpoint, request, path).await;
        endpoint.files.changed();
        taken?;
    }
    Ok(info)
}

async fn receive<E: std::fmt::Display>(
    endpoint: &Arc<Endpoint>,
    request: &Request,
    path: &BlobPath,
    mut chunks: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<u64, ApiError> {
    let busy = || request.error(503, "too many uploads at once\nhint: try again later");
    let Ok(Ok(_slot)) = timeout(PATIENCE, RECEIVING.acquire()).await else { return Err(busy()) };
    let (sender, mut receiver) = mpsc::channel::<Bytes>(WAITING);
    let (ended, whole) = tokio::sync::oneshot::channel::<()>();
    let (space, path) = (request.kind.space(endpoint).clone(), path.clone());
    let writing = spawn_blocking(move || {
        let mut upload = space.begin(&path)?;
        while let Some(chunk) = receiver.blocking_recv() {
            upload.write(&chunk)?;
        }
        // Without this word the client is gone, and what came is no file.
        if whole.blocking_recv().is_err() {
            return Ok(None);
        }
        upload.finish().map(Some)
    });
    let mut broke = None;
    let mut first = Vec::with_capacity(FIRST_BYTES);
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) => {
                first.extend(chunk.iter().take(FIRST_BYTES - first.len()));
                // Nobody takes it any more: the disk has refused something.
                if sender.send(chunk).await.is_err() {
                    break;
                }
            }
            Err(error) => {
                broke = Some(request.error(400, &format!("the upload broke off: {error}")));
                break;
            }
        }
    }
    drop(sender);
    let misfit = request.kind.misfit(&first).filter(|_| broke.is_none());
    broke = broke.or_else(|| misfit.map(|reason| request.error(400, reason)));
    if broke.is_none() {
        let _ = ended.send(());
    } else {
        drop(ended);
    }
    let written = writing.await.map_err(|error| internal(&error))?;
    let stored = written.map_err(|error| request.failed(&error))?;
    let gone = || broke.unwrap_or_else(|| request.error(400, "the upload broke off"));
    stored.map(|stored| stored.size).ok_or_else(gone)
}

async fn take_apart(endpoint: &Arc<Endpoint>, request: &Request, path: BlobPath) -> Result<(), ApiError> {
    let _slot = TAKING_APART.acquire().await.map_err(|error| internal(&error))?;
    let space = request.kind.space(endpoint).clone();
    let worker = ArchiveWorker::of(&endpoint.options.worker);
    let taken = spawn_blocking(move || {
        let blob = space.read(&path).map_err(|error| ExplodeError::Archive(error.to_string()))?;
        let folder = space.folder_of(&path).map_err(|error| ExplodeError::Archive(error.to_string()))?;
        explode(&worker, blob.file, &folder, TreeLimits::default(), &|| false)
    });
    let taken = taken.await.map_err(|error| internal(&error))?;
    let exploded = taken.map_err(|error| {
        let code = match error {
            ExplodeError::Worker { .. } | ExplodeError::Io { .. } => 500,
            ExplodeError::Space(_) => 507,
            _ => 400,
        };
        request.error(code, &format!("it was stored, but not taken apart: {error}"))
    })?;
    if exploded.left_out > 0 {
        let (left_out, named) = (exploded.left_out, exploded.named);
        tracing::warn!(path = request.path, left_out, ?named, "entries of an archive were left out");
    }
    Ok(())
}

/// Removes a file or an empty folder.
pub(crate) async fn remove(endpoint: &Arc<Endpoint>, request: &Request) -> Result<(), ApiError> {
    let path = request.allowed("delete")?;
    let info = BlobInfo { path: request.kind.told(&path), size: 0 };
    let space = request.kind.space(endpoint).clone();
    let removed = spawn_blocking(move || space.remove(&path)).await.map_err(|error| internal(&error))?;
    removed.map_err(|error| request.failed(&error))?;
    tell(endpoint, request, "delete", &info);
    endpoint.files.trees().look();
    Ok(())
}

fn tell(endpoint: &Endpoint, request: &Request, action: &str, info: &BlobInfo) {
    endpoint.files.changed();
    let event = Event {
        time: endpoint.now(),
        r#type: request.kind.word().to_owned(),
        action: action.to_owned(),
        key: info.path.clone(),
        principal: request.caller.principal.clone(),
        object: serde_json::to_value(info).unwrap_or_default(),
        original: Value::Null,
        revision: None,
    };
    endpoint.hub.tell(event);
    request.caller.wrote(action, (request.kind.word(), &info.path));
}
