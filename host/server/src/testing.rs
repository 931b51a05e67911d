//! An endpoint for tests: everything real, its objects in memory, without a socket.

use std::{
    fmt::{Debug, Write as _},
    net::Ipv4Addr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use formwork_blobs::Space;
use formwork_model::{Claim, User};
use formwork_sandbox::{Limits, Sandbox, SandboxConfig, WorkerCommand};
use formwork_store::Store;
use tempfile::TempDir;
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _};

use crate::{
    ServeOptions,
    accept::Places,
    auth::{self, NewToken, Subject, TokenKey},
    boot::BootCounts,
    certificate::Certificate,
    clock::Clock,
    commands::{contents::updates::Updates, work_orders::Queue},
    connections::Connections,
    content::{Base, Library},
    endpoint::Endpoint,
    files::FileRoot,
    hub::Hub,
    logs::JobLogs,
    metrics::ApiCounts,
    packs::Packs,
    plugins::Plugins,
    render::Renderer,
    secure::Vault,
};

/// An endpoint with the built-in objects and one user, `anna`.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) endpoint: Arc<Endpoint>,
    user: User,
}

/// What a test may want otherwise.
pub(crate) struct Wishes {
    /// The program that compiles components; without one nothing can be compiled.
    pub(crate) compiler: PathBuf,
    pub(crate) allow_unsigned: bool,
    pub(crate) clock: Clock,
    pub(crate) store: formwork_store::Limits,
    /// The layers that it brings along.
    pub(crate) base: Base,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            compiler: "/nonexistent".into(),
            allow_unsigned: false,
            clock: Clock::Real,
            store: formwork_store::Limits::default(),
            base: Base::own().unwrap(),
        }
    }
}

impl Site {
    pub(crate) fn new(wishes: Wishes) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let options = ServeOptions {
            allow_unsigned: wishes.allow_unsigned,
            ..ServeOptions::new(folder.path().to_owned(), wishes.compiler.clone())
        };
        let files = FileRoot::new(folder.path()).unwrap();
        let core = formwork_packs::core().unwrap();
        let user = User {
            name: String::from("anna"),
            secret: String::from("s"),
            roles: vec![String::from("superuser")],
            ..User::default()
        };
        let mut objects = wishes.base.objects(&files);
        objects.push(Arc::new(user.clone()));
        std::fs::create_dir(at("cache")).unwrap();
        let worker = WorkerCommand::new(wishes.compiler, []);
        let sandbox = SandboxConfig {
            limits: Limits::default(),
            concurrent_calls: 8,
            ..SandboxConfig::new(at("cache"), worker)
        };
        let store = Store::memory_with(objects, wishes.store);
        let endpoint = Arc::new(Endpoint {
            address: Ipv4Addr::LOCALHOST,
            id: String::from("test"),
            local_id: String::new(),
            hub: Hub::new(&store),
            store,
            sandbox: Sandbox::new(sandbox).unwrap(),
            library: Arc::new(Library::new(wishes.base, core, folder.path()).unwrap()),
            packs: Packs::new(folder.path()).unwrap(),
            logs: JobLogs::open(&at("logs"), |_| true).unwrap(),
            files,
            renderer: Renderer::default(),
            vault: Arc::new(Vault::load(&at("secure.key")).unwrap()),
            key: Arc::new(TokenKey::load(&at("token.key")).unwrap()),
            clock: wishes.clock,
            plugins: Plugins::default(),
            queue: Queue::default(),
            outside: None,
            boot_counts: BootCounts::default(),
            recorder: crate::boot::Recorder::default(),
            desk: auth::Desk::default(),
            certificate: Certificate::load(&options).unwrap(),
            own_static_certificate: None,
            releases: Space::open(&at("releases"), Arc::default()).unwrap(),
            connections: Arc::new(Connections::default()),
            places: Places::new(64),
            api_counts: ApiCounts::default(),
            updates: Updates::new(folder.path()).unwrap(),
            options,
        });
        Self { folder, endpoint, user }
    }

    /// Returns a token of the user that lives for some seconds and may do what the claims say.
    pub(crate) fn token(&self, seconds: u64, claims: &[Claim]) -> String {
        let limits = Some(auth::Limits { roles: Vec::new(), claims: claims.to_vec() });
        let subject = Subject::User(self.user.name.clone());
        let token = NewToken { subject, grantor: None, seconds, limits };
        auth::issue(&self.endpoint, &self.endpoint.snapshot(), token)
    }
}

/// Every line of the log of this thread as a text, whatever its level: the target, then the fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// Keeps lines from now on, until the guard goes.
    pub(crate) fn keep() -> (Self, tracing::subscriber::DefaultGuard) {
        let lines = Self::default();
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
        (lines, guard)
    }

    /// Returns the lines that came since the last time.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, target: &str, record: impl FnOnce(&mut Fields)) {
        let mut fields = Fields(target.to_owned());
        record(&mut fields);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fields.0);
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        self.add(event.metadata().target(), |fields| event.record(fields));
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, _id: &span::Id, _context: Context<'_, S>) {
        self.add(attributes.metadata().target(), |fields| attributes.record(fields));
    }

    fn on_record(&self, _id: &span::Id, values: &span::Record<'_>, _context: Context<'_, S>) {
        self.add("span", |fields| values.record(fields));
    }
}

/// Writes fields behind each other.
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, " {}={value}", field.name());
    }
}
