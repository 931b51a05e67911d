//! The order in which an endpoint comes up and goes down.

mod first;
mod holder;
mod network;
mod programs;
mod tls;

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use formwork_sandbox::{Host, Optimise, Sandbox, SandboxConfig, WorkerCommand};
use formwork_store::Store;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, broadcast, watch},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    ServeOptions,
    auth::{Desk, TokenKey},
    boot,
    clock::Clock,
    content,
    content::Library,
    endpoint::Endpoint,
    files::FileRoot,
    housekeeping,
    http::{self, LocalAddress, PeerAddress},
    log_ring,
    logs::JobLogs,
    packs::{self, Packs},
    plugins::{self, Patience, Plugins},
    runner, trees,
};

/// Connections to the API at the same time; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 20_000;

/// Guest calls that may be under way; further ones wait.
const CONCURRENT_CALLS: u32 = 64;

/// How long a client may take for its handshake, and for the head of a request.
const PATIENCE: Duration = Duration::from_secs(15);

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
    options: ServeOptions,
    started: impl FnOnce(&Started),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    std::fs::create_dir_all(&options.base_root).map_err(|source| folder(&options.base_root, source))?;
    let _holder = holder::hold(&options.base_root)?;
    let tls = tls::config(&options)?;
    let address = SocketAddr::from((options.listen, options.api_port));
    let listener =
        TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })?;
    let (endpoint, first_user) = open(options, Optimise::AtOnce).await?;
    let (files, program) = (endpoint.files.clone(), endpoint.options.worker.clone());
    let provided = tokio::task::spawn_blocking(move || programs::provide(files.files(), &program));
    let _ = provided.await;
    let (stop, stopped) = watch::channel(false);
    let mut tasks = boot::start(Arc::clone(&endpoint), stopped.clone()).await?;
    tasks.push(housekeeping::start(Arc::clone(&endpoint), stopped.clone()));
    tasks.push(tokio::spawn(tell_lines(Arc::clone(&endpoint), stopped.clone())));
    tasks.push(trees::start(Arc::clone(&endpoint), stopped.clone()));
    tasks.push(runner::start(Arc::clone(&endpoint), stopped.clone()));
    tasks.push(plugins::start(Arc::clone(&endpoint), Patience::default(), stopped.clone()));
    tasks.push(packs::flush_until(Arc::clone(&endpoint), stopped.clone()));
    packs::resume(&endpoint);
    let api = tokio::spawn(accept(listener, tls, Arc::clone(&endpoint), stopped));
    started(&Started { url: endpoint.api_url(), first_user });
    shutdown.await;
    let _ = stop.send(true);
    let _ = api.await;
    for task in tasks {
        let _ = tokio::time::timeout(LAST_REQUESTS, task).await;
    }
    endpoint.store.close().await;
    Ok(())
}

fn folder(path: &std::path::Path, source: std::io::Error) -> ServeError {
    ServeError::Folder { path: path.to_owned(), source }
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
    let files = FileRoot::new(&options.file_root).map_err(|source| folder(&options.file_root, source))?;
    let core = formwork_packs::core()?;
    let base = content::built_in_objects(core, &files);
    let store = if options.memory { Store::memory(base) } else { Store::open(&at("formwork.redb"), base)? };
    let worker = WorkerCommand::new(options.worker.clone(), [String::from("compile-worker")]);
    let sandbox = Sandbox::new(SandboxConfig {
        concurrent_calls: CONCURRENT_CALLS,
        optimise,
        limits: options.component_limits.clone(),
        recordings: options.record_calls.clone(),
        ..SandboxConfig::new(at("cache"), worker)
    })?;
    let library = Arc::new(Library::new(core, &root).map_err(|source| folder(&root, source))?);
    for (digest, bytes) in library.embedded() {
        sandbox
            .prepare(bytes)
            .await
            .map_err(|source| ServeError::Component { digest: digest.clone(), source: Box::new(source) })?;
    }
    let key_file = at("keys/token.key");
    let local_id = network::first_hardware_address();
    let endpoint = Arc::new(Endpoint {
        address: network::told_address(&options),
        id: options.id.clone().unwrap_or_else(|| network::default_id(&local_id)),
        local_id,
        logs: JobLogs::new(at("job-logs")).map_err(|source| folder(&at("job-logs"), source))?,
        key: Arc::new(TokenKey::load(&key_file).map_err(|source| folder(&key_file, source))?),
        renderer: crate::render::Renderer::default(),
        clock: Clock::Real,
        packs: Packs::new(&root).map_err(|source| folder(&root, source))?,
        plugins: Plugins::default(),
        outside: None,
        boot_counts: boot::BootCounts::default(),
        hub: Arc::default(),
        desk: Desk::default(),
        store,
        sandbox,
        library,
        files,
        options,
    });
    let first_user = first::objects(&endpoint).await.map_err(|error| ServeError::First(error.to_string()))?;
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
        store,
        sandbox: real.sandbox.clone(),
        library: Arc::clone(&real.library),
        packs: Packs::new(scratch).map_err(failed)?,
        logs: JobLogs::new(scratch.join("job-logs")).map_err(failed)?,
        files: real.files.clone(),
        renderer: crate::render::Renderer::default(),
        key: Arc::clone(&real.key),
        clock: Clock::invented(real.now()),
        plugins: Plugins::default(),
        outside: Some(outside),
        boot_counts: boot::BootCounts::default(),
        hub: Arc::default(),
        desk: Desk::default(),
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

/// Accepts connections until the endpoint goes down, then gives those in flight a last chance.
async fn accept(
    listener: TcpListener,
    tls: TlsAcceptor,
    endpoint: Arc<Endpoint>,
    mut stopped: watch::Receiver<bool>,
) {
    let routes = http::routes(endpoint);
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => break,
            Some(_) = connections.join_next() => continue,
            accepted = next(&listener, &slots) => accepted,
        };
        let Some((stream, slot)) = stream else { continue };
        let (tls, routes, stopped) = (tls.clone(), routes.clone(), stopped.clone());
        connections.spawn(async move {
            let _slot = slot;
            connection(stream, tls, routes, stopped).await;
        });
    }
    let rest = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST_REQUESTS, rest).await;
}

async fn next(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, slot)),
        Err(error) => {
            tracing::warn!(%error, "failed to accept a connection");
            // Without files to open every accept fails at once; a pause lets some be closed.
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn connection(
    stream: TcpStream,
    tls: TlsAcceptor,
    routes: axum::Router,
    mut stopped: watch::Receiver<bool>,
) {
    let (local, peer) = (stream.local_addr(), stream.peer_addr());
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, tls.accept(stream)).await else { return };
    let routes = match local {
        Ok(local) => routes.layer(axum::Extension(LocalAddress(local))),
        Err(_) => routes,
    };
    let routes = match peer {
        Ok(peer) => routes.layer(axum::Extension(PeerAddress(peer.ip()))),
        Err(_) => routes,
    };
    let service = hyper_util::service::TowerToHyperService::new(routes);
    let mut builder = hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
    builder.http1().timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(PATIENCE);
    builder.http2().timer(hyper_util::rt::TokioTimer::new());
    let served = builder.serve_connection_with_upgrades(hyper_util::rt::TokioIo::new(stream), service);
    let mut served = std::pin::pin!(served);
    tokio::select! {
        // A client that goes away in the middle is its own affair.
        _ = served.as_mut() => return,
        _ = stopped.wait_for(|stopped| *stopped) => served.as_mut().graceful_shutdown(),
    }
    let _ = served.await;
}
