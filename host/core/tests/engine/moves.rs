//! What operators, agents, the endpoint itself and the clock may do next.

use formwork_core::{Refusal, jobs::Answer, plan::Decision};
use formwork_model::{Job, JobState, ObjectsExt, WorkOrder};
use proptest::{prelude::*, sample::select};
use serde_json::json;

use crate::world::{World, words};

/// One move. Numbers choose among what there is at that time.
#[derive(Clone, Debug)]
pub(crate) enum Move {
    /// An operator sets the workflow; empty for none.
    Workflow(&'static str),
    /// An operator sets the stage.
    Stage(&'static str, bool),
    /// Somebody puts tasks so far behind the present one.
    Insert(usize, Vec<&'static str>),
    /// Somebody writes a list of his own.
    Replace(Vec<&'static str>),
    /// An operator makes the machine runnable or not.
    Runnable(bool),
    /// An operator gives the machine to another agent.
    Context(&'static str),
    /// An operator sets `CurrentTask` to something.
    Rewind(i64),
    /// An operator switches between tasks and work orders.
    Mode(bool),
    /// An operator sets a param that steers the tasks.
    Steer(&'static str, bool),
    /// A task is deleted or comes back, and the machine is not available meanwhile.
    Available(bool),
    /// An agent of a context asks for a job.
    Ask(&'static str),
    /// An agent says how a job goes: the current one, or any that there ever was.
    Report(Option<usize>, JobState, Decision),
    /// An agent of a context starts: what it left behind has failed.
    Start(&'static str),
    /// A work order is made.
    Order(&'static str, &'static str),
    /// An agent picks a work order, and the endpoint begins what it has to.
    Pick,
    /// An agent asks for a job of a work order.
    AskOrder(usize),
    /// An operator cancels a work order.
    Cancel(usize),
    /// The endpoint looks for retries.
    Retry,
    /// The endpoint dies and reads what it saved.
    Crash,
    /// The clock goes on, or jumps.
    Clock(i64),
}

/// What was answered.
#[derive(Debug)]
pub(crate) enum Told {
    /// The answer to who asked for a job.
    Answer(Result<Answer, Refusal>),
    /// Whether it was done.
    Done(Result<(), Refusal>),
    /// There was nothing that the move could be about.
    Idle,
}

/// Makes moves, the usual ones more often.
pub(crate) fn strategy() -> impl Strategy<Value = Move> {
    let context = || select(vec!["", "", "host"]);
    let task =
        || select(vec!["a", "b", "c", "d", "e", "context:host", "context:", "bootenv:other", "stage:s1"]);
    let state = select(vec![
        JobState::Created,
        JobState::Running,
        JobState::Finished,
        JobState::Finished,
        JobState::Failed,
        JobState::Incomplete,
    ]);
    let decision = select(vec![
        Decision::Stop(String::new()),
        Decision::RetryAfterMillis(2_000),
        Decision::Divert(words(&["h", "a"])),
        Decision::Divert(Vec::new()),
        Decision::Advance,
    ]);
    let year = 365 * 86_400_000_i64;
    prop_oneof![
        2 => select(vec!["", "w1", "w2", "w3"]).prop_map(Move::Workflow),
        1 => (select(vec!["none", "s1", "s2", "s3"]), any::<bool>()).prop_map(|(name, force)| Move::Stage(name, force)),
        2 => (0..4_usize, prop::collection::vec(task(), 1..3)).prop_map(|(at, tasks)| Move::Insert(at, tasks)),
        1 => prop::collection::vec(task(), 0..4).prop_map(Move::Replace),
        6 => prop::bool::weighted(0.8).prop_map(Move::Runnable),
        1 => context().prop_map(Move::Context),
        1 => (-1..3_i64).prop_map(Move::Rewind),
        1 => any::<bool>().prop_map(Move::Mode),
        1 => (select(vec!["task-single-step", "task-stop-at"]), any::<bool>()).prop_map(|(name, set)| Move::Steer(name, set)),
        1 => prop::bool::weighted(0.7).prop_map(Move::Available),
        12 => context().prop_map(Move::Ask),
        16 => (prop::option::weighted(0.2, 0..20_usize), state, decision)
            .prop_map(|(which, state, decision)| Move::Report(which, state, decision)),
        2 => context().prop_map(Move::Start),
        1 => (select(vec!["task", "workflow"]), select(vec!["stop", "pause", "continue", "retry"]))
            .prop_map(|(mode, on_failure)| Move::Order(mode, on_failure)),
        2 => Just(Move::Pick),
        4 => (0..3_usize).prop_map(Move::AskOrder),
        1 => (0..3_usize).prop_map(Move::Cancel),
        2 => Just(Move::Retry),
        1 => Just(Move::Crash),
        2 => select(vec![1, 5_000, -5_000, 30 * year, -30 * year]).prop_map(Move::Clock),
    ]
}

impl Move {
    /// Makes the move.
    pub(crate) fn perform(&self, world: &mut World) -> Told {
        let done = match self.clone() {
            Self::Workflow(name) => world.change(false, |machine| machine.workflow = name.into()),
            Self::Stage(name, force) => world.change(force, |machine| machine.stage = name.into()),
            Self::Insert(at, tasks) => world.change(false, |machine| {
                let behind = usize::try_from(machine.current_task + 1).unwrap_or(0).min(machine.tasks.len());
                let place = (behind + at).min(machine.tasks.len());
                machine.tasks.splice(place..place, words(&tasks));
            }),
            Self::Replace(tasks) => world.change(false, |machine| machine.tasks = words(&tasks)),
            Self::Runnable(is) => world.change(false, |machine| machine.runnable = is),
            Self::Context(name) => world.change(false, |machine| machine.context = name.into()),
            Self::Rewind(place) => world.change(false, |machine| machine.current_task = place),
            Self::Mode(is) => world.change(false, |machine| machine.work_order_mode = is),
            Self::Steer(name, set) => world.change(false, |machine| {
                let value = if name == "task-stop-at" { json!(["b"]) } else { json!(true) };
                match set {
                    true => drop(machine.params.insert(name.into(), value)),
                    false => drop(machine.params.remove(name)),
                }
            }),
            Self::Available(is) => {
                let errors = if is { Vec::new() } else { vec![String::from("Task a does not exist")] };
                world.change(false, |machine| machine.header.set_errors(errors))
            }
            Self::Ask(context) => return Told::Answer(world.ask(context, None)),
            Self::Report(which, state, decision) => {
                let Some(job) = chosen(world, which) else { return Told::Idle };
                world.report(&job, state, || decision)
            }
            Self::Start(context) => {
                let job = world.job(&world.machine().current_job);
                let left = job.filter(|job| job.context == context && !job.state.is_final());
                let open = left.filter(|job| job.state != JobState::Incomplete);
                let Some(job) = open else { return Told::Idle };
                world.report(&job.uuid, JobState::Failed, || Decision::Stop(String::new()))
            }
            Self::Order(mode, on_failure) => world.make_order(mode, on_failure).map(drop),
            Self::Pick => {
                world.begin_order();
                world.pick()
            }
            Self::AskOrder(which) => {
                let Some(order) = order(world, which) else { return Told::Idle };
                return Told::Answer(world.ask("", Some(&order)));
            }
            Self::Cancel(which) => {
                let Some(order) = order(world, which) else { return Told::Idle };
                world.cancel(&order)
            }
            Self::Retry => {
                world.retry();
                Ok(())
            }
            Self::Crash => {
                world.restart();
                Ok(())
            }
            Self::Clock(by) => {
                world.now += by;
                Ok(())
            }
        };
        Told::Done(done)
    }
}

/// Returns the job that is reported about: the current one, that of a work order, or one of long ago.
fn chosen(world: &World, which: Option<usize>) -> Option<String> {
    let Some(which) = which else {
        let running = world.list::<WorkOrder>().into_iter().find(|order| order.state == "running");
        let of_order = running.map(|order| order.current_job.clone());
        let open = of_order.filter(|job| world.job(job).is_some_and(|job| !job.state.is_final()));
        return open.or_else(|| world.job(&world.machine().current_job).map(|job| job.uuid));
    };
    let jobs = world.list::<Job>();
    jobs.get(which % jobs.len().max(1)).map(|job| job.uuid.clone())
}

fn order(world: &World, which: usize) -> Option<String> {
    let orders = world.list::<WorkOrder>();
    let from_last = which % orders.len().max(1);
    orders.iter().rev().nth(from_last).map(|order| order.uuid.clone())
}
