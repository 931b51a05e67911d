//! The order in which an endpoint comes up and goes down.

mod doors;
mod first;
mod holder;
mod network;
mod programs;

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use formwork_blobs::Space;
use formwork_model::{Job, Machine, ObjectsExt};
use formwork_sandbox::{Host, Optimise, Sandbox, SandboxConfig, WorkerCommand};
use formwork_store::Store;
use tokio::sync::{broadcast, watch};

use crate::{
    ServeOptions,
    accept::{self, Door, Places, Service},
    auth::{self, Desk, FOREVER_SECONDS, TokenKey},
    boot,
    certificate::{Certificate, CertificateError},
    clock::Clock,
    commands::{contents::updates::Updates, work_orders::Queue},
    connections::Connections,
    content::{self, Base, Library},
    endpoint::Endpoint,
    files::FileRoot,
    housekeeping, http,
    hub::Hub,
    log_levels, log_ring,
    logs::JobLogs,
    metrics::{self, ApiCounts},
    packs::{self, Packs},
    plugins::{self, Patience, Plugins},
    runner::{self, Groups},
    secure::{self, Vault},
    trees,
};

/// Guest calls that may be under way; further ones wait.
const CONCURRENT_CALLS: u32 = 64;

/// How long requests in flight may take when the endpoint goes down.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// The endpoint did not start, or could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Another process serves the same data.
    #[error(
        "the data in `{folder}` is served by process {holder} already\nhint: stop it, or give another --base-root"
    )]
    Held {
        /// The folder.
        folder: PathBuf,
        /// The process id of the other.
        holder: String,
    },
    /// A folder or file of the endpoint cannot be used.
    #[error("failed to use `{path}`")]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The store cannot be opened.
    #[error("failed to open the store")]
    Store(#[from] formwork_store::OpenError),
    /// The certificate or its key is not usable.
    #[error("failed to set up TLS: {0}")]
    Tls(String),
    /// The built-in content is not in order.
    #[error("failed to load the built-in content")]
    Content(#[from] formwork_packs::PackError),
    /// Content that the operator gave is not in order.
    #[error(transparent)]
    GivenContent(#[from] content::GivenContentError),
    /// Components cannot be run.
    #[error("failed to start the sandbox")]
    Sandbox(#[from] formwork_sandbox::SandboxError),
    /// A component of the built-in pack does not compile.
    #[error("failed to prepare the component `{digest}`")]
    Component {
        /// Its digest.
        digest: String,
        /// Why not.
        #[source]
        source: Box<formwork_sandbox::PrepareError>,
    },
    /// The port of the API is taken.
    #[error("failed to listen on {address} for the API\nhint: give another --api-port")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A port that the operator named is taken.
    #[error("failed to listen on {address}\nhint: give another {flag}, or 0 for none")]
    Door {
        /// The address.
        address: SocketAddr,
        /// The flag that names the port.
        flag: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A service of the boot network did not start.
    #[error("failed to start the boot services")]
    Boot(#[from] boot::BootError),
    /// The first objects could not be written.
    #[error("failed to write the first objects: {0}")]
    First(String),
}

/// What is worth telling when an endpoint has come up.
#[derive(Clone, Debug)]
pub struct Started {
    /// The URL of the API.
    pub url: String,
    /// The first user, at the very first start.
    pub first_user: Option<FirstUser>,
    /// The machine that the endpoint's own host is, where it is to be one.
    pub own_machine: Option<OwnMachine>,
    /// The clusters and resource brokers, whose tasks the endpoint itself does not run.
    pub groups: Groups,
}

/// A machine, a cluster or a resource broker that is to have an agent beside the endpoint.
#[derive(Clone)]
pub struct OwnMachine {
    /// Its UUID.
    pub uuid: String,
    /// A token for its agent: it lives for three years for the endpoint's own host, else as long as those of all agents.
    pub token: String,
}

impl fmt::Debug for OwnMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnMachine").field("uuid", &self.uuid).finish_non_exhaustive()
    }
}

/// The user that was made at the very first start.
#[derive(Clone, PartialEq, Eq)]
pub struct FirstUser {
    /// Its name.
    pub name: String,
    /// Its password where the endpoint made it up, which is told this once; none where the operator gave one.
    pub made_password: Option<String>,
}

impl fmt::Debug for FirstUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstUser").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Runs an endpoint until `shutdown` is done. `started` is called when all services answer.
///
/// # Errors
///
/// Anything that keeps the endpoint from coming up; see [`ServeError`]. Nothing is left half done.
pub async fn serve(
    mut options: ServeOptions,
    started: impl FnOnce(&Started),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    raise_file_limit();
    std::fs::create_dir_all(&options.base_root).map_err(|source| folder(&options.base_root, source))?;
    let _holder = holder::hold(&options.base_root)?;
    let address = SocketAddr::from((options.listen, options.api_port));
    let listener = accept::listen(address).map_err(|source| ServeError::Listen { address, source })?;
    let doors = doors::bind(&mut options)?;
    let (endpoint, first_user) = open(options, Optimise::AtOnce).await?;
    let tls = endpoint.certificate.acceptor(&endpoint.options.tls).map_err(certificate)?;
    let (files, options) = (endpoint.files.clone(), endpoint.options.clone());
    let provided = tokio::task::spawn_blocking(move || {
        programs::provide(files.files(), &options.worker, &options.base_root);
    });
    let _ = provided.await;
    let (stop, stopped) = watch::channel(false);
    boot::provide_subnet(&endpoint).await.map_err(|error| ServeError::First(error.to_string()))?;
    let mut tasks = boot::start(Arc::clone(&endpoint), stopped.clone()).await?;
    if let Some(listener) = doors.secure_files {
        let tls = endpoint.static_certificate().acceptor(&endpoint.options.tls).map_err(certificate)?;
        let service = boot::file_service(Arc::clone(&endpoint), Some(tls));
        tasks.push(tokio::spawn(accept::serve(listener, service, stopped.clone())));
    }
    if let Some(listener) = doors.metrics {
        let service = metrics::service(Arc::clone(&endpoint));
        tasks.push(tokio::spawn(accept::serve(listener, service, stopped.clone())));
    }
    tasks.push(housekeeping::start(Arc::clone(&endpoint), stopped.clone()));
    tasks.push(tokio::spawn(tell_lines(Arc::clone(&endpoint), stopped.clone())));
    tasks.push(trees::start(Arc::clone(&endpoint), stopped.clone()));
    tasks.push(log_levels::start(Arc::clone(&endpoint), stopped.clone()));
    tasks.push(auth::tell_writes(Arc::clone(&endpoint), stopped.clone()));
    tasks.push(runner::start(Arc::clone(&endpoint), stopped.clone()));
    tasks.push(plugins::start(Arc::clone(&endpoint), Patience::default(), stopped.clone()));
    tasks.push(packs::flush_until(Arc::clone(&endpoint), stopped.clone()));
    packs::resume(&endpoint);
    let service = Service {
        files: None,
        routes: http::routes(Arc::clone(&endpoint)),
        tls: Some(tls),
        door: Door::Api,
        places: Arc::clone(&endpoint.places),
        listed: Some(Arc::clone(&endpoint)),
        farewell: LAST_REQUESTS,
    };
    let api = tokio::spawn(accept::serve(listener, service, stopped));
    let own_machine = if endpoint.options.create_self { own_machine(&endpoint).await? } else { None };
    let groups = Groups::new(Arc::clone(&endpoint));
    started(&Started { url: endpoint.api_url(), first_user, own_machine, groups });
    shutdown.await;
    let _ = stop.send(true);
    let _ = api.await;
    for task in tasks {
        let _ = tokio::time::timeout(LAST_REQUESTS, task).await;
    }
    endpoint.store.close().await;
    endpoint.hub.farewell(LAST_REQUESTS).await;
    Ok(())
}

/// Allows this process as many open files as the system does: each connection is one, and the usual limit is for interactive
/// programs.
pub fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, wanted) {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
    }
}

fn folder(path: &std::path::Path, source: std::io::Error) -> ServeError {
    ServeError::Folder { path: path.to_owned(), source }
}

async fn own_machine(endpoint: &Arc<Endpoint>) -> Result<Option<OwnMachine>, ServeError> {
    let uuid = first::own_machine(endpoint).await.map_err(|error| ServeError::First(error.to_string()))?;
    let snapshot = endpoint.snapshot();
    let machine = snapshot.get::<Machine>(&uuid);
    let token =
        machine.map(|machine| auth::machine_token(endpoint, &snapshot, &machine, Some(FOREVER_SECONDS)));
    Ok(token.map(|token| OwnMachine { uuid, token }))
}

fn certificate(error: CertificateError) -> ServeError {
    ServeError::Tls(error.to_string())
}

/// Opens everything that the endpoint keeps, and makes what is missing.
pub(crate) async fn open(
    options: ServeOptions,
    optimise: Optimise,
) -> Result<(Arc<Endpoint>, Option<FirstUser>), ServeError> {
    let root = options.base_root.clone();
    let at = |name: &str| root.join(name);
    for name in ["keys", "job-logs", "cache"] {
        std::fs::create_dir_all(at(name)).map_err(|source| folder(&at(name), source))?;
    }
    std::fs::create_dir_all(&options.data_root).map_err(|source| folder(&options.data_root, source))?;
    let files = FileRoot::new(&options.file_root).map_err(|source| folder(&options.file_root, source))?;
    let core = formwork_packs::core()?;
    let layers = Base::read(&options)?;
    let base = layers.objects(&files);
    let store = if options.memory {
        Store::memory(base)
    } else {
        Store::open(&options.data_root.join("formwork.redb"), base)?
    };
    let objects = store.snapshot();
    let logs = JobLogs::open(&at("job-logs"), |job| objects.get::<Job>(job).is_some());
    let logs = logs.map_err(|source| folder(&at("job-logs"), source))?;
    drop(objects);
    let worker = WorkerCommand::new(options.worker.clone(), [String::from("compile-worker")]);
    let sandbox = Sandbox::new(SandboxConfig {
        concurrent_calls: CONCURRENT_CALLS,
        optimise,
        limits: options.component_limits.clone(),
        recordings: options.record_calls.clone(),
        ..SandboxConfig::new(at("cache"), worker)
    })?;
    let library = Arc::new(Library::new(layers, core, &root).map_err(|source| folder(&root, source))?);
    for (digest, bytes) in library.embedded() {
        sandbox
            .prepare(bytes)
            .await
            .map_err(|source| ServeError::Component { digest: digest.clone(), source: Box::new(source) })?;
    }
    let (key_file, secure_file) = (at("keys/token.key"), at("keys/secure.key"));
    let local_id = network::first_hardware_address();
    let endpoint = Arc::new(Endpoint {
        address: network::told_address(&options),
        id: options.id.clone().unwrap_or_else(|| network::default_id(&local_id)),
        local_id,
        logs,
        vault: Arc::new(Vault::load(&secure_file).map_err(|source| folder(&secure_file, source))?),
        key: Arc::new(TokenKey::load(&key_file).map_err(|source| folder(&key_file, source))?),
        renderer: crate::render::Renderer::default(),
        clock: Clock::Real,
        packs: Packs::new(&root).map_err(|source| folder(&root, source))?,
        plugins: Plugins::default(),
        queue: Queue::default(),
        outside: None,
        boot_counts: boot::BootCounts::default(),
        recorder: boot::Recorder::default(),
        hub: Hub::new(&store),
        desk: Desk::default(),
        certificate: Certificate::load(&options).map_err(certificate)?,
        own_static_certificate: match &options.static_tls {
            Some((cert, key)) => Some(Certificate::of_files(cert, key, &options).map_err(certificate)?),
            None => None,
        },
        releases: Space::open(&at("releases"), Arc::default())
            .map_err(|source| folder(&at("releases"), source))?,
        connections: Arc::new(Connections::default()),
        places: Places::of_process(),
        api_counts: ApiCounts::default(),
        updates: Updates::new(&root).map_err(|source| folder(&root, source))?,
        store,
        sandbox,
        library,
        files,
        options,
    });
    // Bundles may have objects of types that were declared before this start.
    drop(formwork_model::kinds_of(&endpoint.snapshot()));
    let recovered = endpoint.updates.recover(&endpoint.files, &endpoint.snapshot());
    recovered.map_err(|error| ServeError::First(error.to_string()))?;
    let first_user = first::objects(&endpoint).await.map_err(|error| ServeError::First(error.to_string()))?;
    secure::seal_existing(&endpoint).await.map_err(|error| ServeError::First(error.to_string()))?;
    content::settle(&endpoint).await?;
    Ok((endpoint, first_user))
}

/// Makes an endpoint with other objects and other surroundings, which shares with a real one what runs its components.
pub(crate) fn copy(
    real: &Endpoint,
    scratch: &std::path::Path,
    store: Store,
    outside: Arc<dyn Host>,
) -> Result<Endpoint, ServeError> {
    let failed = |source| folder(scratch, source);
    Ok(Endpoint {
        options: real.options.clone(),
        address: real.address,
        id: real.id.clone(),
        local_id: real.local_id.clone(),
        hub: Hub::new(&store),
        store,
        sandbox: real.sandbox.clone(),
        library: Arc::clone(&real.library),
        packs: Packs::new(scratch).map_err(failed)?,
        logs: JobLogs::open(&scratch.join("job-logs"), |_| true).map_err(failed)?,
        files: real.files.clone(),
        renderer: crate::render::Renderer::default(),
        vault: Arc::clone(&real.vault),
        key: Arc::clone(&real.key),
        clock: Clock::invented(real.now()),
        plugins: Plugins::default(),
        queue: Queue::default(),
        outside: Some(outside),
        boot_counts: boot::BootCounts::default(),
        recorder: boot::Recorder::default(),
        desk: Desk::default(),
        certificate: Arc::clone(&real.certificate),
        own_static_certificate: real.own_static_certificate.clone(),
        releases: real.releases.clone(),
        connections: Arc::new(Connections::default()),
        places: Arc::clone(&real.places),
        api_counts: ApiCounts::default(),
        updates: Updates::new(scratch).map_err(failed)?,
    })
}

/// Tells listeners the lines of the log until the endpoint goes down.
async fn tell_lines(endpoint: Arc<Endpoint>, stopped: watch::Receiver<bool>) {
    let mut lines = log_ring::listen();
    let over = boot::ended(stopped);
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => return,
            line = lines.recv() => match line {
                Ok(line) if !line.ignore_publish => endpoint.hub.tell(log_ring::event(&line)),
                // Too many at once: the later ones matter more.
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }
}
