//! The files over TFTP.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use formwork_boot::{FileContent, FileSource, OpenError, OpenFuture, TransferEnd};
use formwork_boot_proto::{
    story::{TftpSeen, What, text},
    tftp::{Content, Outcome},
};

use super::space::{Asker, Found, find};
use crate::endpoint::Endpoint;

/// Serves rendered files first, then the file root.
pub(super) struct Source(pub(super) Arc<Endpoint>);

impl FileSource for Source {
    fn open<'a>(&'a self, path: &'a str, peer: SocketAddr, local: IpAddr) -> OpenFuture<'a> {
        Box::pin(async move {
            // Clients of TFTP have nothing but their address to show.
            let asker = Asker { peer: peer.ip(), local: Some(local), token: None };
            let file = text(path.as_bytes());
            self.note(
                peer,
                TftpSeen::Request { file, write: false, block_size: None, window: None, size: false },
            );
            let content: Arc<dyn Content> = match find(&self.0, path, asker).await {
                Found::Text(text) => Arc::new(text.into_bytes()),
                Found::File(file) => open_file(file).await?,
                Found::Nothing | Found::Elsewhere(_) => {
                    self.refused(peer, path, 1, "no such file");
                    return Err(OpenError::NotFound);
                }
                Found::Denied(_) => {
                    self.refused(peer, path, 2, "access denied");
                    return Err(OpenError::Denied);
                }
                Found::Broken => return Err(OpenError::Failed(String::from("it cannot be rendered"))),
            };
            Ok(content)
        })
    }

    fn ended(&self, end: &TransferEnd<'_>) {
        let (file, millis) = (text(end.file.as_bytes()), end.millis);
        self.note(
            end.peer,
            match end.outcome {
                Outcome::Complete => TftpSeen::Done { file, bytes: end.bytes, millis },
                Outcome::Aborted { code, message } => TftpSeen::Error {
                    file,
                    code: *code,
                    text: text(message.as_bytes()),
                    by_client: true,
                    bytes: 0,
                },
                Outcome::TimedOut | Outcome::Unreadable(_) => {
                    TftpSeen::Unfinished { file, bytes: 0, acknowledged: None, answered: true, millis }
                }
            },
        );
    }
}

impl Source {
    fn refused(&self, peer: SocketAddr, path: &str, code: u16, why: &str) {
        let file = text(path.as_bytes());
        self.note(peer, TftpSeen::Error { file, code, text: why.to_owned(), by_client: false, bytes: 0 });
    }

    fn note(&self, peer: SocketAddr, seen: TftpSeen) {
        self.0.recorder.note_transfer(self.0.now(), peer, What::Tftp(seen));
    }
}

async fn open_file(path: PathBuf) -> Result<Arc<dyn Content>, OpenError> {
    match tokio::task::spawn_blocking(move || FileContent::open(&path)).await {
        Ok(Ok(file)) => Ok(Arc::new(file)),
        Ok(Err(error)) => Err(OpenError::Failed(error.to_string())),
        Err(error) => Err(OpenError::Failed(error.to_string())),
    }
}
