//! Files, track 0.1: read only, from the beginning, below absolute roots.

use wasmtime::component::{HasSelf, Linker};

use crate::HostError;
use crate::capabilities::{EntryKind, FileEntry, same};
use crate::state::CallState;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package formwork:host; world files { import formwork:files/files@0.1.0; }",
        path: ["../../wit/files-0.1"],
        world: "formwork:host/files",
        imports: { default: async | trappable },
    });
}

use bindings::formwork::files::files as wit;

/// Links the interface of this track.
pub(crate) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasSelf<_>>(linker, same)
}

impl CallState {
    /// This track knows absolute paths only.
    fn absolute(&self, call: &str, path: String) -> Result<String, wit::Error> {
        if path.starts_with('/') {
            return Ok(path);
        }
        Err(self.refuse(call, HostError::NotGranted(path)).into())
    }
}

impl wit::Host for CallState {
    async fn read(&mut self, path: String, max_bytes: u32) -> wasmtime::Result<Result<Vec<u8>, wit::Error>> {
        match self.absolute("files.read", path) {
            Ok(path) => Ok(self.file_read(&path, 0, max_bytes).await?.map_err(Into::into)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn list_folder(&mut self, path: String) -> wasmtime::Result<Result<Vec<wit::Entry>, wit::Error>> {
        let entry = |entry: FileEntry| wit::Entry { name: entry.name, kind: entry.kind.into() };
        match self.absolute("files.list-folder", path) {
            Ok(path) => {
                let entries = self.file_list(&path).await?;
                Ok(entries.map(|entries| entries.into_iter().map(entry).collect()).map_err(Into::into))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    async fn read_link(&mut self, path: String) -> wasmtime::Result<Result<String, wit::Error>> {
        match self.absolute("files.read-link", path) {
            Ok(path) => Ok(self.file_link(&path).await?.map_err(Into::into)),
            Err(error) => Ok(Err(error)),
        }
    }
}

impl From<EntryKind> for wit::Kind {
    fn from(kind: EntryKind) -> Self {
        match kind {
            EntryKind::File => Self::File,
            EntryKind::Folder => Self::Folder,
            EntryKind::Link => Self::Link,
            EntryKind::Other => Self::Other,
        }
    }
}

impl From<HostError> for wit::Error {
    fn from(error: HostError) -> Self {
        match error {
            HostError::NotGranted(path) => Self::NotGranted(path),
            HostError::NotFound(path) => Self::NotFound(path),
            HostError::WrongKind(path) => Self::WrongKind(path),
            other => Self::Other(other.to_string()),
        }
    }
}
