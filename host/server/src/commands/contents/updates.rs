//! Updates that are put together first and applied whole (drp-api.md 14.3).
//!
//! There is one at a time. What is added to it is looked at at once and kept in a folder of its own; nothing of it is in use
//! before it is committed, and then all of it is, in one transaction of the store. An update is not remembered over a
//! restart: what it left is removed. The archives of what is in use are kept as `SHA256.drpca`.

mod received;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use formwork_api::ApiError;
use formwork_blobs::{ArchiveWorker, Space};
use formwork_model::{Artifacts, ContentMeta, InstalledContent, Objects, ObjectsExt, Timestamp};
use formwork_packs::versions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::received::{Item, Received, What};
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

/// The ending of an archive that is kept.
const ENDING: &str = "drpca";

/// The update that is being put together, and what archives were left by those before it.
pub(crate) struct Updates {
    folder: PathBuf,
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

/// An update as clients see it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UpdateResponse {
    /// What names it in further requests.
    pub(crate) token: String,
    /// Who started it.
    pub(crate) user: String,
    /// The revision of the objects when it was started.
    pub(crate) revision: u64,
    /// When it was started.
    pub(crate) created_at: Timestamp,
    /// When it ends unless something happens to it.
    pub(crate) expires_at: Timestamp,
    /// What was added to it.
    pub(crate) items: Vec<StagedItem>,
}

/// Something that was added to an update.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StagedItem {
    /// The name of the bundle or pack.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// What tells it from other items.
    pub(crate) path: String,
    /// The bytes of what was sent.
    pub(crate) size: u64,
    /// What it says of itself.
    pub(crate) metadata: BTreeMap<String, String>,
}

/// What is done at the end of an update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct CommitOperation {
    /// `add` for what was added to the update, `remove` for what is installed.
    pub(crate) op: String,
    /// The name of the bundle or pack.
    pub(crate) name: String,
    /// Its version; any will do when empty.
    pub(crate) version: String,
    /// The path of the item; any will do when empty.
    pub(crate) path: String,
}

/// A bundle that came in an archive.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ContentArchiveView {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// The archive.
    pub(crate) source: String,
    /// What it says of itself.
    pub(crate) meta: ContentMeta,
    /// The files that belong to it.
    pub(crate) artifacts: Artifacts,
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
        Ok(Self { folder, staging, current: Mutex::default(), loading: tokio::sync::Mutex::default() })
    }

    /// Ends the loads that an earlier process left in the middle, and removes the archives that nothing names. Blocks.
    ///
    /// # Errors
    ///
    /// The disk does not do it.
    pub(crate) fn recover(&self, files: &FileRoot, objects: &impl Objects) -> Result<(), ApiError> {
        artifacts::recover(files, &self.journals(), objects).map_err(|error| internal(&error))?;
        self.sweep(objects);
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

    fn archive(&self, sha256: &str) -> PathBuf {
        self.folder.join(format!("{sha256}.{ENDING}"))
    }

    /// Returns the names of the archives that are kept.
    fn archives(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> =
            names.filter(|name| name.strip_suffix(ENDING).is_some_and(|rest| rest.ends_with('.'))).collect();
        names.sort();
        names
    }

    fn sweep(&self, objects: &impl Objects) {
        let named = objects.list::<InstalledContent>();
        let named: BTreeSet<String> =
            named.iter().map(|content| format!("{}.{ENDING}", content.archive)).collect();
        for name in self.archives().iter().filter(|name| !named.contains(*name)) {
            if let Err(error) = fs::remove_file(self.folder.join(name)) {
                tracing::warn!(name, %error, "an archive that nothing names stays");
            }
        }
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
    let update = current.as_mut().filter(|update| update.token == token).ok_or_else(|| none(method))?;
    if update.is_busy {
        return Err(error(409, method, "the update is being committed", ""));
    }
    update.expires = after(now);
    Ok(Arc::clone(&update.folder))
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
    let update = current.as_mut().filter(|update| update.token == token).ok_or_else(|| none("POST"))?;
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
    let items = busy(endpoint, token)?;
    let (endpoint, caller) = (Arc::clone(endpoint), caller.clone());
    // It goes on when whoever waits for it is gone.
    let done = tokio::spawn(async move {
        let committed = committed(&endpoint, &caller, &operations, &items).await;
        {
            let mut current = endpoint.updates.current(endpoint.now());
            match (&committed, current.as_mut()) {
                (Err(_), Some(update)) => update.is_busy = false,
                _ => *current = None,
            }
        }
        let swept = Arc::clone(&endpoint);
        let _ = tokio::task::spawn_blocking(move || swept.updates.sweep(&swept.snapshot())).await;
        committed
    });
    done.await.map_err(|error| internal(&error))?
}

/// Makes an update busy, and returns its items.
fn busy(endpoint: &Endpoint, token: &str) -> Result<Vec<Item>, ApiError> {
    let _folder = found(endpoint, token, "POST")?;
    let mut current = endpoint.updates.current(endpoint.now());
    let update = current.as_mut().filter(|update| update.token == token).ok_or_else(|| none("POST"))?;
    if std::mem::replace(&mut update.is_busy, true) {
        return Err(error(409, "POST", "the update is being committed", ""));
    }
    Ok(update.items.clone())
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
    keep(endpoint, &new).await?;
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

/// Keeps the archives of bundles that are to come into use.
async fn keep(endpoint: &Arc<Endpoint>, items: &[&Item]) -> Result<(), ApiError> {
    let archives = items.iter().filter_map(|item| match &item.what {
        What::Bundle(bundle) => bundle.from.as_ref(),
        What::Pack(_) => None,
    });
    let archives: Vec<(PathBuf, PathBuf)> =
        archives.map(|opened| (opened.file.clone(), endpoint.updates.archive(&opened.sha256))).collect();
    let folder = endpoint.updates.folder.clone();
    blocking(move || {
        for (from, to) in &archives {
            // The staged file is on disk already, and both names are on one file system.
            match fs::hard_link(from, to) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(internal(&error)),
                _ => {}
            }
        }
        fs::File::open(&folder).and_then(|folder| folder.sync_all()).map_err(|error| internal(&error))
    })
    .await
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

/// Lists the bundles that came in archives.
pub(crate) fn list(endpoint: &Endpoint, caller: &Caller) -> Result<Vec<ContentArchiveView>, ApiError> {
    caller.require("contents", "list", "")?;
    let installed = endpoint.snapshot().list::<InstalledContent>();
    let archived = installed.iter().filter(|content| !content.archive.is_empty());
    let view = |content: &Arc<InstalledContent>| ContentArchiveView {
        name: content.name.clone(),
        version: content.content_meta.version.clone(),
        source: format!("{}.{ENDING}", content.archive),
        meta: content.content_meta.clone(),
        artifacts: content.artifacts.clone(),
    };
    Ok(archived.map(view).collect())
}

/// Lists the archives that are kept.
pub(crate) async fn sources(endpoint: &Arc<Endpoint>, caller: &Caller) -> Result<Vec<String>, ApiError> {
    caller.require("contents", "list", "")?;
    let endpoint = Arc::clone(endpoint);
    blocking(move || Ok(endpoint.updates.archives())).await
}

#[cfg(test)]
mod tests;
