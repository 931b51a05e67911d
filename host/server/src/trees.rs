//! The trees that boot environments install from: archives taken apart below the file root (drp-api.md 7.1).
//!
//! An environment names an archive for each architecture. Once the archive is there its tree is made in the background,
//! one tree at a time: checked against the sum that the environment wants, taken apart by a child into a new folder, marked
//! with what it was made of, and put in the place of the old one. Nothing but the mark is remembered, so a tree that was
//! begun when the endpoint ended is begun anew.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cap_std::fs::Dir;
use formwork_blobs::{ArchiveWorker, BlobPath, Exploded, TreeLimits, explode};
use formwork_model::{BootEnv, Objects};
use formwork_store::{Feed, FeedError};
use rustix::fs::{RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Notify, watch},
    task::{JoinHandle, spawn_blocking},
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{boot::ended, endpoint::Endpoint, files::FileRoot, housekeeping};

/// How often archives are looked for that came without an upload.
const ROUND: Duration = Duration::from_secs(5);

/// How long whoever removes trees waits for whoever makes one.
const PATIENCE: Duration = Duration::from_secs(5);

/// The file of a tree that says what it was made of.
const MARK: &str = ".formwork-archive";

/// Most bytes of that file.
const MAX_MARK_BYTES: u64 = 4096;

/// What is known of trees beside what is on disk.
#[derive(Debug, Default)]
pub(crate) struct Trees {
    /// Why a tree was not made, by its path and what was wanted of it.
    problems: Mutex<BTreeMap<(String, Wanted), Problem>>,
    /// Held by whoever makes or removes trees.
    busy: tokio::sync::Mutex<()>,
    /// An archive came.
    came: Notify,
}

/// An archive, and the sum that is wanted of it in lower case.
type Wanted = (String, String);

/// Why a tree was not made. It holds until the archive or what is wanted of it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    /// The sum that the archive has; empty when trying again may help.
    sum: String,
    words: String,
}

/// What a tree was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    archive: String,
    sha256: String,
}

/// A tree that a boot environment needs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Need {
    env: String,
    arch: &'static str,
    archive: String,
    /// The sum that the archive must have; empty when any will do.
    sha256: String,
    url: String,
    tree: String,
}

impl Trees {
    /// Has archives looked at soon.
    pub(crate) fn look(&self) {
        self.came.notify_one();
    }

    fn problems(&self) -> MutexGuard<'_, BTreeMap<(String, Wanted), Problem>> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Need {
    fn wanted(&self) -> Wanted {
        (self.archive.clone(), self.sha256.to_lowercase())
    }

    /// Returns what the tree is known by among the problems.
    fn place(&self) -> (String, Wanted) {
        (self.tree.clone(), self.wanted())
    }

    fn fits(&self, mark: &Mark) -> bool {
        mark.archive == self.archive
            && (self.sha256.is_empty() || mark.sha256.eq_ignore_ascii_case(&self.sha256))
    }

    fn says(&self, words: &str) -> String {
        format!("{}: archive {} for {}: {words}", self.env, self.archive, self.arch)
    }
}

/// Returns what keeps a boot environment from being installed from: archives that are missing, not the wanted ones,
/// damaged, or being taken apart.
pub(crate) fn faults(files: &FileRoot, env: &BootEnv) -> Vec<String> {
    needs(env).iter().filter_map(|need| fault(files, need)).collect()
}

fn fault(files: &FileRoot, need: &Need) -> Option<String> {
    if mark(files.handle(), &need.tree).is_some_and(|mark| need.fits(&mark)) {
        return None;
    }
    if let Some(problem) = files.trees().problems().get(&need.place()) {
        return Some(need.says(&problem.words));
    }
    let there = BlobPath::parse(&need.archive).is_ok_and(|path| files.isos().read(&path).is_ok());
    if there {
        return Some(need.says("it is being taken apart"));
    }
    let from = if need.url.is_empty() { String::new() } else { format!(" It can be had at {}", need.url) };
    Some(need.says(&format!("it is missing; upload it as an iso.{from}")))
}

fn needs(env: &BootEnv) -> Vec<Need> {
    let need = |arch: &'static str| {
        let boot = env.for_arch(arch);
        let (env_name, tree) = (env.name.clone(), env.install_tree(arch));
        (!boot.iso_file.is_empty()).then_some(Need {
            env: env_name,
            arch,
            archive: boot.iso_file,
            sha256: boot.sha256,
            url: boot.iso_url,
            tree,
        })
    };
    env.arches().into_iter().filter_map(need).collect()
}

fn mark(root: &Dir, tree: &str) -> Option<Mark> {
    use std::io::Read;
    let path = BlobPath::parse(tree).ok()?;
    let file = root.open(format!("{path}/{MARK}")).ok()?;
    let mut text = String::new();
    file.take(MAX_MARK_BYTES).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Makes trees until the shutdown.
pub(crate) fn start(endpoint: Arc<Endpoint>, shutdown: watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(run(endpoint, shutdown))
}

async fn run(endpoint: Arc<Endpoint>, shutdown: watch::Receiver<bool>) {
    let over = ended(shutdown.clone());
    tokio::pin!(over);
    let mut feed = endpoint.store.snapshot_and_feed().1;
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_news = tokio::select! {
            () = &mut over => return,
            () = endpoint.files.trees().came.notified() => true,
            _ = rounds.tick() => false,
            go_on = environment_changed(&mut feed) => match go_on {
                Ok(()) => true,
                Err(FeedError::Lagged { .. }) => {
                    feed = endpoint.store.snapshot_and_feed().1;
                    true
                }
                Err(FeedError::Closed) => return,
            }
        };
        // In between, housekeeping looks at the boot files of all environments.
        if is_news {
            housekeeping::note_boot_files(&endpoint).await;
        }
        tokio::select! {
            // A tree that is being made is told by the same sign.
            () = &mut over => return,
            () = make(&endpoint, &shutdown) => {}
        }
    }
}

async fn environment_changed(feed: &mut Feed) -> Result<(), FeedError> {
    loop {
        let entry = feed.next().await?;
        if entry.changes.iter().any(|change| change.prefix == "bootenvs") {
            return Ok(());
        }
    }
}

/// Makes all trees that are wanted and can be made, and notes what that changed.
async fn make(endpoint: &Arc<Endpoint>, shutdown: &watch::Receiver<bool>) {
    for need in all_needs(endpoint) {
        let (files, shutdown) = (endpoint.files.clone(), shutdown.clone());
        let worker = ArchiveWorker::of(&endpoint.options.worker);
        let shown = need.clone();
        let made = spawn_blocking(move || {
            // Only while something is made or looked at: whoever removes trees waits no longer than that.
            let _busy = files.trees().busy.blocking_lock();
            satisfy(&files, &worker, &need, &|| *shutdown.borrow())
        });
        let made = made.await;
        match made {
            Ok(Some(Ok(exploded))) => {
                let Exploded { entries, bytes, left_out, named } = exploded;
                if entries == 0 {
                    tracing::warn!(bootenv = shown.env, archive = shown.archive, "the archive is empty");
                }
                if left_out > 0 {
                    tracing::warn!(archive = shown.archive, left_out, ?named, "entries were left out");
                }
                tracing::info!(bootenv = shown.env, archive = shown.archive, entries, bytes, "tree made");
            }
            Ok(Some(Err(words))) => {
                tracing::warn!(bootenv = shown.env, archive = shown.archive, words, "tree not made");
            }
            Ok(None) => continue,
            Err(error) => tracing::error!(%error, archive = shown.archive, "tree not made"),
        }
        housekeeping::note_boot_files(endpoint).await;
    }
}

/// Returns what all environments need. Of two that want different archives in one tree the first gets its own.
fn all_needs(endpoint: &Endpoint) -> Vec<Need> {
    let mut found: BTreeMap<String, Need> = BTreeMap::new();
    endpoint.snapshot().visit("bootenvs", &mut |object| {
        for need in object.as_any().downcast_ref::<BootEnv>().map(needs).unwrap_or_default() {
            match found.get(&need.tree).filter(|first| first.wanted() != need.wanted()) {
                Some(first) => {
                    let words = format!(
                        "its tree {} is that of {}, which has another archive\nhint: give one of them another \
                         OS.Name",
                        need.tree, first.env
                    );
                    let problem = Problem { sum: String::new(), words };
                    endpoint.files.trees().problems().insert(need.place(), problem);
                }
                None => drop(found.insert(need.tree.clone(), need)),
            }
        }
        true
    });
    found.into_values().collect()
}

/// Makes one tree if that is to be done; `None` when it is not.
fn satisfy(
    files: &FileRoot,
    worker: &ArchiveWorker,
    need: &Need,
    stopped: &dyn Fn() -> bool,
) -> Option<Result<Exploded, String>> {
    let path = BlobPath::parse(&need.archive).ok()?;
    let blob = files.isos().read(&path).ok()?;
    let refused = |sum: &str, words: String| {
        let problem = Problem { sum: sum.to_owned(), words: words.clone() };
        files.trees().problems().insert(need.place(), problem);
        Some(Err(words))
    };
    let sum = match files.isos().sum_of(&path, &blob) {
        Ok(sum) => sum,
        Err(error) => return refused("", error.to_string()),
    };
    let known = mark(files.handle(), &need.tree);
    if known.is_some_and(|mark| mark.archive == need.archive && mark.sha256 == sum) {
        files.trees().problems().remove(&need.place());
        return None;
    }
    if files.trees().problems().get(&need.place()).is_some_and(|problem| problem.sum == sum) {
        return None;
    }
    if !need.sha256.is_empty() && !need.sha256.eq_ignore_ascii_case(&sum) {
        let words = format!("it is not the one that is wanted: its SHA-256 is {sum}, not {}", need.sha256);
        return refused(&sum, words);
    }
    let mark = Mark { archive: need.archive.clone(), sha256: sum.clone() };
    match build(files.handle(), worker, (&need.tree, blob.file), &mark, stopped) {
        Ok(exploded) => {
            files.changed();
            files.trees().problems().remove(&need.place());
            Some(Ok(exploded))
        }
        // The next start begins anew.
        Err(_) if stopped() => None,
        Err(Unmade { words, is_final }) => refused(if is_final { &sum } else { "" }, words),
    }
}

/// A tree that was not made; a final reason lies in the archive, and trying again ends in the same way.
struct Unmade {
    words: String,
    is_final: bool,
}

/// Takes an archive apart beside a tree and puts it in the tree's place.
fn build(
    root: &Dir,
    worker: &ArchiveWorker,
    (tree, archive): (&str, std::fs::File),
    mark: &Mark,
    stopped: &dyn Fn() -> bool,
) -> Result<Exploded, Unmade> {
    let path = BlobPath::parse(tree).map_err(|error| Unmade { words: error.to_string(), is_final: true })?;
    let failed = |error: io::Error| Unmade {
        words: format!("failed to write the tree {tree}; it is tried again: {error}"),
        is_final: false,
    };
    let parent = path.parent();
    root.create_dir_all(parent.as_str()).map_err(failed)?;
    let parent = root.open_dir(parent.as_str()).map_err(failed)?;
    let fresh = format!("{}.new", path.name());
    remove(&parent, &fresh).map_err(failed)?;
    parent.create_dir(&fresh).map_err(failed)?;
    let into = parent.open_dir(&fresh).map_err(failed)?;
    let exploded = explode(worker, archive, &into, TreeLimits::default(), stopped);
    let exploded = exploded.map_err(|error| {
        let _ = remove(&parent, &fresh);
        let is_final = error.is_of_the_archive();
        Unmade {
            words: if is_final { error.to_string() } else { format!("{error}; it is tried again") },
            is_final,
        }
    })?;
    let text = serde_json::to_vec(mark).map_err(|error| failed(error.into()))?;
    into.write(MARK, text).and_then(|()| into.open(MARK)?.sync_all()).map_err(failed)?;
    replace(&parent, &fresh, path.name()).map_err(failed)?;
    Ok(exploded)
}

/// Puts a folder in the place of another at once, and removes the other.
fn replace(parent: &Dir, fresh: &str, name: &str) -> io::Result<()> {
    if parent.exists(name) {
        renameat_with(parent, fresh, parent, name, RenameFlags::EXCHANGE)?;
        remove(parent, fresh)?;
    } else {
        parent.rename(fresh, parent, name)?;
    }
    parent.open(".")?.sync_all()
}

fn remove(parent: &Dir, name: &str) -> io::Result<()> {
    match parent.remove_dir_all(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes a tree and tells whether there was one. It goes as a whole: what is left of one has another name.
fn remove_tree(root: &Dir, tree: &str) -> bool {
    let Ok(path) = BlobPath::parse(tree) else { return false };
    let Ok(parent) = root.open_dir(path.parent().as_str()) else { return false };
    let old = format!("{}.old", path.name());
    let removed = remove(&parent, &old)
        .and_then(|()| parent.rename(path.name(), &parent, &old))
        .and_then(|()| parent.open(".")?.sync_all());
    match removed {
        Ok(()) => {
            if let Err(error) = remove(&parent, &old) {
                tracing::warn!(tree, %error, "the rest of a tree was not removed");
            }
            true
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => {
            tracing::error!(tree, %error, "a tree was not removed");
            false
        }
    }
}

/// Somebody else makes or removes trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// Returns the archives of an environment for some architectures, all when none is named.
pub(crate) fn archives(env: &BootEnv, arches: &[String]) -> Vec<String> {
    chosen(env, arches).into_iter().map(|need| need.archive).collect()
}

fn chosen(env: &BootEnv, arches: &[String]) -> Vec<Need> {
    let named = |need: &Need| {
        arches.is_empty() || arches.iter().any(|arch| formwork_model::canonical_arch(arch) == Some(need.arch))
    };
    needs(env).into_iter().filter(named).collect()
}

/// Removes the trees of an environment for some architectures, all when none is named, and its archives too unless
/// they are to be taken apart again. Tells whether anything was there.
pub(crate) async fn purge(
    endpoint: &Arc<Endpoint>,
    env: &BootEnv,
    arches: &[String],
    again: bool,
) -> Result<bool, Busy> {
    let busy = timeout(PATIENCE, endpoint.files.trees().busy.lock()).await.map_err(|_| Busy)?;
    let wanted = chosen(env, arches);
    let files = endpoint.files.clone();
    let purged = spawn_blocking(move || {
        let mut any = false;
        for need in wanted {
            files.trees().problems().remove(&need.place());
            any |= remove_tree(files.handle(), &need.tree);
            files.changed();
            if let (false, Ok(path)) = (again, BlobPath::parse(&need.archive)) {
                any |= files.isos().remove(&path).is_ok();
            }
        }
        any
    });
    let any = purged.await.unwrap_or_default();
    drop(busy);
    endpoint.files.trees().look();
    Ok(any)
}
