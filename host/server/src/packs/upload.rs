//! Receives the bytes of an upload: to disk as they come, bounded, with their digest; never whole in memory.

use std::path::{Path, PathBuf};

use axum::body::{Body, Bytes};
use formwork_api::ApiError;
use futures_util::StreamExt;
use tokio::{fs::File, io::AsyncWriteExt};

use super::Packs;
use crate::random;

/// The longest upload, in bytes: as long as a pack may be when it is unpacked.
pub(crate) const MAX_UPLOAD_BYTES: u64 = formwork_packs::MAX_TOTAL_BYTES;

/// Bytes at the beginning that tell what an upload is.
const MAGIC_BYTES: usize = 4;

/// A file that was received and is durable. It is removed when this is dropped, unless it was moved away.
#[derive(Debug)]
pub(crate) struct Upload {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The BLAKE3 digest of its bytes, hexadecimal.
    pub(crate) digest: String,
    /// Its length.
    pub(crate) bytes: u64,
    start: Vec<u8>,
}

/// What an upload is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A `.fwpack` file.
    Archive,
    /// WebAssembly by itself.
    Component,
    /// Neither.
    Unknown,
}

impl Upload {
    /// Receives a body.
    ///
    /// # Errors
    ///
    /// 413 for one that is too long, 400 for one that ends early or is empty, 500 when it cannot be written.
    pub(crate) async fn receive(packs: &Packs, body: Body) -> Result<Self, ApiError> {
        // The semaphore is never closed.
        let _slot = packs.uploads.acquire().await;
        let path = packs.folder.join(random::uuid());
        let mut upload = Self { path, digest: String::new(), bytes: 0, start: Vec::new() };
        let mut file = File::create_new(&upload.path).await.map_err(|error| unwritable(&error))?;
        let mut hasher = blake3::Hasher::new();
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| refused(400, format!("the upload broke off: {error}")))?;
            upload.count(&chunk)?;
            hasher.update(&chunk);
            file.write_all(&chunk).await.map_err(|error| unwritable(&error))?;
        }
        file.flush().await.map_err(|error| unwritable(&error))?;
        file.sync_all().await.map_err(|error| unwritable(&error))?;
        if upload.bytes == 0 {
            return Err(refused(400, "the body is empty\nhint: send a `.fwpack` file or a component"));
        }
        upload.digest = hasher.finalize().to_hex().to_string();
        Ok(upload)
    }

    /// Writes bytes as if they had been received. Blocks.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub(crate) fn written(path: &Path, bytes: &[u8]) -> std::io::Result<Self> {
        let upload = Self {
            path: path.to_owned(),
            digest: formwork_packs::digest(bytes),
            bytes: bytes.len() as u64,
            start: bytes.iter().take(MAGIC_BYTES).copied().collect(),
        };
        let mut file = std::fs::File::create_new(path)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.sync_all()?;
        Ok(upload)
    }

    /// Takes a file over that was received otherwise. Blocks.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub(crate) fn adopt(path: PathBuf) -> std::io::Result<Self> {
        let mut start = Vec::new();
        std::io::Read::read_to_end(
            &mut std::io::Read::take(std::fs::File::open(&path)?, MAGIC_BYTES as u64),
            &mut start,
        )?;
        let (mut hasher, bytes) = (blake3::Hasher::new(), std::fs::metadata(&path)?.len());
        hasher.update_reader(std::fs::File::open(&path)?)?;
        Ok(Self { digest: hasher.finalize().to_hex().to_string(), path, bytes, start })
    }

    fn count(&mut self, chunk: &Bytes) -> Result<(), ApiError> {
        self.bytes = self.bytes.saturating_add(chunk.len() as u64);
        if self.bytes > MAX_UPLOAD_BYTES {
            return Err(too_long());
        }
        let missing = MAGIC_BYTES.saturating_sub(self.start.len());
        self.start.extend(chunk.iter().take(missing));
        Ok(())
    }

    /// Returns its first bytes.
    pub(crate) fn start(&self) -> &[u8] {
        &self.start
    }

    /// Tells what it is.
    pub(crate) fn form(&self) -> Form {
        match self.start.as_slice() {
            [0x1f, 0x8b, ..] => Form::Archive,
            b"\0asm" => Form::Component,
            _ => Form::Unknown,
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // It is not there when it was taken over.
        std::fs::remove_file(&self.path).ok();
    }
}

/// Says that an upload is too long.
pub(crate) fn too_long() -> ApiError {
    refused(413, format!("the upload is longer than {MAX_UPLOAD_BYTES} bytes"))
}

fn refused(code: u16, message: impl Into<String>) -> ApiError {
    ApiError::new(code, "POST", message).about("packs", "")
}

fn unwritable(error: &std::io::Error) -> ApiError {
    tracing::error!(%error, "failed to keep an upload");
    refused(500, format!("the upload cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn receive(packs: &Packs, chunks: Vec<Result<Bytes, std::io::Error>>) -> Result<Upload, ApiError> {
        Upload::receive(packs, Body::from_stream(futures_util::stream::iter(chunks))).await
    }

    #[tokio::test]
    async fn bytes_are_on_disk_with_their_digest_and_gone_when_nobody_takes_them() {
        let folder = tempfile::tempdir().unwrap();
        let packs = Packs::new(folder.path()).unwrap();
        let chunks = [&b"\x1f"[..], b"\x8brest"].map(|chunk| Ok(Bytes::from_static(chunk)));
        let upload = receive(&packs, chunks.into()).await.unwrap();
        assert_eq!((upload.bytes, upload.form()), (6, Form::Archive));
        assert_eq!(upload.digest, formwork_packs::digest(b"\x1f\x8brest"));
        assert_eq!(std::fs::read(&upload.path).unwrap(), b"\x1f\x8brest");
        drop(upload);
        assert_eq!(std::fs::read_dir(folder.path().join("uploads")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn broken_empty_and_overlong_uploads_leave_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let packs = Packs::new(folder.path()).unwrap();
        let broken = vec![Ok(Bytes::from_static(b"\x1f\x8b")), Err(std::io::Error::other("gone"))];
        assert_eq!(receive(&packs, broken).await.unwrap_err().code, 400);
        assert_eq!(receive(&packs, Vec::new()).await.unwrap_err().code, 400);
        let block = Bytes::from(vec![0; 32 << 20]);
        let long = (0..9).map(|_| Ok(block.clone())).collect();
        assert_eq!(receive(&packs, long).await.unwrap_err().code, 413);
        assert_eq!(std::fs::read_dir(folder.path().join("uploads")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_an_earlier_process_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("uploads")).unwrap();
        std::fs::write(folder.path().join("uploads/half"), "x").unwrap();
        Packs::new(folder.path()).unwrap();
        assert!(!folder.path().join("uploads/half").exists());
    }
}
