//! The life of a version from its record to its use, in the background; it goes on where a restart interrupted it.

use std::{sync::Arc, time::Duration};

use formwork_api::ApiError;
use formwork_model::{
    IncomingPack, InstalledContent, InstalledPack, ObjectsExt, PackState, Preference, Publisher, Record as _,
    Timestamp,
};
use formwork_packs::{Pack, PackComponent, Trust};

use super::{
    check::{self, Checked, Policy},
    consent,
    install::{self, Version},
    intake::{blocking, show, store},
    sweep,
};
use crate::{
    commit::{Stop, Work, commit, internal, rehearse},
    endpoint::Endpoint,
    plugins,
};

/// How long an archive is kept that waits for consent.
const KEPT: Duration = Duration::from_secs(3600);

/// Goes on with all versions that were on their way when an earlier process ended, and sweeps what it left.
pub(crate) fn resume(endpoint: &Arc<Endpoint>) {
    let on_their_way = endpoint.snapshot().list::<InstalledPack>();
    let on_their_way: Vec<_> = on_their_way
        .into_iter()
        .filter(|pack| pack.incoming.as_ref().is_some_and(IncomingPack::is_under_way))
        .collect();
    let endpoint = Arc::clone(endpoint);
    tokio::spawn(async move {
        sweep(&endpoint).await;
        for pack in on_their_way {
            tracing::info!(pack.name = pack.name, "goes on with a version that was on its way");
            tokio::spawn(drive(Arc::clone(&endpoint), String::from("system"), pack));
        }
    });
}

/// Brings the version on its way into use, or records why not. Returns the record once it is ready.
///
/// Dropping this loses nothing: the record still says what is owed.
///
/// # Errors
///
/// Why it was refused.
pub(crate) async fn drive(
    endpoint: Arc<Endpoint>,
    principal: String,
    pack: Arc<InstalledPack>,
) -> Result<Arc<InstalledPack>, ApiError> {
    let incoming = pack.incoming.clone().filter(IncomingPack::is_under_way);
    let Some(incoming) = incoming else { return Ok(pack) };
    let life = Life { endpoint: Arc::clone(&endpoint), principal, name: pack.name.clone(), incoming };
    let ended = life.run().await;
    if let Err(error) = &ended {
        tracing::info!(pack.name = life.name, %error, "a pack was refused");
        if let Err(error) = life.refuse(error.clone()).await {
            tracing::error!(pack.name = life.name, %error, "failed to write down why a pack was refused");
        }
    }
    sweep(&endpoint).await;
    // Who is told that the pack is ready finds its plugin providers.
    plugins::settle(&endpoint).await;
    ended
}

/// Brings a pack into use that is at hand, with all that it asks for, as in a simulation. Returns what is not in order.
///
/// # Errors
///
/// A component does not compile, or the objects cannot be installed.
pub(crate) async fn install_at_once(endpoint: &Arc<Endpoint>, pack: Pack) -> Result<Vec<String>, ApiError> {
    let _making = endpoint.packs.files.read().await;
    let (name, components) = (pack.meta.name.clone(), pack.components.clone());
    make_callable(endpoint, &components).await?;
    let digest = formwork_packs::digest(name.as_bytes());
    let version = Arc::new(Version::new(pack, digest, String::new(), None));
    let library = Arc::clone(&endpoint.library);
    commit(endpoint, "system", move |work| install::install(work, &version, &library).map(drop)).await?;
    plugins::settle(endpoint).await;
    let installed = endpoint.snapshot().get::<InstalledContent>(&name);
    Ok(installed.map(|content| content.warnings.clone()).unwrap_or_default())
}

/// Installs a pack in a transaction that is undone, without looking at its components. For simulations.
///
/// # Errors
///
/// What is wrong with its objects, and what it needs and is not there.
pub(crate) async fn rehearse_objects(endpoint: &Arc<Endpoint>, pack: Pack) -> Result<(), ApiError> {
    let version = Arc::new(Version::new(pack, String::new(), String::new(), None));
    let library = Arc::clone(&endpoint.library);
    rehearse(endpoint, "system", move |work| install::install(work, &version, &library).map(drop)).await
}

/// One version on its way.
struct Life {
    endpoint: Arc<Endpoint>,
    principal: String,
    name: String,
    incoming: IncomingPack,
}

impl Life {
    async fn run(&self) -> Result<Arc<InstalledPack>, ApiError> {
        let packs = &self.endpoint.packs;
        // The semaphore is never closed.
        let _slot = packs.slots.acquire().await;
        let _making = packs.files.read().await;
        self.alter(|incoming| incoming.state = PackState::Checking).await?;
        let Checked { pack, signer } = self.check().await?;
        let components = pack.components.clone();
        let mut version = Version::new(pack, self.incoming.digest.clone(), signer, None);
        version.layer.replace_writable = self.incoming.replace_writable;
        let version = Arc::new(version);
        self.refuse_preferences(&version)?;
        self.rehearse(&version).await?;
        self.ask_consent(&version).await?;
        self.alter(|incoming| incoming.state = PackState::Compiling).await?;
        make_callable(&self.endpoint, &components).await?;
        self.install(version).await
    }

    async fn check(&self) -> Result<Checked, ApiError> {
        let lost = || {
            let message = "the archive is lost\nhint: send the pack again";
            ApiError::new(422, "Lost", message).about("packs", &self.name)
        };
        let path = self.endpoint.library.archive(&self.incoming.digest).ok_or_else(lost)?;
        let publishers = self.endpoint.snapshot().list::<Publisher>();
        let policy = Policy {
            trust: Trust::new(publishers.iter().map(Arc::as_ref)),
            allow_unsigned: self.endpoint.options.allow_unsigned,
            now: self.endpoint.now(),
        };
        let incoming = self.incoming.clone();
        let mut checked = blocking(move || check::check(&path, &incoming, &policy)).await?;
        if let Err(error) = &mut checked {
            error.key.clone_from(&self.name);
        }
        checked
    }

    /// Refuses preferences: a pack may be brought by who may not set them, and nobody sees at this point who did.
    fn refuse_preferences(&self, version: &Version) -> Result<(), ApiError> {
        let found =
            version.layer.objects.iter().find(|object| object.kind().prefix == Preference::KIND.prefix);
        let Some(preference) = found else { return Ok(()) };
        let words = format!(
            "preferences:{}: a pack that is sent here brings no preferences\nhint: send it with `contents upload`, which asks \
             whether the sender may set them",
            preference.key()
        );
        Err(ApiError::new(422, "ValidationError", words).about("packs", &self.name))
    }

    /// Installs in a transaction that is undone, so that nothing is compiled that could not be installed.
    async fn rehearse(&self, version: &Arc<Version>) -> Result<(), ApiError> {
        let (version, library) = (Arc::clone(version), Arc::clone(&self.endpoint.library));
        rehearse(&self.endpoint, &self.principal, move |work| {
            install::install(work, &version, &library).map(drop)
        })
        .await
    }

    /// Writes down what is asked, and stops when an operator has not agreed to all that is new in it.
    async fn ask_consent(&self, version: &Version) -> Result<(), ApiError> {
        let (asked, signer) = (version.granted.clone(), version.signer.clone());
        let in_use = self.endpoint.snapshot().get::<InstalledPack>(&self.name);
        let wider = consent::wider(&asked, in_use.as_deref());
        let shown = wider.clone();
        self.alter(move |incoming| {
            incoming.asked.clone_from(&asked);
            incoming.signer.clone_from(&signer);
            incoming.wider.clone_from(&shown);
        })
        .await?;
        consent::require(&self.name, &wider, &self.incoming.allowed)
    }

    /// The one transaction. Consent was given against the version in use then; it must still be that.
    async fn install(&self, version: Arc<Version>) -> Result<Arc<InstalledPack>, ApiError> {
        let library = Arc::clone(&self.endpoint.library);
        let (name, allowed) = (self.name.clone(), self.incoming.allowed.clone());
        let digest = self.incoming.digest.clone();
        commit(&self.endpoint, &self.principal, move |work| {
            let pack = under_way(work, &name, &digest)?;
            let wider = consent::wider(&version.granted, Some(&pack));
            consent::require(&name, &wider, &allowed)?;
            install::install(work, &version, &library)
        })
        .await
    }

    /// Changes what the record says of the version.
    async fn alter(
        &self,
        alter: impl Fn(&mut IncomingPack) + Clone + Send + Sync + 'static,
    ) -> Result<(), ApiError> {
        let (name, digest) = (self.name.clone(), self.incoming.digest.clone());
        commit(&self.endpoint, &self.principal, move |work| {
            let mut pack = under_way(work, &name, &digest)?;
            let mut incoming = pack.incoming.take();
            incoming.iter_mut().for_each(&alter);
            show(&mut pack, incoming);
            store(work, pack).map(drop)
        })
        .await
    }

    /// Writes down why it is not used. The archive of one that only lacks consent is kept for a while.
    async fn refuse(&self, error: ApiError) -> Result<(), ApiError> {
        let kept_until = if error.r#type == "NeedsConsent" {
            let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
            Timestamp::from_millis(self.endpoint.now().millis().saturating_add(kept))
        } else {
            Timestamp::default()
        };
        self.alter(move |incoming| {
            incoming.state = PackState::Refused;
            incoming.code.clone_from(&error.r#type);
            incoming.reason = error.messages.join("\n");
            incoming.kept_until = kept_until;
        })
        .await
    }
}

/// Returns the record of a pack whose version with a digest is on its way.
fn under_way(work: &Work<'_>, name: &str, digest: &str) -> Result<InstalledPack, Stop> {
    let pack = work.tx.get::<InstalledPack>(name).filter(|pack| {
        pack.incoming.as_ref().is_some_and(|incoming| incoming.is_under_way() && incoming.digest == digest)
    });
    let gone = || ApiError::new(409, "Conflict", "another version took its place").about("packs", name);
    Ok(Arc::unwrap_or_clone(pack.ok_or_else(gone)?))
}

/// Keeps the bytes of components and has them compiled; all of it is durable when this returns.
///
/// # Errors
///
/// A component does not compile within its limits; its file and the limit are named.
pub(super) async fn make_callable(
    endpoint: &Arc<Endpoint>,
    components: &[PackComponent],
) -> Result<(), ApiError> {
    for component in components {
        let (library, component) = (Arc::clone(&endpoint.library), component.clone());
        let file = format!("components/{}.wasm", component.record.name);
        let wasm = component.wasm.clone();
        blocking(move || library.keep_component(&component.record.digest, &component.wasm))
            .await?
            .map_err(|error| internal(&error))?;
        endpoint.sandbox.prepare(&wasm).await.map_err(|error| {
            let mut words = error.to_string();
            if let Some(cause) = std::error::Error::source(&error) {
                words = format!("{words}: {cause}");
            }
            ApiError::invalid("packs", "", vec![format!("`{file}`: {words}")])
        })?;
    }
    Ok(())
}
