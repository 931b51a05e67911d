//! What a demo has started, written to a file, so that the next one can end what a killed one has left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::network;
use super::process::terminate;
use crate::report::say;

/// The list of one demo. Dropping it removes the file.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    entries: Entries,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Entries {
    owner: Identity,
    processes: Vec<Identity>,
    namespaces: Vec<String>,
}

/// A process number and when that process started: numbers come again.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    id: u32,
    start: String,
}

impl Journal {
    /// Begins a list at `path` and first ends whatever a dead demo has left there.
    ///
    /// # Errors
    /// A demo with the same list is running.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if let Ok(text) = fs::read_to_string(path) {
            // A file cut off by a crash lists nothing that could be trusted.
            let left: Entries = serde_json::from_str(&text).unwrap_or_default();
            if left.owner.lives() {
                bail!("another demo is running as process {}\nhint: end it with Ctrl-C there", left.owner.id);
            }
            left.end();
        }
        let owner = Identity::of(process::id()).context("failed to read `/proc`")?;
        let journal = Self { path: path.to_owned(), entries: Entries { owner, ..Entries::default() } };
        journal.write()?;
        Ok(journal)
    }

    /// Adds a process that was just started.
    pub(super) fn process(&mut self, id: u32) -> Result<()> {
        self.entries.processes.extend(Identity::of(id));
        self.write()
    }

    /// Adds a network namespace that is about to be made.
    pub(super) fn namespace(&mut self, name: &str) -> Result<()> {
        self.entries.namespaces.push(name.to_owned());
        self.write()
    }

    fn write(&self) -> Result<()> {
        let text = serde_json::to_string(&self.entries).context("failed to write the list of what runs")?;
        fs::write(&self.path, text).with_context(|| format!("failed to write `{}`", self.path.display()))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Entries {
    fn end(&self) {
        for process in self.processes.iter().filter(|process| process.lives()) {
            say(&format!("ending process {}, left by an earlier demo", process.id));
            terminate(process.id);
        }
        for name in &self.namespaces {
            network::remove(name);
        }
    }
}

impl Identity {
    fn of(id: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let start = running_since(&stat)?.to_owned();
        Some(Self { id, start })
    }

    fn lives(&self) -> bool {
        Self::of(self.id).as_ref() == Some(self)
    }
}

/// Returns field 22 of `/proc/PID/stat` (proc(5)), or nothing when field 3 says that the process has ended and only
/// waits for its parent. The name in field 2 may hold blanks and brackets.
fn running_since(stat: &str) -> Option<&str> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ended = matches!(fields.first(), Some(&"Z" | &"X"));
    fields.get(19).copied().filter(|_| !ended)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("xtask-journal-{}-{name}", process::id()))
    }

    #[test]
    fn start_is_read_behind_a_name_with_brackets() {
        let fields: Vec<String> = (3..=30).map(|field| field.to_string()).collect();
        let stat = format!("12 (a) b (c)) {}", fields.join(" "));
        assert_eq!(running_since(&stat), Some("22"));
        assert_eq!(running_since("cut off"), None);
    }

    #[test]
    fn process_that_ended_and_was_not_waited_for_does_not_live() {
        let mut child = Command::new("true").stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let identity = Identity { id: child.id(), start: String::new() };
        // The kernel closes the pipe before it ends the process, so the state is read until it says so.
        while Identity::of(identity.id).is_some() {
            std::thread::yield_now();
        }
        assert!(!identity.lives());
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn second_demo_is_refused_and_names_the_first() {
        let path = path("second");
        let journal = Journal::open(&path).unwrap();
        let error = Journal::open(&path).unwrap_err().to_string();
        assert!(error.contains(&process::id().to_string()), "{error}");
        drop(journal);
        assert!(!path.exists());
    }

    #[test]
    fn process_of_a_dead_demo_is_ended_and_a_number_that_came_again_is_spared() {
        let path = path("dead");
        let spawn = || Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
        let (mut left, mut spared) = (spawn(), spawn());
        let other = Identity { id: spared.id(), start: "1".to_owned() };
        let entries = Entries {
            owner: Identity { id: u32::MAX, start: "1".to_owned() },
            processes: vec![Identity::of(left.id()).unwrap(), other],
            namespaces: Vec::new(),
        };
        fs::write(&path, serde_json::to_string(&entries).unwrap()).unwrap();
        let journal = Journal::open(&path).unwrap();
        assert!(left.wait().unwrap().code().is_none());
        assert!(spared.try_wait().unwrap().is_none());
        spared.kill().unwrap();
        spared.wait().unwrap();
        drop(journal);
    }
}
