//! A program that runs beside this one.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::until;

/// How long it may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(3);

/// A running program, whose words are in a file. Dropping it ends it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command` in a process group of its own, so that Ctrl-C reaches this program alone.
    ///
    /// # Errors
    /// The log cannot be written or the program does not start.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("failed to write `{}`", log.display()))?;
        let second = file.try_clone().with_context(|| format!("failed to write `{}`", log.display()))?;
        command.stdin(Stdio::null()).stdout(file).stderr(second).process_group(0);
        let child = command.spawn().with_context(|| format!("failed to start {command:?}"))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Returns its process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns what it has printed so far.
    #[must_use]
    pub fn words(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Returns the last lines that it printed.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        let words = self.words();
        let all: Vec<&str> = words.lines().collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
    }

    /// Fails when it has ended, with its last words.
    ///
    /// # Errors
    /// It has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait().context("failed to look at a process")? {
            Some(status) => bail!("it ended with {status}: {}", self.tail(5)),
            None => Ok(()),
        }
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.child.id()).map_err(|_| anyhow!("no process number"))?;
        kill(Pid::from_raw(id), signal).with_context(|| format!("failed to send {signal}"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.signal(Signal::SIGTERM);
        let ended = until(PATIENCE, "the end", || Ok(self.child.try_wait().unwrap_or(None)));
        if ended.is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str, folder: &Path) -> Daemon {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Daemon::start(command, &folder.join("log")).unwrap()
    }

    #[test]
    fn dropped_daemon_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let mut daemon = start("echo up; exec sleep 1000", folder.path());
        let entry = format!("/proc/{}", daemon.id());
        until(PATIENCE, "a word", || Ok((daemon.words() == "up\n").then_some(()))).unwrap();
        daemon.check().unwrap();
        drop(daemon);
        assert!(!Path::new(&entry).exists());
    }

    #[test]
    fn daemon_that_ended_is_told_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut daemon = start("echo first; echo last; exit 4", folder.path());
        let error = until(PATIENCE, "the end", || Ok(daemon.check().err())).unwrap().to_string();
        assert!(error.contains("exit status: 4") && error.ends_with("last"), "{error}");
    }
}
