//! Updates that are put together first and applied whole (drp-api.md 14.3).
//!
//! There is one at a time. What is added to it is looked at at once and kept in a folder of its own; nothing of it is in use
//! before it is committed, and then all of it is, in one transaction of the store. An update is not remembered over a
//! restart: what it left is removed. The archives of what is in use are kept as `SHA256.drpca`.

mod archives;
mod busy;
mod received;
mod shown;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use formwork_api::ApiError;
use formwork_blobs::{ArchiveWorker, Space};
use formwork_model::{InstalledContent, Objects, ObjectsExt, Timestamp};
use formwork_packs::versions;

use self::{
    archives::Archives,
    busy::Busy,
    received::{Item, Received, What},
};
pub(crate) use self::{
    archives::{ContentArchiveView, list, sources},
    shown::{CommitOperation, StagedItem, UpdateResponse},
};
use super::{
    load::{self, Scratch, Step, blocking},
    refuse_own,
};
use crate::{
    auth::Caller,
    commit::internal,
    content::artifacts,
    endpoint::Endpoint,
    files::FileRoot,
    packs::{self, Wanted},
    random,
};

/// How long an update is kept to which nothing happens.
const KEPT: Duration = Duration::from_secs(3600);

/// Most items of one update.
const MAX_ITEMS: usize = 1_000;

/// The update that is being put together, and what archives were left by those before it.
pub(crate) struct Updates {
    folder: PathBuf,
    archives: Archives,
    staging: Space,
    current: Mutex<Option<Update>>,
    /// Held by whoever writes the artifacts of a load.
    pub(super) loading: tokio::sync::Mutex<()>,
}

struct Update {
    token: String,
    user: String,
    revision: u64,
    created: Timestamp,
    expires: Timestamp,
    items: Vec<Item>,
    is_busy: bool,
    folder: Arc<Scratch>,
}

impl Updates {
    /// Keeps archives below a folder. What an earlier process had put together is removed.
    ///
    /// # Errors
    ///
    /// The folder cannot be made.
    pub(crate) fn new(root: &Path) -> io::Result<Self> {
        let folder = root.join("content-archives");
        let staging = folder.join("staging");
        if staging.exists() {
            fs::remove_dir_all(&staging)?;
        }
        fs::create_dir_all(folder.join("undo"))?;
        let staging = Space::open(&staging, Arc::default())?;
        let archives = Archives(folder.clone());
        Ok(Self {
            folder,
            archives,
            staging,
            current: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
        })
    }

    /// Ends the loads that an earlier process left in the middle, and removes the archives that nothing names. Blocks.
    ///
    /// # Errors
    ///
    /// The disk does not do it.
    pub(crate) fn recover(&self, files: &FileRoot, objects: &impl Objects) -> Result<(), ApiError> {
        artifacts::recover(files, &self.journals(), objects).map_err(|error| internal(&error))?;
        self.archives.sweep(objects);
        Ok(())
    }

    /// Returns where uploads go.
    pub(crate) fn space(&self) -> &Space {
        &self.staging
    }

    /// Returns where an upload is on disk.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.folder.join("staging").join(path)
    }

    /// Returns a folder that nobody has.
    pub(super) fn scratch(&self) -> PathBuf {
        self.folder.join("staging").join(random::uuid())
    }

    /// Returns where journals are.
    pub(super) fn journals(&self) -> PathBuf {
        self.folder.join("undo")
    }

    /// Returns the update, unless its time is over.
    fn current(&self, now: Timestamp) -> MutexGuard<'_, Option<Update>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|update| !update.is_busy && update.expires <= now) {
            *current = None;
        }
        current
    }
}

impl Update {
    fn shown(&self) -> UpdateResponse {
        UpdateResponse {
            token: self.token.clone(),
            user: self.user.clone(),
            revision: self.revision,
            created_at: self.created,
            expires_at: self.expires,
            items: self.items.iter().map(|item| item.shown.clone()).collect(),
        }
    }
}

fn after(now: Timestamp) -> Timestamp {
    let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.millis().saturating_add(kept))
}

fn error(code: u16, method: &str, message: impl Into<String>, key: &str) -> ApiError {
    ApiError::new(code, method, message.into()).about("content_archives", key)
}

fn none(method: &str) -> ApiError {
    error(404, method, "no update is under way\nhint: start one with POST /content_archives/update/start", "")
}

/// Starts an update.
///
/// # Errors
///
/// 409 while another is under way.
pub(crate) fn start(endpoint: &Endpoint, caller: &Caller) -> Result<UpdateResponse, ApiError> {
    caller.require("contents", "update", "")?;
    let now = endpoint.now();
    let mut current = endpoint.updates.current(now);
    if let Some(other) = current.as_ref() {
        let (user, until) = (&other.user, other.expires);
        let message = format!(
            "an update of {user} is under way until {until}\nhint: DELETE /content_archives/update ends it"
        );
        return Err(error(409, "POST", message, ""));
    }
    let token = random::uuid();
    let update = current.insert(Update {
        folder: Arc::new(Scratch(endpoint.updates.folder.join("staging").join(&token))),
        token,
        user: caller.user().unwrap_or(&caller.principal).to_owned(),
        revision: endpoint.snapshot().revision().0,
        created: now,
        expires: after(now),
        items: Vec::new(),
        is_busy: false,
    });
    Ok(update.shown())
}

/// Returns the update that is under way.
pub(crate) fn status(endpoint: &Endpoint, caller: &Caller) -> Result<UpdateResponse, ApiError> {
    caller.require("contents", "update", "")?;
    endpoint.updates.current(endpoint.now()).as_ref().map(Update::shown).ok_or_else(|| none("GET"))
}

/// Ends the update that is under way, and returns what it was.
pub(crate) fn cancel(endpoint: &Endpoint, caller: &Caller) -> Result<UpdateResponse, ApiError> {
    caller.require("contents", "update", "")?;
    let mut current = endpoint.updates.current(endpoint.now());
    if current.as_ref().is_some_and(|update| update.is_busy) {
        return Err(error(409, "DELETE", "the update is being committed", ""));
    }
    current.take().map(|update| update.shown()).ok_or_else(|| none("DELETE"))
}

/// Says where something that is added to an update is received.
///
/// # Errors
///
/// 404 when the token is of no update that is under way.
pub(crate) fn place(endpoint: &Endpoint, caller: &Caller, token: &str) -> Result<String, ApiError> {
    caller.require("contents", "update", "")?;
    found(endpoint, token, "POST").map(|_| format!("{token}/{}", random::uuid()))
}

/// Finds the update of a token, and gives it more time. Returns the folder, which stays as long as that is held.
fn found(endpoint: &Endpoint, token: &str, method: &str) -> Result<Arc<Scratch>, ApiError> {
    let now = endpoint.now();
    let mut current = endpoint.updates.current(now);
    let update = open(&mut current, token, method)?;
    update.expires = after(now);
    Ok(Arc::clone(&update.folder))
}

/// Returns the update of a token while it can be changed.
fn open<'a>(current: &'a mut Option<Update>, token: &str, method: &str) -> Result<&'a mut Update, ApiError> {
    let update = current.as_mut().filter(|update| update.token == token).ok_or_else(|| none(method))?;
    if update.is_busy {
        return Err(error(409, method, "the update is being committed", ""));
    }
    Ok(update)
}

/// Adds what was received to an update: a bundle, an archive with bundles, a pack or a component. Takes the place of what
/// was added under the same name before.
///
/// # Errors
///
/// It is none of these, or not in order.
pub(crate) async fn add(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    (token, path): (&str, &str),
    wanted: Wanted,
) -> Result<Vec<StagedItem>, ApiError> {
    let _folder = found(endpoint, token, "POST")?;
    let (file, at) = (endpoint.updates.file(path), path.to_owned());
    let (staging, worker) = (endpoint.updates.staging.clone(), ArchiveWorker::of(&endpoint.options.worker));
    let read = blocking(move || received::read(&staging, &file, &at, &worker));
    let items = match read.await? {
        Received::Bundles(items) => items,
        Received::Pack(upload) => {
            caller.require("packs", "create", "")?;
            let staged = packs::stage(endpoint, caller, upload, wanted).await?;
            vec![received::of_pack(staged)]
        }
    };
    for item in &items {
        refuse_own(&endpoint.library, &item.shown.name, "POST")?;
    }
    let mut current = endpoint.updates.current(endpoint.now());
    let update = open(&mut current, token, "POST")?;
    if update.items.len().saturating_add(items.len()) > MAX_ITEMS {
        return Err(error(422, "POST", format!("an update has up to {MAX_ITEMS} items"), ""));
    }
    update.items.retain(|old| !items.iter().any(|new| new.shown.name == old.shown.name));
    update.items.extend(items.iter().cloned());
    Ok(items.into_iter().map(|item| item.shown).collect())
}

/// Does what is asked with an update, all of it or nothing, and ends it. One that is refused can be changed and tried
/// again.
///
/// # Errors
///
/// 404 for what is not there, and everything that a single bundle or pack would be refused for.
pub(crate) async fn commit(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    token: &str,
    operations: Vec<CommitOperation>,
) -> Result<(), ApiError> {
    caller.require("contents", "update", "")?;
    let (busy, items) = Busy::begin(endpoint, token)?;
    let (endpoint, caller) = (Arc::clone(endpoint), caller.clone());
    // It goes on when whoever waits for it is gone.
    let done = tokio::spawn(async move {
        let committed = committed(&endpoint, &caller, &operations, &items).await;
        // Before another update may keep archives that no object names yet.
        let (archives, objects) = (endpoint.updates.archives.clone(), endpoint.snapshot());
        let _ = tokio::task::spawn_blocking(move || archives.sweep(&objects)).await;
        if committed.is_ok() {
            *endpoint.updates.current(endpoint.now()) = None;
        }
        drop(busy);
        committed
    });
    done.await.map_err(|error| internal(&error))?
}

async fn committed(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    operations: &[CommitOperation],
    items: &[Item],
) -> Result<(), ApiError> {
    let (mut gone, mut new) = (Vec::new(), Vec::new());
    for operation in operations {
        match operation.op.to_lowercase().as_str() {
            "add" => new.push(wanted(operation, items)?),
            "remove" => {
                caller.require("contents", "delete", &operation.name)?;
                gone.push(removed(endpoint, operation)?);
            }
            other => {
                let message = format!("there is no operation `{other}`: `add` and `remove` there are");
                return Err(error(422, "POST", message, &operation.name));
            }
        }
    }
    if new.iter().any(|item| matches!(item.what, What::Bundle(_))) {
        caller.require("contents", "create", "")?;
    }
    // Who commits need not be who added.
    if new.iter().any(|item| matches!(item.what, What::Pack(_))) {
        caller.require("packs", "create", "")?;
    }
    let staged: Vec<_> = new.iter().filter_map(|item| item.archive()).collect();
    let archives = endpoint.updates.archives.clone();
    blocking(move || archives.keep(&staged).map_err(|error| internal(&error))).await?;
    let steps =
        gone.into_iter().map(Step::Take).chain(in_order(new).into_iter().map(received::step)).collect();
    load::load(endpoint, caller, steps).await.map(drop)
}

fn wanted<'a>(operation: &CommitOperation, items: &'a [Item]) -> Result<&'a Item, ApiError> {
    let fits = |asked: &str, own: &str| asked.is_empty() || asked == own;
    let CommitOperation { name, version, path, .. } = operation;
    let is_named = !name.is_empty() || !path.is_empty();
    let item = items.iter().filter(|_| is_named).find(|item| {
        fits(name, &item.shown.name) && fits(version, &item.shown.version) && fits(path, &item.shown.path)
    });
    item.ok_or_else(|| {
        let message = format!("nothing like that was added to the update: `{name}` {version} {path}");
        error(404, "POST", message.trim_end(), name)
    })
}

/// Returns the name of the bundle that an operation removes.
fn removed(endpoint: &Endpoint, operation: &CommitOperation) -> Result<String, ApiError> {
    let installed = endpoint.snapshot().get::<InstalledContent>(&operation.name);
    let version = installed.map(|content| content.content_meta.version.clone());
    match version {
        Some(version) if !operation.version.is_empty() && version != operation.version => {
            let message = format!("version {version} is installed, not {}", operation.version);
            Err(error(409, "POST", message, &operation.name))
        }
        _ => Ok(operation.name.clone()),
    }
}

/// Returns items so that each comes after those that it needs.
fn in_order(mut items: Vec<&Item>) -> Vec<&Item> {
    let mut found = Vec::new();
    while !items.is_empty() {
        let waits = |item: &Item| {
            let needs = versions::prerequisites(item.meta().prerequisites.as_str()).unwrap_or_default();
            needs.iter().any(|need| {
                items.iter().any(|other| other.shown.name == need.name && other.shown.name != item.shown.name)
            })
        };
        // What waits for itself in a circle is refused when it is loaded.
        let next = items.iter().position(|item| !waits(item)).unwrap_or(0);
        found.push(items.remove(next));
    }
    found
}

#[cfg(test)]
mod tests;
