//! Serves a folder by TFTP, to measure the service without the rest of the endpoint:
//! `cargo run --release -p formwork-boot --example tftp_serve -- FOLDER [ADDRESS:PORT]`.
//!
//! Links that lead out of the folder are followed: give it a folder of its own.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use formwork_boot::{FileContent, FileSource, OpenError, OpenFuture, TftpConfig, TftpService};
use formwork_boot_proto::tftp::Content;

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
            let file = FileContent::open(&path).map_err(|_| OpenError::NotFound)?;
            Ok(Arc::new(file) as Arc<dyn Content>)
        })
    }
}
