//! The files over TFTP.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use formwork_boot::{FileContent, FileSource, OpenError, OpenFuture};
use formwork_boot_proto::tftp::Content;

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
    match tokio::task::spawn_blocking(move || FileContent::open(&path)).await {
        Ok(Ok(file)) => Ok(Arc::new(file)),
        Ok(Err(error)) => Err(OpenError::Failed(error.to_string())),
        Err(error) => Err(OpenError::Failed(error.to_string())),
    }
}
