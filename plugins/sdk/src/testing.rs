//! A host for native tests: `cargo test` runs a component's code as plain Rust, and this answers what it asks.
//!
//! It keeps the rules of the real one: what is not granted is refused in the same words, sizes end where they end there,
//! links lead out of no root, and a parameter that nothing sets is none. Everything is in memory, the clock stands until
//! it is moved, and random bytes are the same in each run. Unless [`Host::grants`] says otherwise, everything is granted.
//!
//! ```
//! use formwork_sdk::testing::Host;
//! use formwork_sdk::{Call, Failure, Outcome, Task, log, params};
//!
//! struct Greet;
//!
//! impl Task for Greet {
//!     fn run(call: &Call) -> Result<Outcome, Failure> {
//!         let name = params::read::<String>("greet/name")?.unwrap_or_else(|| call.machine.name.clone());
//!         log::info!("hello {name}");
//!         params::write("greet/message", &format!("hello {name}"))?;
//!         Ok(Outcome::Done)
//!     }
//! }
//!
//! // A test function begins here.
//! let grants = ["params: read greet/name", "params: write greet/message"];
//! let mut host = Host::new().grants(grants).unwrap().param("greet/name", "Ann");
//! assert_eq!(host.run::<Greet>(), Ok(Outcome::Done));
//! assert_eq!(host.own_param("greet/message"), Some("hello Ann".into()));
//! assert_eq!(host.lines(), [(log::Level::Info, "hello Ann".to_owned())]);
//!
//! host = host.grants(["params: read greet/name"]).unwrap();
//! let failure = host.run::<Greet>().unwrap_err();
//! assert_eq!(failure.message, "param `greet/message` is not granted to this component");
//! ```
//!
//! Three things differ. A component is not started by the real host when it uses a capability of which nothing at all was
//! granted; here each such call is refused. Names are not resolved, so that a name which leads to the machine itself is
//! not refused as it is there. And a limit that is exceeded is a panic here; of the limits there are `host-calls` and
//! `log-bytes`, as they are by default.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use crate::exec::{Command, Output, Status};
use crate::http::{HttpError, Method, Request};
use crate::plugin::{ActionCall, Config, Event};
use crate::{Call, Failure, HostError, Machine, Outcome, Plugin, Task, Timestamp, logger};

mod files;
pub(crate) mod functions;
mod grants;
mod http;
mod state;

pub use http::Reply;

use files::Tree;
use grants::Grants;
use state::{Entered, Shared, State, Used};

/// When a test begins unless it says otherwise: 2023-11-14 22:13:20 UTC.
const NOW_MS: u64 = 1_700_000_000_000;

/// What a component has around it in a native test, and what it did there.
///
/// It is made by methods that can be chained, entered by [`Host::run`] and its like as often as the test wants, and asked
/// afterwards. What a call left is there in the next one.
#[derive(Debug)]
pub struct Host {
    state: Rc<RefCell<State>>,
}

/// How far the work has come, as it was reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// 0 to 100; none when it cannot be told.
    pub percent: Option<u8>,
    /// What it is at, one line of at most 512 bytes.
    pub message: String,
}

/// A line that is no grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantError {
    /// The line.
    pub line: String,
    /// What does not fit.
    pub reason: &'static str,
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "grant `{}`: {}", self.line, self.reason)
    }
}

impl Error for GrantError {}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

/// What the component finds.
impl Host {
    /// Makes a host with the machine `machine`, on which the task runs, and nothing else.
    pub fn new() -> Self {
        let empty = String::new;
        let machine = Machine {
            uuid: "00000000-0000-4000-8000-000000000001".to_owned(),
            name: "machine".to_owned(),
            context: empty(),
            workflow: empty(),
            stage: empty(),
            bootenv: empty(),
            task: empty(),
            job: "00000000-0000-4000-8000-000000000002".to_owned(),
        };
        let state = State {
            grants: None,
            machine,
            attempt: 0,
            now_ms: NOW_MS,
            random: 0,
            params: BTreeMap::new(),
            inherited: BTreeMap::new(),
            refused: BTreeMap::new(),
            secrets: BTreeMap::new(),
            kv: BTreeMap::new(),
            files: Tree::default(),
            routes: Vec::new(),
            web: None,
            outputs: BTreeMap::new(),
            programs: None,
            lines: Vec::new(),
            progress: Vec::new(),
            requests: Vec::new(),
            commands: Vec::new(),
            call: Used::default(),
        };
        Self { state: Rc::new(RefCell::new(state)) }
    }

    fn with(self, change: impl FnOnce(&mut State)) -> Self {
        change(&mut self.state.borrow_mut());
        self
    }

    /// Grants what these lines say, as in the manifest of a pack, and nothing else.
    ///
    /// # Errors
    ///
    /// The first line that is no grant.
    pub fn grants<L: AsRef<str>>(self, lines: impl IntoIterator<Item = L>) -> Result<Self, GrantError> {
        let grants = Grants::parse(lines)?;
        Ok(self.with(|state| state.grants = Some(grants)))
    }

    /// Sets the machine that tasks are called for.
    #[must_use]
    pub fn machine(self, machine: Machine) -> Self {
        self.with(|state| state.machine = machine)
    }

    /// Sets the name of the machine.
    #[must_use]
    pub fn machine_name(self, name: impl Into<String>) -> Self {
        self.with(|state| state.machine.name = name.into())
    }

    /// Sets how often the task was called before. [`Host::run`] counts from there.
    #[must_use]
    pub fn attempt(self, attempt: u32) -> Self {
        self.with(|state| state.attempt = attempt)
    }

    /// Sets a parameter on the machine itself.
    #[must_use]
    pub fn param(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.with(|state| drop(state.params.insert(name.into(), value.into().to_string())))
    }

    /// Sets a parameter that the machine sees, but has from a profile, its stage or the parameter's default.
    #[must_use]
    pub fn inherited_param(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.with(|state| drop(state.inherited.insert(name.into(), value.into().to_string())))
    }

    /// Has the endpoint refuse each value of a parameter, as if it did not fit the parameter's schema.
    #[must_use]
    pub fn refuse_param(self, name: impl Into<String>, words: impl Into<String>) -> Self {
        self.with(|state| drop(state.refused.insert(name.into(), words.into())))
    }

    /// Sets a secret.
    #[must_use]
    pub fn secret(self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.with(|state| drop(state.secrets.insert(name.into(), text.into())))
    }

    /// Sets a value in the pack's store.
    #[must_use]
    pub fn kv(self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.with(|state| drop(state.kv.insert(key.into(), value.into().to_string())))
    }

    /// Makes a file, and the folders above it. The path begins with its root, as the grant writes it: `/proc/cpuinfo`,
    /// `isos/debian.iso`.
    #[must_use]
    pub fn file(self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.with(|state| state.files.put_file(path, bytes.into()))
    }

    /// Makes a symbolic link.
    #[must_use]
    pub fn link(self, path: &str, target: impl Into<String>) -> Self {
        self.with(|state| state.files.put_link(path, target.into()))
    }

    /// Makes an empty folder.
    #[must_use]
    pub fn folder(self, path: &str) -> Self {
        self.with(|state| state.files.put_folder(path))
    }

    /// Copies a folder of this machine with all that is in it, such as one of examples beside the test. Nothing is
    /// written back.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn folder_of(self, path: &str, from: impl AsRef<Path>) -> io::Result<Self> {
        self.state.borrow_mut().files.copy(path, from.as_ref())?;
        Ok(self)
    }

    /// Answers a request for a URL, each time in the same way. The latest reply to the same request counts.
    #[must_use]
    pub fn route(self, method: Method, url: &str, reply: Reply) -> Self {
        self.with(|state| state.routes.push((method, http::normal(url), reply)))
    }

    /// Answers requests that no route does. They are as the host sends them: with the URL in its normal form, names of
    /// header lines in lower case.
    #[must_use]
    pub fn http(self, answer: impl FnMut(&Request) -> Result<Reply, HttpError> + 'static) -> Self {
        self.with(|state| state.web = Some(Shared(Rc::new(RefCell::new(answer)))))
    }

    /// Has a program that ends with a code and writes this.
    #[must_use]
    pub fn program(self, name: impl Into<String>, code: u8, stdout: impl Into<Vec<u8>>) -> Self {
        let (status, stdout) = (Status::Exited(code), stdout.into());
        let output = Output { status, stdout, stderr: Vec::new(), truncated: false };
        self.with(|state| drop(state.outputs.insert(name.into(), output)))
    }

    /// Answers for programs that [`Host::program`] does not name.
    #[must_use]
    pub fn exec(self, answer: impl FnMut(&Command) -> Result<Output, HostError> + 'static) -> Self {
        self.with(|state| state.programs = Some(Shared(Rc::new(RefCell::new(answer)))))
    }

    /// Sets the time.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        self.with(|state| state.now_ms = now.0)
    }

    /// Sets the number that random bytes begin with.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.with(|state| state.random = seed)
    }
}

/// Calls.
impl Host {
    /// Calls a task as the host does. An answer [`Outcome::RetryAt`] makes the next call the next attempt of the same
    /// job; any other one ends the job.
    ///
    /// # Errors
    ///
    /// Those of the task.
    pub fn run<T: Task>(&self) -> Result<Outcome, Failure> {
        let call = {
            let state = self.state.borrow();
            Call { machine: state.machine.clone(), attempt: state.attempt, now: Timestamp(state.now_ms) }
        };
        let outcome = self.enter(|| T::run(&call));
        let is_retried = matches!(outcome, Ok(Outcome::RetryAt(_)));
        self.state.borrow_mut().attempt = if is_retried { call.attempt + 1 } else { 0 };
        outcome
    }

    /// Asks a plugin for an action.
    ///
    /// # Errors
    ///
    /// Those of the plugin.
    pub fn act<P: Plugin>(&self, call: &ActionCall) -> Result<Value, Failure> {
        self.enter(|| P::act(call))
    }

    /// Delivers an event to a plugin.
    ///
    /// # Errors
    ///
    /// Those of the plugin.
    pub fn deliver<P: Plugin>(&self, event: &Event, config: &Config) -> Result<(), Failure> {
        self.enter(|| P::on_event(event, config))
    }

    /// Runs anything as one call of a component: what this thread asks of the host meanwhile is answered here. Lines of
    /// the `log` facade are, too, unless the test has set another logger.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        logger::begin();
        let _entered = Entered::new(&self.state);
        work()
    }

    /// Moves the clock on.
    pub fn advance(&self, time: Duration) {
        let mut state = self.state.borrow_mut();
        state.now_ms = Timestamp(state.now_ms).after(time).0;
    }
}

/// What the component did.
impl Host {
    /// The value that the machine itself has of a parameter; none when it has none.
    pub fn own_param(&self, name: &str) -> Option<Value> {
        value(self.state.borrow().params.get(name))
    }

    /// A value of the pack's store.
    pub fn kv_value(&self, key: &str) -> Option<Value> {
        value(self.state.borrow().kv.get(key))
    }

    /// The bytes of a file.
    pub fn file_bytes(&self, path: &str) -> Option<Vec<u8>> {
        self.state.borrow().files.bytes(path).map(<[u8]>::to_vec)
    }

    /// The lines of the log so far, with the levels that the host knows: `trace` is `debug`.
    pub fn lines(&self) -> Vec<(log::Level, String)> {
        self.state.borrow().lines.clone()
    }

    /// The reports of progress so far.
    pub fn progress(&self) -> Vec<Progress> {
        self.state.borrow().progress.clone()
    }

    /// The requests that were sent so far, as the host sends them. Those that were refused are not among them.
    pub fn requests(&self) -> Vec<Request> {
        self.state.borrow().requests.clone()
    }

    /// The programs that were asked for so far. Those that were refused are not among them.
    pub fn commands(&self) -> Vec<Command> {
        self.state.borrow().commands.clone()
    }
}

/// Reads what was checked to be JSON when it came.
fn value(json: Option<&String>) -> Option<Value> {
    json.and_then(|json| serde_json::from_str(json).ok())
}

#[cfg(test)]
mod tests;
