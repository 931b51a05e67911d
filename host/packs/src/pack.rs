//! What a loaded pack is.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use formwork_model::{ComponentRecord, ContentMeta, Object};

/// A pack whose objects and components are in order by themselves.
#[derive(Clone, Debug, Default)]
pub struct Pack {
    /// What the pack says of itself.
    pub meta: ContentMeta,
    /// The objects, by prefix and key. Each is read-only and names the pack in `Bundle`.
    pub objects: Vec<Arc<dyn Object>>,
    /// The components, in the order of the manifest. A content bundle has none.
    pub components: Vec<PackComponent>,
    /// The other files that it brings, by path. A content bundle has none.
    pub files: Vec<PackFile>,
}

/// A file in the folder `files/` of a pack.
#[derive(Clone)]
pub struct PackFile {
    /// The path below `files/`: relative, plain names between `/`.
    pub path: String,
    /// The BLAKE3 digest of its bytes, hexadecimal.
    pub digest: String,
    /// The bytes. Cheap to copy.
    pub bytes: Bytes,
}

impl fmt::Debug for PackFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("PackFile");
        shown
            .field("path", &self.path)
            .field("digest", &self.digest)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// A component with its bytes.
#[derive(Clone)]
pub struct PackComponent {
    /// What is kept of it in the store.
    pub record: ComponentRecord,
    /// The bytes as they are in the pack; nobody has looked into them yet. Cheap to copy.
    pub wasm: Bytes,
}

impl fmt::Debug for PackComponent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("PackComponent");
        shown.field("record", &self.record).field("wasm_bytes", &self.wasm.len()).finish()
    }
}

/// Returns the name of a component's bytes: their BLAKE3 digest, 64 hexadecimal digits.
#[must_use]
pub fn digest(wasm: &[u8]) -> String {
    blake3::hash(wasm).to_hex().to_string()
}
