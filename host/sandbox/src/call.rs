//! One call: a fresh instance, its limits, and what it came to.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};
use tracing::{Instrument, debug, info_span};
use wasmtime::Store;

use crate::engine::Tier;
use crate::error::{exceeded, explain};
use crate::grants::Allowance;
use crate::rules::{Broken, check};
use crate::sandbox::{Ready, start};
use crate::state::CallState;
use crate::{Answer, CallError, Digest, Grants, Host, LimitName, Limits, Question, Sandbox, Turn};

/// Which component is called, and with what.
#[derive(Clone)]
pub struct Invocation {
    /// The component's name, `PACK/COMPONENT`, for errors and spans.
    pub component: String,
    /// For whom it is: calls take turns by it.
    pub turn: Turn,
    /// What it may do.
    pub grants: Arc<Grants>,
    /// What it may use, capped by the site's limits.
    pub limits: Limits,
    /// What the host does for it. Without one, a call can do nothing but decide, and its log goes to tracing alone.
    pub host: Option<Arc<dyn Host>>,
}

impl Invocation {
    /// A call that decides for a machine, or for none when that is empty, and does nothing else. The other members can
    /// be set after that.
    pub fn new(component: impl Into<String>, machine: &str) -> Self {
        let component = component.into();
        Self {
            turn: Turn::of(&component, machine),
            component,
            grants: Arc::default(),
            limits: Limits::default(),
            host: None,
        }
    }
}

/// What a call came to, and what it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report<T> {
    /// The answer.
    pub answer: T,
    /// What it took.
    pub used: Used,
}

/// What a call used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Used {
    /// Units of fuel.
    pub fuel: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// The most bytes of memory that the guest held.
    pub memory_peak: usize,
    /// Calls of host functions.
    pub host_calls: u64,
    /// Bytes of log lines.
    pub log_bytes: usize,
}

impl Sandbox {
    /// Puts one question to a component, in a fresh instance.
    ///
    /// Waits for its turn when too many calls are under way; the wall time starts after that. Dropping the future ends
    /// the call.
    ///
    /// # Errors
    ///
    /// Fails when the component is not prepared or of another kind, asks for what was not granted, exceeds a limit,
    /// crashes, or breaks a rule of its world. A refusal of the component itself is an answer.
    pub async fn ask(
        &self,
        digest: &Digest,
        invocation: Invocation,
        question: &Question,
    ) -> Result<Report<Answer>, CallError> {
        let Some(recordings) = &self.inner.recordings else {
            return self.traced(digest, invocation, question).await;
        };
        let (ended, recording) = Box::pin(self.ask_recorded(digest, invocation, question)).await;
        if let Some(recording) = recording {
            recordings.keep(recording).await;
        }
        ended
    }

    /// Makes the call in a span of its own, unrecorded.
    pub(crate) async fn traced(
        &self,
        digest: &Digest,
        invocation: Invocation,
        question: &Question,
    ) -> Result<Report<Answer>, CallError> {
        let span = info_span!(
            "component.call",
            component = invocation.component,
            export = question.export(),
            machine = question.subject(),
        );
        // Each layer around a future has room for it twice, and many a call waits for its turn in this one.
        Box::pin(self.call(digest, invocation, question)).instrument(span).await
    }

    async fn call(
        &self,
        digest: &Digest,
        invocation: Invocation,
        question: &Question,
    ) -> Result<Report<Answer>, CallError> {
        let Invocation { component, turn, grants, limits, host } = invocation;
        let limits = limits.capped(&self.inner.limits);
        let Ready { linked, tier, .. } = self.load(digest, &component, &grants, question.kind()).await?;
        let entered = self.inner.queue.enter(turn).await;
        let _place = entered.map_err(|source| CallError::Busy { component: component.clone(), source })?;
        let _beating = self.inner.heart.call();
        let state = CallState::new(Allowance { grants, limits: limits.clone() }, host);
        let mut store =
            self.store(tier, state, &limits).map_err(|error| start(&component, &format!("{error:#}")))?;
        let began = Instant::now();
        let ended = timeout(limits.wall_time, linked.ask(&mut store, question)).await;
        let used = Used::of(&store, &limits, began.elapsed());
        used.tell(digest);
        let answer = match ended {
            Ok(Ok(Some(answer))) => answer,
            Ok(Ok(None)) => return Err(CallError::WrongKind { component, expected: question.kind() }),
            Ok(Err(error)) => return Err(explain(&component, &limits, store.into_data().panic, &error)),
            Err(_) => return Err(exceeded(&component, &limits, LimitName::WallTime)),
        };
        match check(question, &answer) {
            Ok(()) => Ok(Report { answer, used }),
            Err(Broken::Limit(limit)) => Err(exceeded(&component, &limits, limit)),
            Err(Broken::Rule(words)) => Err(CallError::Answer { component, words }),
        }
    }

    /// Makes the store of one call, with all its limits.
    fn store(&self, tier: Tier, state: CallState, limits: &Limits) -> wasmtime::Result<Store<CallState>> {
        let mut store = Store::new(self.inner.engines.of(tier), state);
        store.limiter(|state| &mut state.meter);
        store.set_fuel(limits.fuel)?;
        // A guest that computes gives way at each beat, and then its time is looked at.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        store.set_hostcall_fuel(limits.result_bytes);
        store.set_max_component_handles(limits.handles);
        Ok(store)
    }
}

impl Used {
    fn of(store: &Store<CallState>, limits: &Limits, elapsed: Duration) -> Self {
        let left = store.get_fuel().unwrap_or(0);
        let state = store.data();
        Self {
            fuel: limits.fuel.saturating_sub(left),
            elapsed,
            memory_peak: state.meter.memory_peak,
            host_calls: state.host_calls,
            log_bytes: state.log_bytes,
        }
    }

    /// Tells it, within the call's span. An event, as values that a span gets later have it written anew.
    fn tell(&self, digest: &Digest) {
        let elapsed_us = u64::try_from(self.elapsed.as_micros()).unwrap_or(u64::MAX);
        debug!(%digest, fuel = self.fuel, elapsed_us, memory_bytes = self.memory_peak, "component called");
    }
}
