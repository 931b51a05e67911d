//! Which path is whose file, and which network card whose machine.
//!
//! Paths are templates too, so they are rendered once for each machine and kept. The index follows the feed: a change
//! of a machine costs a few short renders, a change of a boot environment those of the machines in it.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use formwork_core::boot;
use formwork_model::{Machine, Object, ObjectsExt};
use formwork_store::{Change, Feed, FeedError, Snapshot, Store};
use uuid::Uuid;

use super::{
    KnownMachine, RenderProblem, Rendered,
    builder::Builder,
    compiled::Compiled,
    scene::{About, Scene, Site},
    shared::SharedTemplates,
    uuids::{Asked, MachinesByUuid},
    variants::Variants,
};

/// The name of the entry whose file iPXE runs for one network card.
const SCRIPT: &str = "ipxe-mac";

/// All paths of the dynamic file space at one revision.
pub(super) struct Index {
    feed: Feed,
    /// True until everything was looked at once.
    stale: bool,
    pub(super) files: HashMap<Arc<str>, Vec<FileKey>>,
    pub(super) owners: HashMap<Owner, Owned>,
    pub(super) macs: HashMap<String, BTreeSet<Arc<str>>>,
    pub(super) uuids: MachinesByUuid,
    pub(super) variants: Variants,
    pub(super) compiled: HashMap<(&'static str, String), Arc<Compiled>>,
    /// True when some path looks at parameters or shared templates.
    pub(super) looks_elsewhere: bool,
    pub(super) paths: usize,
}

/// Whose files: those of a machine, or those of the environment for unknown machines.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    Machine(Arc<str>),
    Unknown,
}

/// What is kept of an owner.
#[derive(Default)]
pub(super) struct Owned {
    pub(super) env: String,
    pub(super) stage: String,
    /// The entries of the environment, where a parameter made others of them.
    pub(super) variant: Option<Arc<Compiled>>,
    pub(super) macs: Vec<String>,
    pub(super) uuids: Vec<Uuid>,
    pub(super) paths: Vec<(Arc<str>, FileKey)>,
    /// Why there are not more.
    pub(super) problems: Vec<String>,
}

/// Which entry of which object a file is rendered from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileKey {
    pub(super) owner: Owner,
    /// The type of the object that has the entry.
    pub(super) prefix: &'static str,
    /// The place of the entry in its object.
    pub(super) entry: usize,
    /// The hardware address that the file is for.
    pub(super) mac: usize,
}

/// A file that was found, ready to be rendered without holding the index.
pub(super) struct Found {
    key: FileKey,
    compiled: Arc<Compiled>,
}

/// What has to be looked at again.
#[derive(Default)]
pub(super) struct Stale {
    pub(super) all: bool,
    pub(super) machines: HashSet<Arc<str>>,
    pub(super) envs: HashSet<Arc<str>>,
    pub(super) stages: HashSet<Arc<str>>,
    pub(super) elsewhere: bool,
}

impl Index {
    /// Makes an index that has not looked at anything yet.
    pub(super) fn new(store: &Store) -> Self {
        Self {
            feed: store.feed(),
            stale: true,
            files: HashMap::new(),
            owners: HashMap::new(),
            macs: HashMap::new(),
            uuids: MachinesByUuid::default(),
            variants: Variants::default(),
            compiled: HashMap::new(),
            looks_elsewhere: false,
            paths: 0,
        }
    }

    /// Brings the index up to all that is committed.
    pub(super) fn follow(&mut self, site: &Arc<dyn Site>, store: &Store, shared: &SharedTemplates) {
        let mut stale = Stale { all: std::mem::take(&mut self.stale), ..Stale::default() };
        loop {
            match self.feed.try_next() {
                Ok(Some(entry)) => entry.changes.iter().for_each(|change| stale.note(change)),
                Err(FeedError::Lagged { .. }) => {
                    self.feed = store.feed();
                    stale.all = true;
                }
                Ok(None) | Err(FeedError::Closed) => break,
            }
        }
        if stale.is_empty() {
            return;
        }
        Builder { site, objects: store.snapshot(), shared, index: self }.apply(stale);
    }

    /// Returns the file at a clean path.
    pub(super) fn find(&self, path: &str) -> Option<Found> {
        let Some(keys) = self.files.get(path) else { return self.find_by_uuid(path) };
        let key = keys.first()?.clone();
        let owned = self.owners.get(&key.owner)?;
        self.found(owned, key)
    }

    /// Returns the file that a machine has for its first card, where a path names the machine by its UUID.
    fn find_by_uuid(&self, path: &str) -> Option<Found> {
        let asked = Asked::parse(path)?;
        let uuid = self.uuids.find(asked.uuid)?;
        let owned = self.owners.get(&Owner::Machine(Arc::clone(uuid)))?;
        let mac = owned.macs.first().map(|mac| (mac.as_str(), mac.replace(':', "-")));
        let of_card = |path: &str| {
            mac.as_ref().is_some_and(|(mac, dashes)| path.contains(mac) || path.contains(dashes.as_str()))
        };
        let mut files = owned.paths.iter().filter(|(path, key)| key.mac == 0 && asked.is_kind_of(path));
        let first = files.clone().next();
        let (_, key) = files.find(|(path, _)| of_card(path)).or(first)?;
        self.found(owned, key.clone())
    }

    fn found(&self, owned: &Owned, key: FileKey) -> Option<Found> {
        let compiled = Arc::clone(self.compiled_of(owned, &key)?);
        Some(Found { key, compiled })
    }

    fn compiled_of<'a>(&'a self, owned: &'a Owned, key: &FileKey) -> Option<&'a Arc<Compiled>> {
        if key.prefix != "bootenvs" {
            return self.compiled.get(&(key.prefix, owned.stage.clone()));
        }
        owned.variant.as_ref().or_else(|| self.compiled.get(&(key.prefix, owned.env.clone())))
    }

    /// Returns why a machine lacks files, and each file that it has, for the first of its cards.
    pub(super) fn of_machine(&self, uuid: &Arc<str>) -> (Vec<String>, Vec<Found>) {
        let Some(owned) = self.owners.get(&Owner::Machine(Arc::clone(uuid))) else {
            return Default::default();
        };
        let first = owned.paths.iter().filter(|(_, key)| key.mac == 0);
        let files = first.filter_map(|(_, key)| self.found(owned, key.clone())).collect();
        (owned.problems.clone(), files)
    }

    /// Returns the machine that has a network card; the first by UUID when several say so.
    pub(super) fn machine_of(&self, mac: &str) -> Option<KnownMachine> {
        let uuid = self.macs.get(mac)?.first()?;
        let owned = self.owners.get(&Owner::Machine(Arc::clone(uuid)))?;
        let card = owned.macs.iter().position(|own| own == mac)?;
        Some(KnownMachine { uuid: uuid.to_string(), script: self.script(owned, card) })
    }

    /// Returns the script for one card: the entry made for it, else any script with the card's address in its name.
    fn script(&self, owned: &Owned, card: usize) -> Option<String> {
        let named = |key: &FileKey| {
            self.compiled_of(owned, key)?.entries.get(key.entry).map(|entry| entry.info.name.as_str())
        };
        let mac = owned.macs.get(card)?;
        let dashes = mac.replace(':', "-");
        let own =
            |path: &str| path.ends_with(".ipxe") && (path.contains(mac.as_str()) || path.contains(&dashes));
        let mut scripts = owned
            .paths
            .iter()
            .filter(|(path, key)| key.mac == card && (named(key) == Some(SCRIPT) || own(path)));
        let (path, _) = scripts.next()?;
        Some(path.to_string())
    }

    pub(super) fn forget(&mut self, owner: &Owner) {
        let Some(owned) = self.owners.remove(owner) else { return };
        self.paths = self.paths.saturating_sub(owned.paths.len());
        for (path, key) in owned.paths {
            if let Some(keys) = self.files.get_mut(&path) {
                keys.retain(|other| *other != key);
                if keys.is_empty() {
                    self.files.remove(&path);
                }
            }
        }
        let Owner::Machine(uuid) = owner else { return };
        self.uuids.remove(&owned.uuids, uuid);
        for mac in owned.macs {
            if let Some(machines) = self.macs.get_mut(&mac) {
                machines.remove(uuid);
                if machines.is_empty() {
                    self.macs.remove(&mac);
                }
            }
        }
    }
}

impl Stale {
    fn note(&mut self, change: &Change) {
        let key = || Arc::clone(&change.key);
        match change.prefix {
            "machines" => drop(self.machines.insert(key())),
            "bootenvs" => drop(self.envs.insert(key())),
            "stages" => drop(self.stages.insert(key())),
            "templates" | "params" | "profiles" => self.elsewhere = true,
            "preferences" => self.all |= matches!(&*change.key, "defaultBootEnv" | "unknownBootEnv"),
            _ => {}
        }
        let customizes = |object: &Option<Arc<dyn Object>>| {
            object.as_ref().is_some_and(|object| boot::may_customize(object.as_ref()))
        };
        self.all |= !matches!(change.prefix, "machines" | "stages")
            && (customizes(&change.before) || customizes(&change.after));
    }

    fn is_empty(&self) -> bool {
        !self.all
            && !self.elsewhere
            && self.machines.is_empty()
            && self.envs.is_empty()
            && self.stages.is_empty()
    }
}

impl Found {
    /// Returns the machine that it is for.
    pub(super) fn machine(&self) -> Option<Arc<str>> {
        match &self.key.owner {
            Owner::Machine(uuid) => Some(Arc::clone(uuid)),
            Owner::Unknown => None,
        }
    }

    /// Returns the object that has its template, for messages.
    pub(super) fn owner(&self) -> &str {
        &self.compiled.owner
    }

    /// Renders the file with the objects as they are now; `None` when its owner has just gone.
    pub(super) fn render(
        &self,
        site: &Arc<dyn Site>,
        objects: Snapshot,
    ) -> Option<Result<Rendered, RenderProblem>> {
        let mut about = match &self.key.owner {
            Owner::Unknown => About { env: boot::env_for(&objects, None), ..About::default() },
            Owner::Machine(uuid) => About::machine(&objects, objects.get::<Machine>(uuid)?),
        };
        let entry = self.compiled.entries.get(self.key.entry)?;
        (about.mac, about.entry) = (self.key.mac, Some(Arc::clone(&entry.info)));
        let required = match self.key.prefix {
            "bootenvs" => about.env.as_ref().map(|env| env.required_params.clone()),
            _ => about.stage.as_ref().map(|stage| stage.required_params.clone()),
        };
        let scene = Arc::new(Scene::new(site, &objects, about));
        let required = required.unwrap_or_default();
        Some(self.compiled.require(&required, &scene).and_then(|()| self.compiled.rendered(entry, &scene)))
    }
}
