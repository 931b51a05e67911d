//! What a test's host knows, and which host a thread's calls go to.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use super::files::Tree;
use super::grants::Grants;
use super::{Progress, Reply};
use crate::exec::{Command, Output};
use crate::http::{HttpError, Method, Request};
use crate::{HostError, Machine};

/// Most host calls of one call of the component, as the host has it by default.
const MAX_HOST_CALLS: u32 = 10_000;

/// Most bytes of all log lines of one call, as the host has it by default.
const MAX_LOG_BYTES: usize = 1 << 20;

/// What answers requests.
pub(crate) type Web = dyn FnMut(&Request) -> Result<Reply, HttpError>;

/// What answers programs.
pub(crate) type Programs = dyn FnMut(&Command) -> Result<Output, HostError>;

/// A function of the test. The state is not borrowed while it runs, so it may look at the host itself.
pub(crate) struct Shared<F: ?Sized>(pub(crate) Rc<RefCell<F>>);

impl<F: ?Sized> Clone for Shared<F> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<F: ?Sized> fmt::Debug for Shared<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a function")
    }
}

/// Everything that a host has and remembers.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) grants: Option<Grants>,
    pub(crate) machine: Machine,
    pub(crate) attempt: u32,
    pub(crate) now_ms: u64,
    pub(crate) random: u64,
    /// What the machine itself says, as JSON text.
    pub(crate) params: BTreeMap<String, String>,
    /// What it sees where it says nothing itself.
    pub(crate) inherited: BTreeMap<String, String>,
    /// Why the endpoint refuses a value.
    pub(crate) refused: BTreeMap<String, String>,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) kv: BTreeMap<String, String>,
    pub(crate) files: Tree,
    pub(crate) routes: Vec<(Method, String, Reply)>,
    pub(crate) web: Option<Shared<Web>>,
    pub(crate) outputs: BTreeMap<String, Output>,
    pub(crate) programs: Option<Shared<Programs>>,
    pub(crate) lines: Vec<(log::Level, String)>,
    pub(crate) progress: Vec<Progress>,
    pub(crate) requests: Vec<Request>,
    pub(crate) commands: Vec<Command>,
    pub(crate) call: Used,
}

/// What the call that runs has used.
#[derive(Debug, Default)]
pub(crate) struct Used {
    host_calls: u32,
    log_bytes: usize,
    pub(crate) last_time: u64,
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<RefCell<State>>>> = const { RefCell::new(None) };
}

/// Makes a host that of the thread, for as long as it is held.
pub(crate) struct Entered {
    before: Option<Rc<RefCell<State>>>,
}

impl Entered {
    pub(crate) fn new(state: &Rc<RefCell<State>>) -> Self {
        state.borrow_mut().call = Used::default();
        Self { before: CURRENT.replace(Some(Rc::clone(state))) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
    }
}

/// Does one host call. Without a host there is no answer that would be right.
#[expect(clippy::panic, reason = "a test that calls the host without one is wrong, and must fail")]
pub(crate) fn call<T>(work: impl FnOnce(&mut State) -> T) -> T {
    let Some(state) = current() else {
        panic!("no host is here to answer\nhint: run this in `formwork_sdk::testing::Host::enter`");
    };
    let mut state = state.borrow_mut();
    state.count();
    work(&mut state)
}

/// The host of the thread.
pub(crate) fn current() -> Option<Rc<RefCell<State>>> {
    CURRENT.with_borrow(Clone::clone)
}

impl State {
    /// Counts one host call.
    pub(crate) fn count(&mut self) {
        self.call.host_calls += 1;
        if self.call.host_calls > MAX_HOST_CALLS {
            stop("host-calls", MAX_HOST_CALLS as usize);
        }
    }

    /// Takes one line of the log.
    pub(crate) fn log(&mut self, level: log::Level, message: &str) {
        self.count();
        self.call.log_bytes += message.len();
        if self.call.log_bytes > MAX_LOG_BYTES {
            stop("log-bytes", MAX_LOG_BYTES);
        }
        self.lines.push((level, message.to_owned()));
    }
}

/// Ends the call, as the host does with a component that exceeds a limit.
#[expect(clippy::panic, reason = "the component does not go on after this, and the test fails")]
fn stop(limit: &str, value: usize) -> ! {
    panic!("the host stops the component: it exceeded its limit `{limit}` of {value}");
}
