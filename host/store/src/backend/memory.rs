//! The backend that keeps nothing: the state in memory is all there is.

use super::{Backend, Batch};
use crate::{BackendError, OpenError, Revision, loader::Loader};

/// Counts revisions and forgets the rest.
#[derive(Default)]
pub(crate) struct MemoryBackend {
    revision: Revision,
}

impl Backend for MemoryBackend {
    fn load(&mut self, _: &mut Loader) -> Result<Revision, OpenError> {
        Ok(self.revision)
    }

    fn commit(&mut self, batch: Batch) -> Result<(), BackendError> {
        if batch.expected != self.revision {
            return Err(BackendError::Conflict { expected: batch.expected, found: self.revision });
        }
        self.revision = batch.revision;
        Ok(())
    }
}
