//! From an upload to a record: what it is, what it is called, and whether it may be tried at all.

use std::{path::Path, sync::Arc};

use formwork_api::ApiError;
use formwork_model::{
    ComponentKind, IncomingPack, InstalledContent, InstalledPack, ObjectsExt, PackState, Timestamp,
};
use formwork_packs::{Archive, ArchiveManifest, MAX_FILE_BYTES, versions::Version};
use serde_json::json;

use super::{Upload, check, consent, upload::Form};
use crate::{
    auth::Caller,
    commands::contents::is_own,
    commit::{Stop, Work, commit, internal},
    endpoint::Endpoint,
    random,
};

/// What the sender of an upload says about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// The name of the pack that a bare component becomes.
    pub(crate) name: Option<String>,
    /// The kind of a bare component; told by what it exports when absent.
    pub(crate) kind: Option<ComponentKind>,
    /// The grant lines that are agreed to; `all` stands for whatever is asked. A bare component asks for these lines.
    pub(crate) grants: Vec<String>,
    /// True when it may be older than the version in use.
    pub(crate) downgrade: bool,
    /// True when it may take the place of writable objects.
    pub(crate) replace_writable: bool,
}

/// An archive that is ready to be recorded.
pub(super) struct Found {
    pub(super) manifest: ArchiveManifest,
    pub(super) upload: Upload,
}

/// Takes an upload over and records it. Returns the record, in which it is on its way unless it is in use already.
///
/// # Errors
///
/// What it is cannot be told, it is older than the version in use, or the pack is on its way already.
pub(crate) async fn receive(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    upload: Upload,
    wanted: Wanted,
) -> Result<Arc<InstalledPack>, ApiError> {
    let _making = endpoint.packs.files.read().await;
    let folder = endpoint.packs.folder.clone();
    let given = wanted.clone();
    let found = blocking(move || identify(&folder, upload, &given)).await??;
    let name = found.manifest.name.clone();
    let incoming = IncomingPack {
        version: found.manifest.version.clone(),
        digest: found.upload.digest.clone(),
        bytes: found.upload.bytes,
        allowed: wanted.grants,
        downgrade: wanted.downgrade,
        replace_writable: wanted.replace_writable,
        ..IncomingPack::default()
    };
    if is_own(&endpoint.library, &name) {
        let message = format!("the name `{name}` is the endpoint's own");
        return Err(ApiError::new(409, "Conflict", message).about("packs", &name));
    }
    let library = Arc::clone(&endpoint.library);
    blocking(move || library.keep_archive(&found.upload.digest, &found.upload.path))
        .await?
        .map_err(|error| internal(&error))?;
    commit(endpoint, &caller.principal, move |work| begin(work, &name, incoming.clone())).await
}

/// Goes on with an upload that waits for consent.
///
/// # Errors
///
/// 404 when there is none with this digest, or its time is over.
pub(crate) async fn again(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    digest: &str,
    grants: Vec<String>,
) -> Result<Arc<InstalledPack>, ApiError> {
    let now = endpoint.now();
    let waiting = |pack: &InstalledPack| {
        pack.incoming.as_ref().is_some_and(|incoming| incoming.digest == digest && now < incoming.kept_until)
    };
    let pack = endpoint.snapshot().find_by::<InstalledPack>(waiting);
    let there = endpoint.library.archive(digest).is_some();
    let Some(pack) = pack.filter(|_| there) else {
        let message = format!("no upload with digest {digest} waits for consent\nhint: send the pack again");
        return Err(ApiError::new(404, "POST", message).about("packs", ""));
    };
    let (name, digest) = (pack.name.clone(), digest.to_owned());
    commit(endpoint, &caller.principal, move |work| {
        let waiting = work.tx.get::<InstalledPack>(&name).and_then(|pack| pack.incoming.clone());
        let waiting = waiting.filter(|incoming| incoming.digest == digest);
        let mut incoming = waiting.ok_or_else(|| ApiError::not_found("POST", "packs", &name))?;
        incoming.allowed.extend(grants.iter().cloned());
        begin(work, &name, incoming)
    })
    .await
}

/// Records that a version is on its way.
fn begin(work: &mut Work<'_>, name: &str, mut incoming: IncomingPack) -> Result<Arc<InstalledPack>, Stop> {
    let refused =
        |message: String| Err(Stop::from(ApiError::new(409, "Conflict", message).about("packs", name)));
    let mut pack = work
        .tx
        .get::<InstalledPack>(name)
        .map(Arc::unwrap_or_clone)
        .unwrap_or_else(|| InstalledPack { name: name.to_owned(), ..InstalledPack::default() });
    if pack.incoming.as_ref().is_some_and(IncomingPack::is_under_way) {
        return refused(format!(
            "version {} of pack `{name}` is on its way\nhint: wait until it is ready",
            pack.version
        ));
    }
    if !pack.is_in_use() && work.tx.get::<InstalledContent>(name).is_some() {
        return refused(format!(
            "a content bundle is called `{name}`\nhint: remove it first, or name the pack otherwise"
        ));
    }
    if pack.is_in_use() && pack.digest == incoming.digest {
        return Ok(Arc::new(pack));
    }
    let older = Version::of_installed(&incoming.version) < Version::of_installed(&pack.version);
    if pack.is_in_use() && older && !incoming.downgrade {
        return refused(format!(
            "version {} is older than {}, which is in use\nhint: `formwork pack rollback {name}` brings the version \
             before it, `--allow-downgrade` any",
            incoming.version, pack.version
        ));
    }
    (incoming.state, incoming.kept_until) = (PackState::Received, Timestamp::default());
    incoming.code.clear();
    incoming.reason.clear();
    show(&mut pack, Some(incoming));
    store(work, pack)
}

/// Sets what is on its way. While nothing is in use, the record as a whole speaks of it.
pub(super) fn show(pack: &mut InstalledPack, incoming: Option<IncomingPack>) {
    pack.reason = incoming.as_ref().map(|incoming| incoming.reason.clone()).unwrap_or_default();
    if let Some(incoming) = incoming.as_ref().filter(|_| !pack.is_in_use()) {
        pack.version.clone_from(&incoming.version);
        pack.state = incoming.state;
        pack.digest.clone_from(&incoming.digest);
        pack.signer.clone_from(&incoming.signer);
        pack.asked.clone_from(&incoming.asked);
    }
    pack.incoming = incoming;
}

/// Puts the record of a pack and returns it as it was stored.
pub(super) fn store(work: &mut Work<'_>, pack: InstalledPack) -> Result<Arc<InstalledPack>, Stop> {
    let stored = work.put(Box::new(pack))?;
    let stored = stored.into_any().downcast::<InstalledPack>();
    stored.map_err(|_| ApiError::new(500, "INTERNAL", "the record of a pack is of another type").into())
}

/// Runs something that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| internal(&error))
}

/// Tells what an upload is; a bare component becomes a pack of one.
pub(super) fn identify(folder: &Path, upload: Upload, wanted: &Wanted) -> Result<Found, ApiError> {
    let refused = |message: String| ApiError::new(422, "POST", message).about("packs", "");
    let upload = match upload.form() {
        Form::Archive => upload,
        Form::Component => wrap(folder, &upload, wanted)?,
        Form::Unknown => {
            let message = "it is neither a `.fwpack` file nor a component\n\
                           hint: plain content bundles go to `/contents`";
            return Err(refused(message.to_owned()));
        }
    };
    let file = std::fs::File::open(&upload.path).map_err(|error| internal(&error))?;
    let manifest =
        ArchiveManifest::read(std::io::BufReader::new(file)).map_err(|error| check::refusal("", &error))?;
    Ok(Found { manifest, upload })
}

/// Makes a pack of a bare component: one component with the name of the pack, which asks for what it is granted.
fn wrap(folder: &Path, upload: &Upload, wanted: &Wanted) -> Result<Upload, ApiError> {
    let refused = |message: String| ApiError::new(422, "POST", message).about("packs", "");
    let Some(name) = &wanted.name else {
        return Err(refused(String::from("a component needs a name\nhint: send it as `?name=NAME`")));
    };
    if !is_component_name(name) {
        let message =
            format!("the name `{name}` is none\nhint: lower-case letters, digits and `-`, a letter first");
        return Err(refused(message));
    }
    if upload.bytes > MAX_FILE_BYTES {
        return Err(refused(format!("the component is longer than {MAX_FILE_BYTES} bytes")));
    }
    let wasm = std::fs::read(&upload.path).map_err(|error| internal(&error))?;
    let kind = match wanted.kind {
        Some(kind) => kind,
        None => check::kind_of(&wasm).map_err(|error| refused(error.to_string()))?,
    };
    let short = upload.digest.get(..8).unwrap_or_default();
    let grants: Vec<&String> = wanted.grants.iter().filter(|line| *line != consent::ALL).collect();
    let manifest = json!({
        "name": name, "version": format!("0.0.0-{short}"),
        "components": [{ "name": name, "kind": kind, "grants": grants }],
    });
    let folder = Draft(folder.join(random::uuid()));
    let written = std::fs::create_dir_all(folder.0.join("components"))
        .and_then(|()| std::fs::write(folder.0.join("pack.yaml"), manifest.to_string()))
        .and_then(|()| std::fs::write(folder.0.join(format!("components/{name}.wasm")), &wasm));
    written.map_err(|error| internal(&error))?;
    let archive = Archive::from_folder(&folder.0).map_err(|error| check::refusal("", &error))?;
    let mut bytes = Vec::new();
    archive.write(&mut bytes, None).map_err(|error| check::refusal("", &error))?;
    Upload::written(&folder.0.with_extension("fwpack"), &bytes).map_err(|error| internal(&error))
}

/// Tells whether a name is one for both a pack and a component; it becomes part of a path.
fn is_component_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// A folder that is removed again.
struct Draft(std::path::PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
