//! The folder that keeps the recordings of all calls, of which the oldest go when there are too many.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Recording;

/// How many recordings a folder keeps.
const KEPT: u64 = 1000;

/// A folder of recordings, `NUMBER-COMPONENT-EXPORT.json`. Only its owner may read it, since what a component was told is
/// in there, secrets too.
#[derive(Debug, Clone)]
pub(crate) struct Recordings {
    folder: Arc<Path>,
    next: Arc<AtomicU64>,
}

impl Recordings {
    /// Opens a folder and goes on behind what is in it.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, (PathBuf, io::Error)> {
        let numbers = || -> io::Result<Vec<u64>> {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            fs::read_dir(&folder)?
                .filter_map(|entry| {
                    entry.map(|entry| number(&entry.file_name().to_string_lossy())).transpose()
                })
                .collect()
        };
        match numbers() {
            Ok(numbers) => {
                let next = numbers.into_iter().max().map_or(1, |last| last.saturating_add(1));
                Ok(Self { folder: folder.into(), next: Arc::new(AtomicU64::new(next)) })
            }
            Err(error) => Err((folder, error)),
        }
    }

    /// Keeps a recording. A call is not to fail for want of one, so trouble is only told.
    pub(crate) async fn keep(&self, recording: Recording) {
        let recordings = self.clone();
        let written = tokio::task::spawn_blocking(move || recordings.write(&recording)).await;
        if let Err(error) = written.unwrap_or_else(|error| Err(io::Error::other(error))) {
            tracing::warn!(folder = %self.folder.display(), %error, "a recording was not written");
        }
    }

    fn write(&self, recording: &Recording) -> io::Result<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = file_name(number, &recording.component, recording.question.export());
        let unfinished = self.folder.join(format!("{name}.new"));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&serde_json::to_vec_pretty(recording)?)?;
        fs::rename(&unfinished, self.folder.join(&name))?;
        tracing::debug!(file = name, "call recorded");
        match number.checked_sub(KEPT) {
            Some(last) if number.is_multiple_of(KEPT / 10) => self.forget(last),
            _ => Ok(()),
        }
    }

    /// Removes the recordings up to a number.
    fn forget(&self, last: u64) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if self::number(&entry.file_name().to_string_lossy()).is_some_and(|number| number <= last) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Names the file of a recording. Whatever the component is called, it stays in the folder.
fn file_name(number: u64, component: &str, export: &str) -> String {
    let plain = |character: char| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => character,
        _ => '.',
    };
    let component: String = component.chars().take(100).map(plain).collect();
    format!("{number:08}-{component}-{export}.json")
}

/// Reads the number of a recording from the name of its file; `None` for other files.
fn number(name: &str) -> Option<u64> {
    let (number, rest) = name.split_once('-')?;
    if rest.ends_with(".json") { number.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, End, Question, RECORDING_FORMAT, Used};

    fn recording(component: &str) -> Recording {
        Recording {
            format: RECORDING_FORMAT,
            component: component.to_owned(),
            digest: "0".repeat(64),
            grants: Vec::new(),
            question: Question::Describe,
            exchanges: Vec::new(),
            end: End::Answer(Answer::Plan(Ok(Vec::new()))),
            used: Used::default(),
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn recordings_are_numbered_over_restarts_and_stay_in_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("recordings");
        Recordings::open(inner.clone()).unwrap().keep(recording("p/../../c")).await;
        Recordings::open(inner.clone()).unwrap().keep(recording("p/d")).await;
        assert_eq!(names(&inner), ["00000001-p.......c-describe.json", "00000002-p.d-describe.json"]);
        let read: Recording =
            serde_json::from_slice(&fs::read(inner.join("00000002-p.d-describe.json")).unwrap()).unwrap();
        assert_eq!(read, recording("p/d"));
    }

    #[test]
    fn oldest_recordings_go() {
        let folder = tempfile::tempdir().unwrap();
        let recordings = Recordings::open(folder.path().to_owned()).unwrap();
        for _ in 0..KEPT + KEPT / 10 {
            recordings.write(&recording("p/c")).unwrap();
        }
        let names = names(folder.path());
        assert_eq!(names.len() as u64, KEPT);
        assert_eq!(names.first().unwrap(), "00000101-p.c-describe.json");
    }
}
