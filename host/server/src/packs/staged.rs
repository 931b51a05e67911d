//! A pack that is looked at now and comes into use later, in one transaction with others (drp-api.md 14.3).

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_model::{
    ComponentKind, ComponentRecord, IncomingPack, InstalledContent, InstalledPack, ObjectsExt, Publisher,
};
use formwork_packs::{PackComponent, Trust, versions::Version as Number};

use super::{
    Upload, Wanted, check,
    check::Policy,
    consent,
    install::{self, Version},
    intake::{blocking, identify},
    life,
};
use crate::{
    auth::Caller,
    commands::{claims, contents::is_own},
    commit::{Stop, Work, internal, rehearse},
    endpoint::Endpoint,
};

/// A pack that could be installed when it was looked at. Its archive is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Staged {
    version: Arc<Version>,
    components: Vec<PackComponent>,
    upload: Upload,
    wanted: Wanted,
}

impl Staged {
    /// Returns what the pack says of itself.
    pub(crate) fn meta(&self) -> &formwork_model::ContentMeta {
        &self.version.layer.meta
    }

    /// Returns its plugin component of a name.
    pub(crate) fn plugin(&self, name: &str) -> Option<ComponentRecord> {
        let is_it = |record: &&ComponentRecord| record.name == name && record.kind == ComponentKind::Plugin;
        self.version.layer.components.iter().find(is_it).cloned()
    }

    /// Returns the length of its archive.
    pub(crate) fn bytes(&self) -> u64 {
        self.upload.bytes
    }
}

/// Looks at an upload as if it were to be installed now.
///
/// # Errors
///
/// Everything that an upload is refused for, consent that is missing among it.
pub(crate) async fn stage(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    upload: Upload,
    wanted: Wanted,
) -> Result<Staged, ApiError> {
    let (folder, given) = (endpoint.packs.folder.clone(), wanted.clone());
    let found = blocking(move || identify(&folder, upload, &given)).await??;
    let (manifest, upload) = (found.manifest, found.upload);
    if is_own(&endpoint.library, &manifest.name) {
        let message = format!("the name `{}` is the endpoint's own", manifest.name);
        return Err(ApiError::new(409, "Conflict", message).about("packs", &manifest.name));
    }
    let publishers = endpoint.snapshot().list::<Publisher>();
    let policy = Policy {
        trust: Trust::new(publishers.iter().map(Arc::as_ref)),
        allow_unsigned: endpoint.options.allow_unsigned,
        now: endpoint.now(),
    };
    let incoming = IncomingPack { digest: upload.digest.clone(), ..IncomingPack::default() };
    let path = upload.path.clone();
    let checked = blocking(move || check::check(&path, &incoming, &policy)).await??;
    let components = checked.pack.components.clone();
    let mut version = Version::new(checked.pack, upload.digest.clone(), checked.signer, None);
    version.layer.replace_writable = wanted.replace_writable;
    let staged = Arc::new(Staged { version: Arc::new(version), components, upload, wanted });
    let (tried, library, uploader) = (Arc::clone(&staged), Arc::clone(&endpoint.library), caller.clone());
    rehearse(endpoint, &caller.principal, move |work| install_staged(work, &uploader, &tried, &library))
        .await?;
    Arc::try_unwrap(staged).map_err(|_| ApiError::new(500, "INTERNAL", "a staged pack is still in use"))
}

/// Makes all that must be durable before a pack comes into use: its archive, and its components with their code.
///
/// Files that no record names yet are swept unless the caller holds [`super::Packs::keep_files`].
///
/// # Errors
///
/// A component does not compile, or the disk does not do it.
pub(crate) async fn make_ready(endpoint: &Arc<Endpoint>, staged: &Staged) -> Result<(), ApiError> {
    let (library, path) = (Arc::clone(&endpoint.library), staged.upload.path.clone());
    let digest = staged.upload.digest.clone();
    let kept = blocking(move || {
        // What is staged stays: the commit may be refused and tried again.
        let copied = path.with_extension("copied");
        std::fs::copy(&path, &copied)?;
        std::fs::File::open(&copied)?.sync_all()?;
        library.keep_archive(&digest, &copied)
    });
    kept.await?.map_err(|error| internal(&error))?;
    life::make_callable(endpoint, &staged.components).await
}

/// Brings a staged pack into use, inside of a transaction that is about more.
///
/// # Errors
///
/// Everything that keeps it from that now.
pub(crate) fn install_staged(
    work: &mut Work<'_>,
    caller: &Caller,
    staged: &Staged,
    library: &crate::content::Library,
) -> Result<(), Stop> {
    let name = staged.version.name();
    let refused = |message: String| Stop::from(ApiError::new(409, "Conflict", message).about("packs", name));
    let pack = work.tx.get::<InstalledPack>(name);
    if pack.as_ref().is_some_and(|pack| pack.incoming.as_ref().is_some_and(IncomingPack::is_under_way)) {
        return Err(refused(format!(
            "a version of pack `{name}` is on its way\nhint: wait until it is ready"
        )));
    }
    let in_use = pack.filter(|pack| pack.is_in_use());
    if in_use.is_none() && work.tx.get::<InstalledContent>(name).is_some() {
        let hint = "hint: remove it first, or name the pack otherwise";
        return Err(refused(format!("a content bundle is called `{name}`\n{hint}")));
    }
    let new = &staged.version.layer.meta.version;
    let older =
        in_use.as_ref().filter(|pack| Number::of_installed(new) < Number::of_installed(&pack.version));
    if let Some(pack) = older.filter(|_| !staged.wanted.downgrade) {
        return Err(refused(format!("version {new} is older than {}, which is in use", pack.version)));
    }
    let wider = consent::wider(&staged.version.granted, in_use.as_deref());
    consent::require(name, &wider, &staged.wanted.grants)?;
    claims::require_all_given(caller, &*work.tx, &staged.version.layer.objects)?;
    install::install(work, &staged.version, library).map(drop)
}
