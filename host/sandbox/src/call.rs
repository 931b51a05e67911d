//! One call: a fresh instance, its limits, and what it came to.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};
use wasmtime::Store;

use crate::error::{exceeded, explain};
use crate::grants::Allowance;
use crate::inspect::Kind;
use crate::sandbox::{Linked, start};
use crate::state::CallState;
use crate::tracks::{task_v0_1, workflow_v0_1};
use crate::workflow::MAX_PLAN_ENTRIES;
use crate::{
    CallError, Decision, Digest, Grants, JobReport, LimitName, Limits, Outcome, PlanRequest, Sandbox,
    TaskCall, TaskReport,
};

impl Sandbox {
    /// Runs a task once for one machine, in a fresh instance.
    ///
    /// Waits for its turn when too many calls are under way; the wall time starts after that. Dropping the future ends
    /// the call.
    ///
    /// # Errors
    ///
    /// Fails when the component is not prepared, asks for what was not granted, exceeds a limit, or crashes.
    pub async fn run_task(&self, digest: &Digest, call: TaskCall) -> Result<TaskReport, CallError> {
        let span = span(&call.component_name, digest, &call.machine.uuid);
        let limits = call.limits.capped(&self.inner.limits);
        let allowance = Allowance { grants: call.grants, limits };
        let state = CallState::new(allowance, Some(call.host));
        let (outcome, used) = self
            .call(digest, &call.component_name, Kind::Task, state, async |linked, store| match linked {
                Linked::Task(task) => {
                    let task = task.instantiate_async(&mut *store).await?;
                    task_v0_1::run(&task, store, &call.machine, call.now_ms).await.map(Some)
                }
                Linked::Workflow(_) => Ok(None),
            })
            .instrument(span)
            .await?;
        let outcome: Outcome = outcome.ok_or_else(|| wrong_kind(&call.component_name, Kind::Task))?;
        let Used { fuel, elapsed, memory_peak } = used;
        Ok(TaskReport { outcome, fuel_used: fuel, elapsed, memory_peak })
    }

    /// Asks a workflow component for a machine's task list: at most 10,000 entries.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::run_task`], and when the component says that there is no plan.
    pub async fn plan(
        &self,
        digest: &Digest,
        component: &str,
        request: &PlanRequest,
    ) -> Result<Vec<String>, CallError> {
        let span = span(component, digest, &request.machine.uuid);
        let (answer, _) = self
            .call(digest, component, Kind::Workflow, self.pure(), async |linked, store| match linked {
                Linked::Workflow(workflow) => {
                    let workflow = workflow.instantiate_async(&mut *store).await?;
                    workflow_v0_1::plan(&workflow, store, request).await.map(Some)
                }
                Linked::Task(_) => Ok(None),
            })
            .instrument(span)
            .await?;
        let answer = answer.ok_or_else(|| wrong_kind(component, Kind::Workflow))?;
        let plan =
            answer.map_err(|failure| CallError::Refused { component: component.to_owned(), failure })?;
        if plan.len() > MAX_PLAN_ENTRIES {
            return Err(exceeded(component, &self.inner.limits, LimitName::PlanEntries));
        }
        Ok(plan)
    }

    /// Asks a workflow component what follows the end of a job.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::run_task`].
    pub async fn after_job(
        &self,
        digest: &Digest,
        component: &str,
        report: &JobReport,
    ) -> Result<Decision, CallError> {
        let span = span(component, digest, "");
        let (decision, _) = self
            .call(digest, component, Kind::Workflow, self.pure(), async |linked, store| match linked {
                Linked::Workflow(workflow) => {
                    let workflow = workflow.instantiate_async(&mut *store).await?;
                    workflow_v0_1::after_job(&workflow, store, report).await.map(Some)
                }
                Linked::Task(_) => Ok(None),
            })
            .instrument(span)
            .await?;
        decision.ok_or_else(|| wrong_kind(component, Kind::Workflow))
    }

    /// The state of a call that decides and does nothing else.
    fn pure(&self) -> CallState {
        let limits = self.inner.limits.capped(&self.inner.limits);
        CallState::new(Allowance { grants: Grants::default(), limits }, None)
    }

    /// Does what all calls have in common.
    async fn call<T>(
        &self,
        digest: &Digest,
        name: &str,
        kind: Kind,
        state: CallState,
        work: impl AsyncFnOnce(&Linked, &mut Store<CallState>) -> wasmtime::Result<T>,
    ) -> Result<(T, Used), CallError> {
        let linked = self.load(digest, name, &state.allowance.grants, kind).await?;
        let _slot = self.inner.slots.acquire().await.map_err(|error| start(name, &error.to_string()))?;
        let _beating = self.inner.heart.call();
        let limits = state.allowance.limits.clone();
        let mut store = self.store(state, &limits).map_err(|error| start(name, &format!("{error:#}")))?;
        let began = Instant::now();
        let ended = timeout(limits.wall_time, work(&linked, &mut store)).await;
        let used = Used::of(&store, &limits, began.elapsed());
        used.record();
        match ended {
            Ok(Ok(answer)) => Ok((answer, used)),
            Ok(Err(error)) => Err(explain(name, &limits, store.into_data().panic, &error)),
            Err(_) => Err(exceeded(name, &limits, LimitName::WallTime)),
        }
    }

    /// Makes the store of one call, with all its limits.
    fn store(&self, state: CallState, limits: &Limits) -> wasmtime::Result<Store<CallState>> {
        let mut store = Store::new(&self.inner.engine, state);
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

/// What a call used.
struct Used {
    fuel: u64,
    elapsed: Duration,
    memory_peak: usize,
}

impl Used {
    fn of(store: &Store<CallState>, limits: &Limits, elapsed: Duration) -> Self {
        let left = store.get_fuel().unwrap_or(0);
        Self { fuel: limits.fuel.saturating_sub(left), elapsed, memory_peak: store.data().meter.memory_peak }
    }

    /// Writes it to the call's span.
    fn record(&self) {
        let elapsed = u64::try_from(self.elapsed.as_micros()).unwrap_or(u64::MAX);
        Span::current()
            .record("fuel", self.fuel)
            .record("elapsed_us", elapsed)
            .record("memory", self.memory_peak);
    }
}

/// The span of a call.
fn span(component: &str, digest: &Digest, machine: &str) -> Span {
    info_span!("component.call", component, %digest, machine, fuel = Empty, elapsed_us = Empty, memory = Empty)
}

/// The error for a component of another kind.
fn wrong_kind(component: &str, expected: Kind) -> CallError {
    CallError::WrongKind { component: component.to_owned(), expected }
}
