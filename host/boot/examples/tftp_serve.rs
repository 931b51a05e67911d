//! Serves a folder by TFTP, to measure the service without the rest of the endpoint:
//! `cargo run --release -p formwork-boot --example tftp_serve -- FOLDER [ADDRESS:PORT]`.
//!
//! Links that lead out of the folder are followed: give it a folder of its own.

use std::error::Error;
use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use formwork_boot::{FileSource, OpenError, OpenFuture, TftpConfig, TftpService};
use formwork_boot_proto::tftp::{Content, ContentError};

const USAGE: &str = "usage: tftp_serve FOLDER [ADDRESS:PORT]   (default: [::]:69)";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or(USAGE)?);
    let address = arguments.next().unwrap_or_else(|| String::from("[::]:69")).parse()?;
    let service = TftpService::bind(TftpConfig::new(address))?;
    eprintln!("serving {} at {}", folder.display(), service.address());
    let counters = service.counters();
    let stop = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("no signal can be waited for: {error}");
        }
    };
    service.run(Arc::new(Folder(folder)), stop).await;
    eprintln!("{:?}", counters.snapshot());
    Ok(())
}

struct Folder(PathBuf);

impl FileSource for Folder {
    fn open<'a>(&'a self, path: &'a str, _: SocketAddr, _: IpAddr) -> OpenFuture<'a> {
        let path = self.0.join(path);
        Box::pin(async move {
            let file = File::open(&path).map_err(|_| OpenError::NotFound)?;
            let metadata = file.metadata().map_err(|error| OpenError::Failed(error.to_string()))?;
            if !metadata.is_file() {
                return Err(OpenError::NotFound);
            }
            Ok(Arc::new(Disk { file, len: metadata.len() }) as Arc<dyn Content>)
        })
    }
}

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
