//! What the parent does with an archive: entries of the child become files below one folder, and only where they may.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};

use crate::{
    frame::{self, Entry, EntryKind},
    path::BlobPath,
    space::sync,
};

/// Bytes that are read from the pipe at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Most bytes of the child's words that are kept.
const MAX_WORDS_BYTES: u64 = 4096;

/// Bytes of the disk that no archive may use up.
const KEPT_FREE: u64 = 1 << 30;

/// Most entries that are left out by name in the answer.
const MAX_NAMED: usize = 20;

/// The program that reads archives: one that calls [`crate::archive_worker`] when it is started with these arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveWorker {
    /// The program's path, usually that of the running one.
    pub program: PathBuf,
    /// The arguments that make it call [`crate::archive_worker`].
    pub args: Vec<String>,
}

impl ArchiveWorker {
    /// The word that makes the product's own program call [`crate::archive_worker`].
    pub const WORD: &str = "archive-worker";

    /// Returns the command of the product's own program.
    #[must_use]
    pub fn of(program: &Path) -> Self {
        Self { program: program.to_owned(), args: vec![Self::WORD.to_owned()] }
    }
}

/// How much one archive may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeLimits {
    /// Most entries.
    pub entries: u64,
    /// Most bytes of all files together.
    pub bytes: u64,
}

impl Default for TreeLimits {
    /// A million entries and 64 GiB: three times the largest installation media there are.
    fn default() -> Self {
        Self { entries: 1_000_000, bytes: 64 << 30 }
    }
}

/// What came of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exploded {
    /// How many files, folders and links were made.
    pub entries: u64,
    /// How many bytes all files have.
    pub bytes: u64,
    /// How many entries were left out: devices, and links that lead out of the folder.
    pub left_out: u64,
    /// The first of those that were left out, with the reason.
    pub named: Vec<String>,
}

/// An archive was not taken apart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExplodeError {
    /// The child could not be started.
    #[error("failed to run `{program}`: {source}")]
    Worker {
        /// The program.
        program: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// It is damaged, or none that is known.
    #[error("{0}")]
    Archive(String),
    /// An entry has a name that leads elsewhere.
    #[error("the archive has an entry that leads out of its folder: {0}")]
    Outside(String),
    /// It holds more than is allowed.
    #[error("the archive has more than {value} {what}")]
    Limit {
        /// `entries` or `bytes`.
        what: &'static str,
        /// The limit.
        value: u64,
    },
    /// The disk would be full.
    #[error("the archive needs more than the {0} bytes that the disk can give")]
    Space(u64),
    /// A file could not be written.
    #[error("failed to write `{path}`: {source}")]
    Io {
        /// The path in the archive.
        path: String,
        /// The system's words.
        source: io::Error,
    },
    /// Whoever asked does not want it any more.
    #[error("it was stopped")]
    Stopped,
}

impl ExplodeError {
    /// Tells whether the reason lies in the archive, so that another try ends in the same way.
    #[must_use]
    pub fn is_of_the_archive(&self) -> bool {
        matches!(self, Self::Archive(_) | Self::Outside(_) | Self::Limit { .. })
    }
}

/// Takes an archive apart below a folder; returns when all of it is on disk.
///
/// Files of the same name are replaced, others stay. After an error the folder holds a part of the archive: callers who
/// need all or nothing use a new folder. `stopped` is asked before each entry and piece of a file.
///
/// # Errors
///
/// Fails for what is no archive or damaged, for entries that lead out of the folder, beyond the limits, and when the disk
/// does not do it. Devices, and links that lead out, are no error: they are left out.
pub fn explode(
    worker: &ArchiveWorker,
    archive: File,
    into: &Dir,
    limits: TreeLimits,
    stopped: &dyn Fn() -> bool,
) -> Result<Exploded, ExplodeError> {
    let mut child = Reader::start(worker, archive)?;
    let space = free(into);
    let folders = HashSet::new();
    let mut tree = Tree { into, limits, space, stopped, folders, made: Exploded::default() };
    let taken = tree.take(&mut child.output);
    if taken.is_err() {
        child.stop();
    }
    let ended = child.end(worker)?;
    // The child's words say more than that the pipe broke.
    match (taken, ended) {
        (Err(ExplodeError::Archive(words)), Ending::Failed(better)) => {
            Err(ExplodeError::Archive(if better.is_empty() { words } else { better }))
        }
        (Err(error), _) => Err(error),
        (Ok(()), Ending::Failed(words)) => Err(ExplodeError::Archive(words)),
        (Ok(()), Ending::Done) => {
            // One call for all files: waiting for each of some ten thousand would take minutes.
            let synced = into.open(".").and_then(|folder| Ok(rustix::fs::syncfs(&folder)?));
            synced
                .and_then(|()| sync(into))
                .map_err(|source| ExplodeError::Io { path: ".".to_owned(), source })?;
            Ok(tree.made)
        }
    }
}

/// The child that reads.
struct Reader {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    words: thread::JoinHandle<String>,
}

enum Ending {
    Done,
    Failed(String),
}

impl Reader {
    fn start(worker: &ArchiveWorker, archive: File) -> Result<Self, ExplodeError> {
        let failed = |source| ExplodeError::Worker { program: worker.program.clone(), source };
        let mut child = Command::new(&worker.program)
            .args(&worker.args)
            .env_clear()
            .current_dir("/")
            .stdin(archive)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(failed(io::Error::other("it has no pipes")));
        };
        // A child that says more than a pipe holds must not stand still.
        let words = thread::spawn(move || {
            let mut errors = errors;
            let mut words = Vec::new();
            let kept = errors.by_ref().take(MAX_WORDS_BYTES).read_to_end(&mut words);
            let _ = kept.and_then(|_| io::copy(&mut errors, &mut io::sink()));
            String::from_utf8_lossy(&words).trim().to_owned()
        });
        Ok(Self { child, output: BufReader::with_capacity(BUFFER_BYTES, output), words })
    }

    /// Ends the child: nobody wants the rest, and it may compute for long before it notices.
    fn stop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
    }

    /// Waits for the end.
    fn end(self, worker: &ArchiveWorker) -> Result<Ending, ExplodeError> {
        let Self { mut child, output, words } = self;
        drop(output);
        let status = child
            .wait()
            .map_err(|source| ExplodeError::Worker { program: worker.program.clone(), source })?;
        let words = words.join().unwrap_or_default();
        if status.success() {
            return Ok(Ending::Done);
        }
        Ok(Ending::Failed(if words.is_empty() { died(status) } else { words }))
    }
}

fn died(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(libc::SIGXCPU) => "reading the archive took more than an hour of a processor".to_owned(),
        // The parent closed the pipe and knows why.
        Some(libc::SIGPIPE | libc::SIGKILL) => String::new(),
        _ => format!("the reader of the archive ended: {status}"),
    }
}

/// Returns the bytes that may be written.
fn free(folder: &Dir) -> u64 {
    let Ok(found) = rustix::fs::fstatvfs(folder) else { return u64::MAX };
    found.f_bavail.saturating_mul(found.f_frsize).saturating_sub(KEPT_FREE)
}

/// The folder that is filled.
struct Tree<'a> {
    into: &'a Dir,
    limits: TreeLimits,
    space: u64,
    stopped: &'a dyn Fn() -> bool,
    /// Folders that are there and no links.
    folders: HashSet<String>,
    made: Exploded,
}

impl Tree<'_> {
    fn take(&mut self, from: &mut impl Read) -> Result<(), ExplodeError> {
        let broken = |error: io::Error| ExplodeError::Archive(format!("the archive breaks off: {error}"));
        let mut seen = 0_u64;
        while let Some(entry) = frame::next(from).map_err(broken)? {
            seen += 1;
            if seen > self.limits.entries {
                return Err(ExplodeError::Limit { what: "entries", value: self.limits.entries });
            }
            self.entry(entry, from)?;
        }
        Ok(())
    }

    fn entry(&mut self, Entry { path, kind }: Entry, from: &mut impl Read) -> Result<(), ExplodeError> {
        self.go_on()?;
        let at = place(&path)?;
        let failed = |source| ExplodeError::Io { path: path.clone(), source };
        if at.is_top() {
            return match kind {
                EntryKind::Folder => Ok(()),
                _ => Err(ExplodeError::Outside(path)),
            };
        }
        match kind {
            EntryKind::Folder => self.folder(&at)?,
            EntryKind::File { size, executable } => self.file(&at, (size, executable), from)?,
            EntryKind::Symlink(target) => {
                if !stays(&at, &target) {
                    self.leave_out(&format!("`{path}` links to `{target}`, which is outside"));
                    return Ok(());
                }
                self.make_room(&at)?;
                self.into.symlink(&target, at.as_str()).map_err(failed)?;
            }
            EntryKind::HardLink(target) => {
                let target = place(&target)?;
                self.folder(&target.parent())?;
                // A link has its meaning at its own place only.
                let is_file = self.into.symlink_metadata(target.as_str()).is_ok_and(|found| found.is_file());
                if target == at || !is_file {
                    self.leave_out(&format!("`{path}` is another name of `{target}`, which is no file"));
                    return Ok(());
                }
                self.make_room(&at)?;
                self.into.hard_link(target.as_str(), self.into, at.as_str()).map_err(failed)?;
            }
            EntryKind::Other(what) => {
                self.leave_out(&format!("`{path}` is no file: {what}"));
                return Ok(());
            }
        }
        self.made.entries += 1;
        Ok(())
    }

    fn file(
        &mut self,
        at: &BlobPath,
        (size, executable): (u64, bool),
        from: &mut impl Read,
    ) -> Result<(), ExplodeError> {
        let failed = |source| ExplodeError::Io { path: at.to_string(), source };
        self.made.bytes = self.made.bytes.saturating_add(size);
        if self.made.bytes > self.limits.bytes {
            return Err(ExplodeError::Limit { what: "bytes", value: self.limits.bytes });
        }
        if self.made.bytes > self.space {
            return Err(ExplodeError::Space(self.space));
        }
        self.make_room(at)?;
        let mode = if executable { 0o755 } else { 0o644 };
        let options = OpenOptions::new().write(true).create_new(true).mode(mode).clone();
        let mut file = self.into.open_with(at.as_str(), &options).map_err(failed)?;
        let mut left = size;
        let mut buffer = vec![0; BUFFER_BYTES.min(usize::try_from(size).unwrap_or(BUFFER_BYTES).max(1))];
        while left > 0 {
            self.go_on()?;
            let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let piece = buffer.get_mut(..most).unwrap_or_default();
            let read = from.read(piece).map_err(|error| ExplodeError::Archive(error.to_string()))?;
            if read == 0 {
                return Err(ExplodeError::Archive(format!("it breaks off in the middle of `{at}`")));
            }
            file.write_all(piece.get(..read).unwrap_or_default()).map_err(failed)?;
            left = left.saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    /// Makes the folder that something is to be in, and removes what has its name.
    fn make_room(&mut self, at: &BlobPath) -> Result<(), ExplodeError> {
        self.folder(&at.parent())?;
        let removed = match self.into.symlink_metadata(at.as_str()) {
            Ok(metadata) if !metadata.is_dir() => self.into.remove_file(at.as_str()),
            _ => Ok(()),
        };
        removed.map_err(|source| ExplodeError::Io { path: at.to_string(), source })
    }

    /// Makes a folder with those that it is in. A link in the place of one would make the paths of links below it lead
    /// elsewhere than they say.
    fn folder(&mut self, at: &BlobPath) -> Result<(), ExplodeError> {
        if at.is_top() || self.folders.contains(at.as_str()) {
            return Ok(());
        }
        self.folder(&at.parent())?;
        let failed = |source| ExplodeError::Io { path: at.to_string(), source };
        match self.into.symlink_metadata(at.as_str()) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(metadata) if metadata.is_symlink() => {
                let words = format!("`{at}` is a link and a folder at once");
                return Err(ExplodeError::Outside(words));
            }
            _ => self.into.create_dir(at.as_str()).map_err(failed)?,
        }
        self.folders.insert(at.as_str().to_owned());
        Ok(())
    }

    fn go_on(&self) -> Result<(), ExplodeError> {
        if (self.stopped)() { Err(ExplodeError::Stopped) } else { Ok(()) }
    }

    fn leave_out(&mut self, words: &str) {
        self.made.left_out += 1;
        if self.made.named.len() < MAX_NAMED {
            self.made.named.push(words.to_owned());
        }
    }
}

/// Returns where an entry is to be: a path that begins with `./` is as good as one without.
fn place(path: &str) -> Result<BlobPath, ExplodeError> {
    let outside = |why: &str| Err(ExplodeError::Outside(format!("`{path}`: {why}")));
    if path.starts_with('/') {
        return outside("it begins with a slash");
    }
    let plain: Vec<&str> = path.split('/').filter(|element| *element != ".").collect();
    match BlobPath::parse(&plain.join("/")) {
        Ok(place) => Ok(place),
        Err(error) => outside(error.reason),
    }
}

/// Tells whether a link at a place leads to something in the same tree: it goes up at its beginning only, and not too far.
fn stays(at: &BlobPath, target: &str) -> bool {
    if target.is_empty() || target.starts_with('/') || target.contains('\0') {
        return false;
    }
    let depth = at.as_str().split('/').count() - 1;
    let elements = || target.split('/').filter(|element| !matches!(*element, "" | "."));
    let ups = elements().take_while(|element| *element == "..").count();
    ups <= depth && elements().skip(ups).all(|element| element != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_has_its_place_in_the_tree_or_none() {
        assert_eq!(place("./a/./b").unwrap().as_str(), "a/b");
        assert!(place("./").unwrap().is_top());
        for path in ["/etc/passwd", "../x", "a/../../x", "a/..", "x\0y"] {
            assert!(matches!(place(path), Err(ExplodeError::Outside(_))), "{path}");
        }
    }

    #[test]
    fn link_stays_in_the_tree_or_is_none() {
        let at = |path: &str| BlobPath::parse(path).unwrap();
        for (path, target) in [("a", "b"), ("a/b", "../c"), ("debian", "."), ("a/b/c", "../../d/./e")] {
            assert!(stays(&at(path), target), "{path} -> {target}");
        }
        for (path, target) in [("a", "/b"), ("a", ".."), ("a/b", "../../c"), ("a", ""), ("a", "b/..")] {
            assert!(!stays(&at(path), target), "{path} -> {target}");
        }
    }
}
