//! Serves a folder over HTTP in the clear, as the file server does for files that are not rendered, to measure it:
//! `serve_files ADDRESS:PORT FOLDER [THREADS]`.

use std::{
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use formwork_boot::{HttpFiles, Progress, StaticFiles};
use tokio::net::TcpListener;

struct Folder(PathBuf);

impl StaticFiles for Folder {
    fn find(&self, path: &str) -> Option<PathBuf> {
        let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        plain.then(|| self.0.join(path)).filter(|file| file.is_file())
    }

    fn revision(&self) -> u64 {
        0
    }

    #[allow(clippy::disallowed_methods, reason = "nobody invents the time of a measurement")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

struct Unwatched;

impl Progress for Unwatched {
    type Request = ();

    fn begin(&self) {}

    fn took(&self, _: usize) {}

    fn blocked(&self, _: bool) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (address, folder) = words.next().zip(words.next()).ok_or("ADDRESS:PORT FOLDER [THREADS]")?;
    let threads = words.next().map_or(Ok(2), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        let files = Arc::new(HttpFiles::new(Arc::new(Folder(folder.into()))));
        let listener = TcpListener::bind(address).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let files = Arc::clone(&files);
            tokio::spawn(async move { files.serve(&stream, &Unwatched).await });
        }
    })
}
