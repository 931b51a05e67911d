//! What is installed: the built-in pack, content bundles, and the bytes of their components.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use formwork_model::{ComponentRecord, InstalledContent, Object, ObjectsExt};
use formwork_packs::Pack;
use formwork_sandbox::Grants;
use formwork_store::Snapshot;

use crate::{files::FileRoot, housekeeping};

/// The name under which clients know the built-in layer (drp-api.md 3.6).
pub(crate) const BUILT_IN: &str = "BasicStore";

/// The name of the layer that the API writes to (drp-api.md 11.3).
pub(crate) const WRITABLE: &str = "BackingStore";

/// The bytes of all components, by digest, and what the built-in pack says of its own.
pub(crate) struct Library {
    core: Vec<ComponentRecord>,
    bytes: HashMap<String, Bytes>,
}

impl Library {
    /// Holds the components of the built-in pack.
    pub(crate) fn new(core: &Pack) -> Self {
        Self {
            core: core.components.iter().map(|component| component.record.clone()).collect(),
            bytes: core
                .components
                .iter()
                .map(|component| (component.record.digest.clone(), component.wasm.clone()))
                .collect(),
        }
    }

    /// Returns what an installed pack says of a component, by `PACK/COMPONENT`.
    pub(crate) fn component(&self, snapshot: &Snapshot, name: &str) -> Option<ComponentRecord> {
        let (pack, name) = name.split_once('/')?;
        let named = |records: &[ComponentRecord]| records.iter().find(|record| record.name == name).cloned();
        if pack == "core" {
            return named(&self.core);
        }
        named(&snapshot.get::<InstalledContent>(pack)?.components)
    }

    /// Returns the bytes of a component.
    pub(crate) fn bytes(&self, digest: &str) -> Option<Bytes> {
        self.bytes.get(digest).cloned()
    }

    /// Returns the bytes of all components, with the digests that they are known by.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&String, &Bytes)> {
        self.bytes.iter()
    }
}

/// Reads what a component may do.
pub(crate) fn grants(record: &ComponentRecord) -> Result<Grants, String> {
    Grants::parse(&record.grants).map_err(|error| error.to_string())
}

/// Returns the objects of the built-in pack as the layer under everything.
pub(crate) fn built_in_objects(core: &Pack, files: &FileRoot) -> Vec<Arc<dyn Object>> {
    core.objects
        .iter()
        .map(|object| {
            let mut object = object.boxed();
            let faults = housekeeping::faults(files, object.as_ref());
            let header = object.header_mut();
            BUILT_IN.clone_into(&mut header.bundle);
            header.read_only = true;
            header.set_errors(faults);
            object.shared()
        })
        .collect()
}
