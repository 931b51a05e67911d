//! Renders paths into the index: for one owner, or for all.

use std::{collections::HashSet, sync::Arc};

use formwork_core::{boot, preferences};
use formwork_model::{BootEnv, Machine, Objects, ObjectsExt, Stage};
use formwork_store::Snapshot;

use super::{
    compiled::Compiled,
    index::{FileKey, Index, Owned, Owner, Stale},
    paths,
    scene::{About, Scene, Site},
    shared::SharedTemplates,
    uuids::uuids_of,
    variants::Variants,
};

/// The paths that are kept at most: those of 100,000 machines with 20 files each. What is beyond is not served.
const MAX_PATHS: usize = 2_000_000;

/// Renders paths into an index.
pub(super) struct Builder<'a> {
    pub(super) site: &'a Arc<dyn Site>,
    pub(super) objects: Snapshot,
    pub(super) shared: &'a SharedTemplates,
    pub(super) index: &'a mut Index,
}

impl Builder<'_> {
    /// Looks again at what changed.
    pub(super) fn apply(&mut self, stale: Stale) {
        if stale.all || stale.elsewhere {
            // Parsed entries hold the shared templates.
            self.index.compiled.clear();
            self.index.variants = Variants::default();
        } else {
            self.index.variants.retain(|name| !stale.envs.contains(name));
            self.index.compiled.retain(|(prefix, name), _| {
                let changed = if *prefix == "bootenvs" { &stale.envs } else { &stale.stages };
                !changed.contains(name.as_str())
            });
        }
        if stale.all || (stale.elsewhere && self.index.looks_elsewhere) {
            self.all();
            return;
        }
        let touches = |owned: &Owned| {
            stale.envs.contains(owned.env.as_str()) || stale.stages.contains(owned.stage.as_str())
        };
        let users =
            self.index.owners.iter().filter(|(_, owned)| touches(owned)).map(|(owner, _)| owner.clone());
        let mut owners: HashSet<Owner> = users.collect();
        owners.extend(stale.machines.into_iter().map(Owner::Machine));
        if !stale.envs.is_empty() {
            owners.insert(Owner::Unknown);
        }
        owners.iter().for_each(|owner| self.refresh(owner));
        if stale.elsewhere {
            self.compile_again();
        }
    }

    fn all(&mut self) {
        let index = &mut *self.index;
        (index.files, index.owners, index.macs, index.uuids) = Default::default();
        (index.paths, index.looks_elsewhere) = (0, false);
        self.refresh(&Owner::Unknown);
        let mut machines = Vec::with_capacity(self.objects.count("machines"));
        self.objects.visit("machines", &mut |machine| {
            machines.push(Arc::<str>::from(machine.key()));
            true
        });
        machines.into_iter().for_each(|uuid| self.refresh(&Owner::Machine(uuid)));
    }

    /// Parses the entries of all objects that are in use.
    fn compile_again(&mut self) {
        let used: HashSet<(&'static str, String)> = self
            .index
            .owners
            .values()
            .flat_map(|owned| [("bootenvs", owned.env.clone()), ("stages", owned.stage.clone())])
            .collect();
        for (prefix, name) in used {
            self.compiled(prefix, &name);
        }
    }

    fn refresh(&mut self, owner: &Owner) {
        self.index.forget(owner);
        let Some((about, mut owned)) = self.subject(owner) else { return };
        let mut problems = Vec::new();
        owned.variant = self.variant(&about);
        let of_env = match &owned.variant {
            Some(variant) => Some(Arc::clone(variant)),
            None => self.compiled("bootenvs", &owned.env),
        };
        let mut paths = self.paths((owner, "bootenvs"), of_env, &about, &mut problems);
        let of_stage = self.compiled("stages", &owned.stage);
        paths.extend(self.paths((owner, "stages"), of_stage, &about, &mut problems));
        let room = MAX_PATHS.saturating_sub(self.index.paths);
        if paths.len() > room {
            tracing::warn!(limit = MAX_PATHS, ?owner, "too many rendered files: some are not served");
            paths.truncate(room);
        }
        self.index.paths += paths.len();
        for (path, key) in &paths {
            self.index.files.entry(Arc::clone(path)).or_default().push(key.clone());
        }
        self.index.owners.insert(owner.clone(), Owned { paths, problems, ..owned });
    }

    /// Returns what the files of an owner are about, and what is to be remembered of it.
    fn subject(&mut self, owner: &Owner) -> Option<(About, Owned)> {
        let Owner::Machine(uuid) = owner else {
            let unknown = preferences::value(&self.objects, "unknownBootEnv");
            let about = About { env: boot::env_for(&self.objects, None), ..About::default() };
            // A name stays remembered while its object is missing, so that its return is noticed.
            return Some((about, Owned { env: unknown, ..Owned::default() }));
        };
        let machine = self.objects.get::<Machine>(uuid)?;
        let macs = machine.hardware_addrs.clone();
        for mac in &macs {
            self.index.macs.entry(mac.clone()).or_default().insert(Arc::clone(uuid));
        }
        let uuids = uuids_of(&machine);
        self.index.uuids.add(&uuids, uuid);
        let about = About::machine(&self.objects, Arc::clone(&machine));
        let env = about.env.as_ref().map_or_else(|| machine.boot_env.clone(), |env| env.name.clone());
        Some((about, Owned { env, stage: machine.stage.clone(), macs, uuids, ..Owned::default() }))
    }

    /// Returns the entries of an environment that a parameter made others of. What parameters say may change without a
    /// change of the machine or its environment.
    fn variant(&mut self, about: &About) -> Option<Arc<Compiled>> {
        let env = about.env.as_ref()?;
        let written = self.objects.get::<BootEnv>(&env.name)?;
        if Arc::ptr_eq(env, &written) {
            return None;
        }
        self.index.looks_elsewhere = true;
        let is_other = env.templates != written.templates;
        is_other.then(|| self.index.variants.of(env, || self.shared.of(&self.objects)))
    }

    /// Renders the paths that an object, of a type and a name, gives its user.
    fn paths(
        &mut self,
        (owner, prefix): (&Owner, &'static str),
        compiled: Option<Arc<Compiled>>,
        about: &About,
        problems: &mut Vec<String>,
    ) -> Vec<(Arc<str>, FileKey)> {
        let Some(compiled) = compiled else { return Vec::new() };
        let cards = about.machine.as_ref().map_or(1, |machine| machine.hardware_addrs.len().max(1));
        let mut found = Vec::new();
        for (entry, source) in compiled.entries.iter().enumerate() {
            for mac in 0..cards {
                let about = About { mac, entry: Some(Arc::clone(&source.info)), ..about.clone() };
                let scene = Arc::new(Scene::new(self.site, &self.objects, about));
                let path = compiled.path(source, &scene);
                if scene.is_incomplete() {
                    break;
                }
                match path.map(|path| paths::clean(&path)) {
                    Ok(Some(path)) => {
                        let key = FileKey { owner: owner.clone(), prefix, entry, mac };
                        found.push((Arc::from(path), key));
                    }
                    Ok(None) => {
                        tracing::warn!(owner = compiled.owner, entry = source.info.name, "not a path");
                        problems.push(format!("{} failed: {}: not a path", compiled.owner, source.info.name));
                    }
                    Err(error) => {
                        tracing::warn!(
                            owner = compiled.owner, entry = source.info.name, %error, "a path cannot be rendered"
                        );
                        problems.push(format!("{} failed: {error}", compiled.owner));
                    }
                }
                if !scene.used_mac() {
                    break;
                }
            }
        }
        found
    }

    fn compiled(&mut self, prefix: &'static str, name: &str) -> Option<Arc<Compiled>> {
        let key = (prefix, name.to_owned());
        if let Some(compiled) = self.index.compiled.get(&key) {
            return Some(Arc::clone(compiled));
        }
        let shared = self.shared.of(&self.objects);
        let compiled = Arc::new(if prefix == "bootenvs" {
            Compiled::of_env(self.objects.get::<BootEnv>(name)?.as_ref(), &shared)
        } else {
            let stage = self.objects.get::<Stage>(name)?;
            Compiled::new(format!("stages:{name}"), &stage.templates, ("", ""), &shared)
        });
        self.index.looks_elsewhere |= compiled.looks_elsewhere();
        self.index.compiled.insert(key, Arc::clone(&compiled));
        Some(compiled)
    }
}
