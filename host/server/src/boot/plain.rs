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

#[cfg(test)]
mod tests {
    use formwork_model::{BootEnv, Preference, TemplateInfo};

    use super::*;
    use crate::testing::{Site, Wishes};

    #[tokio::test]
    async fn real_file_is_given_until_a_rendered_one_hides_it() {
        let site = Site::new(Wishes::default());
        let at = |name: &str| site.folder.path().join(name);
        std::fs::create_dir_all(at("machines/u-1")).unwrap();
        for name in ["found.ipxe", "vmlinuz", "machines/u-1/key"] {
            std::fs::write(at(name), name).unwrap();
        }
        let files = RealFiles(Arc::clone(&site.endpoint));
        assert!(files.find("found.ipxe").is_some() && files.find("vmlinuz").is_some());
        for path in
            ["machines/u-1/key", "machines/./u-1//key", "/machines/u-1/key", "missing", "", "../vmlinuz"]
        {
            assert_eq!(files.find(path), None, "{path}");
        }
        let before = files.revision();
        let entry = TemplateInfo {
            name: "ipxe".into(),
            path: "found.ipxe".into(),
            contents: "#!ipxe".into(),
            ..TemplateInfo::default()
        };
        let env =
            BootEnv { name: "find".into(), only_unknown: true, templates: vec![entry], ..BootEnv::default() };
        let unknown =
            Preference { name: "unknownBootEnv".into(), val: "find".into(), ..Preference::default() };
        let written = site.endpoint.store.write("user:anna", move |tx| {
            tx.put(Arc::new(env));
            tx.put(Arc::new(unknown));
            Ok::<(), std::convert::Infallible>(())
        });
        written.await.unwrap();
        assert!(files.revision() > before);
        assert_eq!(files.find("found.ipxe"), None);
        let before = files.revision();
        site.endpoint.files.changed();
        assert!(files.revision() > before && files.find("vmlinuz").is_some());
    }
}
