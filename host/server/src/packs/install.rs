//! The transactions that change what is in use: install, roll back, remove. Each is whole or not at all.

use std::{collections::BTreeSet, sync::Arc};

use formwork_api::ApiError;
use formwork_model::{
    ComponentRecord, InstalledContent, InstalledPack, Job, Objects, ObjectsExt, PackGrant, PackState,
    PreviousPack,
};
use formwork_packs::Pack;

use super::{
    check, consent,
    intake::{blocking, show, store},
    life, sweep,
};
use crate::{
    auth::Caller,
    commands::contents::layer::{self, About, Layer},
    commit::{Stop, Work, commit},
    content::Library,
    endpoint::Endpoint,
};

/// A version that is to come into use.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) layer: Layer,
    pub(super) digest: String,
    pub(super) signer: String,
    pub(super) granted: Vec<PackGrant>,
}

impl Version {
    /// Makes it of a pack. What its components are granted is what they ask for, or what they had before.
    pub(super) fn new(
        pack: Pack,
        digest: String,
        signer: String,
        components: Option<Vec<ComponentRecord>>,
    ) -> Self {
        let asked = pack.components.iter().map(|component| component.record.clone());
        let components = components.unwrap_or_else(|| asked.collect());
        Self {
            granted: consent::asked(&components),
            layer: Layer { components, ..Layer::of(pack.meta, pack.objects) },
            digest,
            signer,
        }
    }

    /// The name of the pack.
    pub(super) fn name(&self) -> &str {
        &self.layer.meta.name
    }
}

/// Brings a version into use: its objects, its components and its record. What was in use becomes the previous version.
///
/// `work` sees the record as it is now; the caller has seen to it that it is the right time for this version.
pub(super) fn install(
    work: &mut Work<'_>,
    version: &Version,
    library: &Library,
) -> Result<Arc<InstalledPack>, Stop> {
    let name = version.name().to_owned();
    let old = work.tx.get::<InstalledPack>(&name).map(Arc::unwrap_or_clone).unwrap_or_default();
    layer::put(work, &version.layer, &About::new("packs", "POST", library))?;
    let previous = old.is_in_use().then(|| PreviousPack {
        version: old.version.clone(),
        digest: old.digest.clone(),
        signer: old.signer.clone(),
        granted: old.granted.clone(),
        components: old.components.clone(),
    });
    let mut pack = InstalledPack {
        name,
        version: version.layer.meta.version.clone(),
        state: PackState::Ready,
        digest: version.digest.clone(),
        signer: version.signer.clone(),
        asked: version.granted.clone(),
        granted: version.granted.clone(),
        components: version.layer.components.clone(),
        previous: previous.or(old.previous),
        used: old.used,
        header: old.header,
        ..InstalledPack::default()
    };
    keep_uses(&mut pack);
    show(&mut pack, None);
    store(work, pack)
}

/// Forgets the uses of grants that are no grants any more.
fn keep_uses(pack: &mut InstalledPack) {
    let granted: BTreeSet<(&str, &str)> =
        pack.granted.iter().map(|grant| (grant.component.as_str(), grant.line.as_str())).collect();
    for (component, lines) in &mut pack.used {
        lines.retain(|line, _| granted.contains(&(component.as_str(), line.as_str())));
    }
    pack.used.retain(|_, lines| !lines.is_empty());
}

/// Brings the version before the one in use back, with the grants that it had. The two change places.
///
/// # Errors
///
/// 404 when there is no such pack, 409 when there is no version before it or one is on its way, and everything that
/// keeps the older objects from being installed.
pub(crate) async fn roll_back(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    name: &str,
) -> Result<Arc<InstalledPack>, ApiError> {
    caller.require("packs", "update", name)?;
    let making = endpoint.packs.files.read().await;
    let pack = endpoint.snapshot().get::<InstalledPack>(name);
    let pack = pack.ok_or_else(|| ApiError::not_found("POST", "packs", name))?;
    let refused = |message: &str| ApiError::new(409, "POST", message).about("packs", name);
    let Some(previous) = pack.previous.clone().filter(|_| pack.is_in_use()) else {
        return Err(refused("there is no version before it"));
    };
    let path = endpoint.library.archive(&previous.digest);
    let path = path.ok_or_else(|| refused("the archive of the version before it is lost"))?;
    let digest = previous.digest.clone();
    let archive = blocking(move || check::read(&path, &digest)).await??;
    let archive = archive.into_pack();
    life::make_callable(endpoint, &archive.components).await?;
    let version = Version::new(
        archive,
        previous.digest.clone(),
        previous.signer.clone(),
        Some(previous.components.clone()),
    );
    let (version, library, name) = (Arc::new(version), Arc::clone(&endpoint.library), name.to_owned());
    let installed = commit(endpoint, &caller.principal, move |work| {
        let now = work.tx.get::<InstalledPack>(&name);
        let now = now.ok_or_else(|| ApiError::not_found("POST", "packs", &name))?;
        refuse_under_way(&now, "POST")?;
        if now.previous.as_ref() != Some(&previous) {
            return Err(ApiError::new(409, "Conflict", "the pack changed meanwhile")
                .about("packs", &name)
                .into());
        }
        install(work, &version, &library)
    })
    .await?;
    drop(making);
    sweep(endpoint).await;
    Ok(installed)
}

/// Removes a pack with its objects and components.
///
/// # Errors
///
/// 404 when there is none, 409 while another pack needs it, something uses its objects or components, a job of it is not
/// ended, or a version of it is on its way.
pub(crate) async fn remove(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    name: &str,
) -> Result<Arc<InstalledPack>, ApiError> {
    caller.require("packs", "delete", name)?;
    take_out(endpoint, &caller.principal, name).await
}

/// Does what [`remove`] does, for a caller who may do it for another reason.
///
/// # Errors
///
/// Those of [`remove`].
pub(crate) async fn take_out(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    name: &str,
) -> Result<Arc<InstalledPack>, ApiError> {
    let (library, name) = (Arc::clone(&endpoint.library), name.to_owned());
    let removed = commit(endpoint, principal, move |work| {
        let pack = work.tx.get::<InstalledPack>(&name);
        let pack = pack.ok_or_else(|| ApiError::not_found("DELETE", "packs", &name))?;
        refuse_under_way(&pack, "DELETE")?;
        if let Some(installed) = work.tx.get::<InstalledContent>(&name).filter(|_| pack.is_in_use()) {
            refuse_running(&*work.tx, &pack)?;
            layer::take(work, &installed, &About::new("packs", "DELETE", &library))?;
        }
        work.tx.delete("packs", &name);
        Ok(pack)
    })
    .await?;
    sweep(endpoint).await;
    Ok(removed)
}

fn refuse_under_way(pack: &InstalledPack, method: &str) -> Result<(), Stop> {
    match &pack.incoming {
        Some(incoming) if incoming.is_under_way() => {
            let message = format!(
                "version {} is on its way\nhint: wait until it is ready or refused",
                incoming.version
            );
            Err(ApiError::new(409, method, message).about("packs", &pack.name).into())
        }
        _ => Ok(()),
    }
}

/// A job that runs a component of the pack must end first: without its task it could not be told how.
fn refuse_running(objects: &impl Objects, pack: &InstalledPack) -> Result<(), Stop> {
    let mut running = Vec::new();
    objects.visit("jobs", &mut |object| {
        if let Some(job) = object.as_any().downcast_ref::<Job>()
            && !job.state.is_final()
            && job.component.split_once('/').is_some_and(|(owner, _)| owner == pack.name)
        {
            running.push(format!("jobs:{}", job.uuid));
        }
        true
    });
    if running.is_empty() {
        return Ok(());
    }
    let message = format!("{} is still in use by {}", pack.name, running.join(", "));
    Err(ApiError::new(409, "StillInUseError", message).about("packs", &pack.name).into())
}
