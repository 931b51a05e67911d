//! Programs that run beside the demo: their lines arrive as events, and they end when the demo ends.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, PipeReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::journal::Journal;
use crate::shell;

/// How long a program may take to end by itself when it is asked to.
const PATIENCE: Duration = Duration::from_secs(5);

/// A longer line is cut into pieces.
const MAX_LINE: u64 = 256 * 1024;

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The log of the endpoint.
    Endpoint,
    /// The serial console of the machine, or the words of a simulated one.
    Machine,
    /// The endpoint's events, one JSON object a line.
    Feed,
}

/// What the demo waits for.
#[derive(Debug)]
pub(super) enum Event {
    /// A program printed a line.
    Line(Source, String),
    /// A program closed its output: it ended.
    Ended(Source),
}

/// Starts programs: writes each into the journal, its words into a log, and its lines to who waits for events.
#[derive(Debug)]
pub(super) struct Starter {
    /// What runs, for the demo after a killed one.
    pub(super) journal: Journal,
    /// The folder of logs.
    pub(super) logs: PathBuf,
    /// Who waits.
    pub(super) events: Sender<Event>,
}

impl Starter {
    /// Starts `command`, with the log `LOGS/NAME.log`.
    pub(super) fn start(&mut self, name: &str, source: Source, command: Command) -> Result<Process> {
        let process = Process::start(command, source, &self.logs.join(format!("{name}.log")), &self.events)?;
        self.journal.process(process.child.id())?;
        Ok(process)
    }
}

/// A running program. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    ended: Receiver<()>,
    log: PathBuf,
}

impl Process {
    /// Starts `command` in a process group of its own, so that Ctrl-C reaches the demo alone, and sends what it
    /// prints to `events` and into the file `log`.
    pub(super) fn start(
        mut command: Command,
        source: Source,
        log: &Path,
        events: &Sender<Event>,
    ) -> Result<Self> {
        let (reader, writer) = io::pipe().context("failed to make a pipe")?;
        let file = File::create(log).with_context(|| format!("failed to write `{}`", log.display()))?;
        let second = writer.try_clone().context("failed to make a pipe")?;
        command.stdin(Stdio::null()).stdout(writer).stderr(second).process_group(0);
        let child =
            command.spawn().with_context(|| format!("failed to start `{}`", shell::line(&command)))?;
        let (ends, ended) = mpsc::channel();
        let events = events.clone();
        thread::spawn(move || {
            forward(reader, file, source, &events);
            // Nobody may listen any more; both sends are best effort.
            let _ = ends.send(());
            let _ = events.send(Event::Ended(source));
        });
        Ok(Self { child, ended, log: log.to_owned() })
    }

    /// Returns the last lines that it printed.
    pub(super) fn tail(&self, lines: usize) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let all: Vec<&str> = text.lines().collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
    }

    /// Returns how it ended, or waits for that when it has closed its output.
    pub(super) fn status(&mut self) -> String {
        self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        terminate(self.child.id());
        if self.ended.recv_timeout(PATIENCE).is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Asks the process `id` to end.
pub(super) fn terminate(id: u32) {
    // A shell's own `kill`: a minimal system has no program of that name.
    let mut kill = Command::new("sh");
    kill.args(["-c", "kill -TERM \"$1\"", "sh", &id.to_string()]).stderr(Stdio::null());
    let _ = kill.status();
}

fn forward(reader: PipeReader, mut log: File, source: Source, events: &Sender<Event>) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        // The program must not stand still because a log's disk is full.
        let _ = log.write_all(&line);
        let _ = events.send(Event::Line(source, plain(&String::from_utf8_lossy(&line))));
    }
}

/// Returns `line` without the colours and cursor movements of a terminal (ECMA-48 5.4) and other control characters.
pub(super) fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' {
            if letters.next_if_eq(&'[').is_some() {
                let _ = letters.find(|end| ('@'..='~').contains(end));
            }
        } else if letter == '\t' || !letter.is_control() {
            text.push(letter);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str, name: &str) -> (Process, Receiver<Event>) {
        let (events, received) = mpsc::channel();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let log = std::env::temp_dir().join(format!("xtask-process-{}-{name}", std::process::id()));
        let process = Process::start(command, Source::Machine, &log, &events).unwrap();
        (process, received)
    }

    #[test]
    fn both_outputs_arrive_as_lines_and_then_the_end() {
        let (mut process, received) = start("echo one; echo two >&2; exit 4", "lines");
        let events: Vec<Event> = received.iter().collect();
        let lines: Vec<&str> = events
            .iter()
            .filter_map(|event| match event {
                Event::Line(_, text) => Some(text.as_str()),
                Event::Ended(_) => None,
            })
            .collect();
        assert_eq!(lines, ["one", "two"]);
        assert!(matches!(events.last(), Some(Event::Ended(Source::Machine))));
        assert_eq!(process.status(), "exit status: 4");
        assert_eq!(process.tail(1), "two");
        let _ = std::fs::remove_file(&process.log);
    }

    #[test]
    fn dropped_process_is_gone() {
        let (process, received) = start("echo up; exec sleep 1000", "drop");
        assert!(matches!(received.recv().unwrap(), Event::Line(_, text) if text == "up"));
        let (entry, log) = (format!("/proc/{}", process.child.id()), process.log.clone());
        assert!(Path::new(&entry).exists());
        drop(process);
        assert!(!Path::new(&entry).exists());
        let _ = std::fs::remove_file(log);
    }

    #[test]
    fn colours_and_carriage_returns_are_taken_off() {
        assert_eq!(plain("\u{1b}[2J\u{1b}[1;31mred\u{1b}[0m text\r\n"), "red text");
        assert_eq!(plain("\u{1b}["), "");
    }
}
