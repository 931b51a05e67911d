//! Tools of other languages, installed into the cache folder once.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::source::SourceError;

/// The file that says that a folder is whole.
const COMPLETE: &str = "complete";

/// Whether a folder was filled earlier.
pub(crate) fn ready(folder: &Path) -> bool {
    folder.join(COMPLETE).is_file()
}

/// Fills a folder unless it is whole already. Whoever comes second waits for the first; what was cut off begins anew.
///
/// It is filled where it stays, for some tools write their own path into their files.
pub(crate) fn once(
    folder: &Path,
    fill: impl FnOnce(&Path) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    if ready(folder) {
        return Ok(());
    }
    let cache = folder.parent().unwrap_or(folder);
    fs::create_dir_all(cache).map_err(at(cache))?;
    let lock_path = folder.with_added_extension("lock");
    let lock = File::create(&lock_path).map_err(at(&lock_path))?;
    lock.lock().map_err(at(&lock_path))?;
    if !ready(folder) {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(folder)(error)),
            _ => {}
        }
        fs::create_dir(folder).map_err(at(folder))?;
        fill(folder)?;
        fs::write(folder.join(COMPLETE), "").map_err(at(folder))?;
    }
    Ok(())
}

fn at(path: &Path) -> impl Fn(io::Error) -> SourceError + '_ {
    move |source| SourceError::Files { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn those_who_meet_fill_a_folder_once() {
        let cache = tempfile::tempdir().unwrap();
        let (folder, filled) = (cache.path().join("deep/tool-1"), AtomicUsize::new(0));
        let fill = |folder: &Path| {
            filled.fetch_add(1, Ordering::SeqCst);
            fs::write(folder.join("tool"), "").map_err(at(folder))
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| once(&folder, fill).unwrap());
            }
        });
        assert_eq!(filled.load(Ordering::SeqCst), 1);
        assert!(folder.join("tool").is_file());
    }

    #[test]
    fn a_folder_that_was_cut_off_begins_anew() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("tool-1");
        let failed = once(&folder, |folder| {
            fs::write(folder.join("half"), "").unwrap();
            Err(SourceError::Install { tool: String::from("tool") })
        });
        assert!(failed.is_err() && !ready(&folder));
        once(&folder, |folder| fs::write(folder.join("whole"), "").map_err(at(folder))).unwrap();
        assert!(!folder.join("half").exists() && folder.join("whole").exists());
    }
}
