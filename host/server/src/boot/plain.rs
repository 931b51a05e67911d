//! Real files over HTTP in the clear, which `formwork-boot` sends by itself.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use formwork_boot::StaticFiles;
use formwork_core::access;

use crate::{endpoint::Endpoint, render};

/// The files of the file root that nothing rendered hides, and that are of no machine.
pub(super) struct RealFiles(pub(super) Arc<Endpoint>);

impl StaticFiles for RealFiles {
    fn find(&self, path: &str) -> Option<PathBuf> {
        if access::machine_of_path(path).is_some() || render::locate(&self.0, path).is_some() {
            return None;
        }
        self.0.files.find(path)
    }

    fn revision(&self) -> u64 {
        // Any object can be what makes a rendered file appear; both numbers only grow.
        self.0.snapshot().revision().0.wrapping_add(self.0.files.changes())
    }

    fn now(&self) -> SystemTime {
        let millis = u64::try_from(self.0.now().millis()).unwrap_or_default();
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }
}
