//! Bundles and packs that come and go in one step: files, objects and components, all of it or nothing.

use std::{path::PathBuf, sync::Arc};

use formwork_api::ApiError;
use formwork_blobs::{ArchiveWorker, Space};
use formwork_model::{ContentSummary, InstalledContent, ObjectsExt};

use super::{
    is_own,
    layer::{self, About, Layer},
    missing, refuse_pack,
};
use crate::{
    auth::Caller,
    commands::claims,
    commit::{Stop, Work, commit, internal},
    content::{
        Library,
        artifacts::{self, ArtifactError, Placed, Placing, Surroundings},
    },
    endpoint::Endpoint,
    packs::{self, Staged},
    plugins, random,
};

/// One part of what happens at once.
pub(super) enum Step {
    /// A bundle is loaded.
    Put(Box<Put>),
    /// A pack comes into use.
    Pack(Arc<Staged>),
    /// A bundle goes.
    Take(String),
}

/// A bundle that is loaded.
pub(super) struct Put {
    /// The bundle.
    pub(super) layer: Layer,
    /// The method of the request, for errors.
    pub(super) method: &'static str,
    /// Whether it must be there already, or must not; nothing when both will do.
    pub(super) replacing: Option<bool>,
    /// The archive that it came in, taken apart; nothing when it came alone.
    pub(super) from: Option<Space>,
}

/// Does all steps, or none of them. Returns what was loaded, in the order of the steps.
///
/// It goes on when whoever waits for it is gone.
///
/// # Errors
///
/// Everything that a single step would be refused for.
pub(super) async fn load(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    steps: Vec<Step>,
) -> Result<Vec<ContentSummary>, ApiError> {
    let (endpoint, caller) = (Arc::clone(endpoint), caller.clone());
    tokio::spawn(async move { whole(&endpoint, &caller, steps).await })
        .await
        .map_err(|error| internal(&error))?
}

async fn whole(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    mut steps: Vec<Step>,
) -> Result<Vec<ContentSummary>, ApiError> {
    let _making = endpoint.packs.keep_files().await;
    let mut has_packs = false;
    for step in &steps {
        if let Step::Pack(staged) = step {
            packs::make_ready(endpoint, staged).await?;
            has_packs = true;
        }
    }
    let has_files = |step: &Step| matches!(step, Step::Put(put) if !put.layer.artifacts.is_empty());
    let placed = match steps.iter().any(has_files) {
        true => {
            // Two loads that undo each other's files would leave neither's.
            let alone = endpoint.updates.loading.lock().await;
            place(endpoint, caller, &mut steps).await?.map(|placed| (placed, alone))
        }
        false => None,
    };
    let (steps, library, loader) = (Arc::new(steps), Arc::clone(&endpoint.library), caller.clone());
    let loaded = commit(endpoint, &caller.principal, move |work| {
        let mut loaded = Vec::new();
        for step in steps.iter() {
            loaded.extend(step.done(work, &loader, &library)?);
        }
        Ok(loaded)
    })
    .await;
    if let Some((placed, _alone)) = placed {
        end(endpoint, placed, loaded.is_ok()).await;
    }
    if has_packs && loaded.is_ok() {
        plugins::settle(endpoint).await;
    }
    loaded
}

/// Leaves the artifacts of a load where they are, or takes them away again.
async fn end(endpoint: &Arc<Endpoint>, placed: Placed, is_loaded: bool) {
    let files = endpoint.files.clone();
    let ended = blocking(move || match is_loaded {
        true => {
            placed.keep();
            Ok(())
        }
        false => placed.undo(&files).map_err(|error| internal(&error)),
    });
    if let Err(error) = ended.await {
        tracing::error!(%error, "the artifacts of a bundle that was refused stay until the next start");
    }
    endpoint.files.trees().look();
}

/// Writes the artifacts of all bundles. Nothing when there are none to be written.
async fn place(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    steps: &mut [Step],
) -> Result<Option<Placed>, ApiError> {
    let load = random::uuid();
    let mut sources = Vec::new();
    for step in steps {
        if let Step::Put(put) = step {
            // Before anything is told of it: a bundle shows no file that its uploader may not read.
            if put.from.is_none() {
                let read = artifacts::sources(&put.layer.artifacts);
                for (scope, path) in read.map_err(|error| refused(&put.layer.meta.name, &error))? {
                    caller.require(scope, "get", path.as_str())?;
                }
            }
            put.layer.load.clone_from(&load);
            sources.push((put.layer.meta.name.clone(), put.layer.artifacts.clone(), put.from.clone()));
        }
    }
    let (files, worker) = (endpoint.files.clone(), ArchiveWorker::of(&endpoint.options.worker));
    let scratch = Scratch(endpoint.updates.scratch());
    let names = sources.iter().map(|(name, ..)| name.clone()).collect();
    let planned = blocking(move || {
        let around = Surroundings { files: &files, worker: &worker, scratch: &scratch.0 };
        let mut found = Vec::new();
        for (name, artifacts, from) in &sources {
            let placings = artifacts::plan(artifacts, from.as_ref(), &around);
            found.extend(placings.map_err(|error| refused(name, &error))?);
        }
        // What was taken apart is there until it was copied.
        Ok::<_, ApiError>((found, scratch))
    });
    let (placings, scratch): (Vec<Placing>, Scratch) = planned.await?;
    if placings.is_empty() {
        return Ok(None);
    }
    for placing in &placings {
        let (scope, path) = placing.place();
        caller.require(scope, "post", path)?;
    }
    let (files, journals) = (endpoint.files.clone(), endpoint.updates.journals());
    let written = blocking(move || {
        let placed = Placed::write(&files, &journals, (&load, names), &placings);
        drop(scratch);
        placed.map_err(|error| refused("", &error))
    });
    written.await.map(Some)
}

fn refused(bundle: &str, error: &ArtifactError) -> ApiError {
    match error {
        ArtifactError::Refused { .. } => ApiError::invalid("contents", bundle, vec![error.to_string()]),
        error => internal(error),
    }
}

/// Runs something that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| internal(&error))?
}

/// A folder that is removed again.
pub(super) struct Scratch(pub(super) PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // It may never have been made.
        std::fs::remove_dir_all(&self.0).ok();
    }
}

impl Step {
    fn done(
        &self,
        work: &mut Work<'_>,
        caller: &Caller,
        library: &Library,
    ) -> Result<Option<ContentSummary>, Stop> {
        match self {
            Self::Put(put) => put.done(work, caller, library).map(Some),
            Self::Pack(staged) => packs::install_staged(work, caller, staged, library).map(|()| None),
            Self::Take(name) => taken(work, name, library).map(|()| None),
        }
    }
}

impl Put {
    fn done(&self, work: &mut Work<'_>, caller: &Caller, library: &Library) -> Result<ContentSummary, Stop> {
        let (name, method) = (&self.layer.meta.name, self.method);
        let installed = work.tx.get::<InstalledContent>(name).is_some();
        match (installed, self.replacing) {
            (true, Some(false)) => {
                return Err(ApiError::new(409, "CREATE", "already exists").about("contents", name).into());
            }
            (false, Some(true)) => return Err(missing("PUT", name).into()),
            _ => refuse_pack(&*work.tx, name, method)?,
        }
        // Nobody gives rights away that he does not have (drp-behaviour.md 8.2).
        claims::require_all_given(caller, &*work.tx, &self.layer.objects)?;
        Ok(layer::put(work, &self.layer, &About::new("contents", method, library))?.summary())
    }
}

fn taken(work: &mut Work<'_>, name: &str, library: &Library) -> Result<(), Stop> {
    if is_own(library, name) {
        let message = format!("the layer `{name}` is the endpoint's own");
        return Err(ApiError::new(409, "DELETE", message).about("contents", name).into());
    }
    let installed = work.tx.get::<InstalledContent>(name).ok_or_else(|| missing("DELETE", name))?;
    refuse_pack(&*work.tx, name, "DELETE")?;
    layer::take(work, &installed, &About::new("contents", "DELETE", library))
}
