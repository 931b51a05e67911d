//! The files over TFTP.

use std::{
    fs::File,
    net::{IpAddr, SocketAddr},
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::Arc,
};

use formwork_boot::{FileSource, OpenError, OpenFuture};
use formwork_boot_proto::tftp::{Content, ContentError};

use super::space::{Found, find};
use crate::endpoint::Endpoint;

/// Serves rendered files first, then the file root.
pub(super) struct Source(pub(super) Arc<Endpoint>);

impl FileSource for Source {
    fn open<'a>(&'a self, path: &'a str, _: SocketAddr, _: IpAddr) -> OpenFuture<'a> {
        Box::pin(async move {
            match find(&self.0, path).await {
                Found::Text(text) => Ok(Arc::new(text.into_bytes()) as Arc<dyn Content>),
                Found::File(file) => open_file(file).await,
                Found::Nothing | Found::Elsewhere(_) => Err(OpenError::NotFound),
                Found::Broken => Err(OpenError::Failed(String::from("it cannot be rendered"))),
            }
        })
    }
}

async fn open_file(path: PathBuf) -> Result<Arc<dyn Content>, OpenError> {
    let opened = tokio::task::spawn_blocking(move || {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok::<Disk, std::io::Error>(Disk { file, len })
    });
    match opened.await {
        Ok(Ok(disk)) => Ok(Arc::new(disk)),
        Ok(Err(error)) => Err(OpenError::Failed(error.to_string())),
        Err(error) => Err(OpenError::Failed(error.to_string())),
    }
}

/// A file on disk, read out of the page cache.
struct Disk {
    file: File,
    len: u64,
}

impl Content for Disk {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ContentError> {
        self.file
            .read_exact_at(buffer, offset)
            .map_err(|error| ContentError { offset, message: error.to_string() })
    }
}
