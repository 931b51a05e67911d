//! The files over TFTP.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use formwork_boot::{FileContent, FileSource, OpenError, OpenFuture};
use formwork_boot_proto::tftp::Content;

use super::space::{Asker, Found, find};
use crate::endpoint::Endpoint;

/// Serves rendered files first, then the file root.
pub(super) struct Source(pub(super) Arc<Endpoint>);

impl FileSource for Source {
    fn open<'a>(&'a self, path: &'a str, peer: SocketAddr, local: IpAddr) -> OpenFuture<'a> {
        Box::pin(async move {
            // Clients of TFTP have nothing but their address to show.
            let asker = Asker { peer: peer.ip(), local: Some(local), token: None };
            let content: Arc<dyn Content> = match find(&self.0, path, asker).await {
                Found::Text(text) => Arc::new(text.into_bytes()),
                Found::File(file) => open_file(file).await?,
                Found::Nothing | Found::Elsewhere(_) => return Err(OpenError::NotFound),
                Found::Denied(_) => return Err(OpenError::Denied),
                Found::Broken => return Err(OpenError::Failed(String::from("it cannot be rendered"))),
            };
            Ok(content)
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
