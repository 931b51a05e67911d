use formwork_model::{Object, Param, Timestamp};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    Refusal,
    machine::tests::{Shelf, words},
    plan::Decision,
};
use formwork_model::{Job, JobState, ObjectsExt, WorkOrder};

/// A machine, its jobs and an agent that asks.
struct World {
    shelf: Shelf,
    uuids: u64,
    now: i64,
}

impl World {
    fn new(tasks: &[&str]) -> Self {
        let machine = Machine {
            uuid: "m".into(),
            name: "m1".into(),
            boot_env: "local".into(),
            stage: "none".into(),
            tasks: words(tasks),
            ..Machine::default()
        };
        Self { shelf: Shelf::default().with(machine), uuids: 0, now: 0 }
    }

    fn machine(&self) -> Machine {
        self.shelf.get::<Machine>("m").unwrap().as_ref().clone()
    }

    fn ask(&mut self) -> Result<Answer, Refusal> {
        let context = self.machine().context;
        self.ask_in(&context)
    }

    fn ask_in(&mut self, context: &str) -> Result<Answer, Refusal> {
        self.now += 1;
        let request = Job { machine: "m".into(), context: context.into(), ..Job::default() };
        let mut uuids = self.uuids;
        let mut fresh = || {
            uuids += 1;
            format!("j{uuids}")
        };
        let step = create(
            &self.shelf,
            (&self.machine(), None),
            &request,
            Timestamp::from_millis(self.now),
            &mut fresh,
        )?;
        self.uuids = uuids;
        for mut job in step.jobs {
            job.header.set_errors(Vec::new());
            self.shelf.put(std::sync::Arc::new(job));
        }
        self.keep(step.moved);
        Ok(step.answer)
    }

    fn end(&mut self, uuid: &str, state: JobState, decision: Option<Decision>) -> Result<Ended, Refusal> {
        self.now += 1;
        let old = self.shelf.get::<Job>(uuid).unwrap();
        let new = Job { state, ..old.as_ref().clone() };
        let ended = update(&self.shelf, &old, new, decision, Timestamp::from_millis(self.now))?;
        self.shelf.put(std::sync::Arc::new(ended.job.clone()));
        self.keep(ended.moved.clone());
        Ok(ended)
    }

    fn keep(&mut self, moved: Option<Moved>) {
        match moved {
            Some(Moved::Machine(machine)) => self.shelf.put(machine.shared()),
            Some(Moved::WorkOrder(order)) => self.shelf.put(order.shared()),
            None => {}
        }
    }

    /// Runs the job that is handed out to an end; returns its task.
    fn run(&mut self, state: JobState) -> Option<String> {
        let job = match self.ask().unwrap() {
            Answer::Created(job) | Answer::Resumed(job) => job,
            Answer::Nothing => return None,
        };
        if job.state.is_final() {
            return Some(job.task);
        }
        self.end(&job.uuid, JobState::Running, None).unwrap();
        self.end(&job.uuid, state, None).unwrap();
        Some(job.task)
    }

    fn make_runnable(&mut self) {
        let machine = Machine { runnable: true, ..self.machine() };
        self.shelf.put(std::sync::Arc::new(machine));
    }

    fn jobs(&self) -> usize {
        self.shelf.list::<Job>().len()
    }
}

#[test]
fn row_023_every_task_runs_once_and_the_index_is_then_the_length() {
    let mut world = World::new(&["a", "b"]);
    assert_eq!(world.run(JobState::Finished).as_deref(), Some("a"));
    assert_eq!(world.run(JobState::Finished).as_deref(), Some("b"));
    assert_eq!(world.run(JobState::Finished), None);
    let machine = world.machine();
    assert_eq!(machine.current_task, i64::try_from(machine.tasks.len()).unwrap());
    assert!(machine.workflow_complete && machine.tasks == words(&["a", "b"]));
}

#[test]
fn row_of_incomplete_and_failed_runs_makes_exactly_four_jobs() {
    let mut world = World::new(&["a", "b"]);
    let plan = [
        JobState::Incomplete,
        JobState::Incomplete,
        JobState::Incomplete,
        JobState::Failed,
        JobState::Incomplete,
        JobState::Finished,
        JobState::Incomplete,
        JobState::Failed,
        JobState::Incomplete,
        JobState::Finished,
    ];
    for state in plan {
        world.make_runnable();
        world.run(state);
    }
    assert_eq!(world.run(JobState::Finished), None);
    assert_eq!(world.jobs(), 4);
    assert!(world.machine().workflow_complete);
}

#[test]
fn second_agent_is_refused_while_a_job_runs() {
    let mut world = World::new(&["a"]);
    assert!(matches!(world.ask(), Ok(Answer::Created(_))));
    assert!(matches!(world.ask(), Err(Refusal::Conflict(_))));
}

#[test]
fn stage_entries_roll_forward_into_one_finished_job() {
    let mut world = World::new(&["stage:one", "a"]);
    assert_eq!(world.run(JobState::Finished).as_deref(), Some("a"));
    assert_eq!(world.machine().stage, "one");
    let rolled = world.shelf.get::<Job>("j1").unwrap();
    assert_eq!((rolled.task.as_str(), rolled.state, rolled.next_index), ("stage:one", JobState::Finished, 1));
    assert_eq!(world.shelf.get::<Job>("j2").unwrap().previous, "j1");
}

#[test]
fn changed_boot_environment_stops_the_agent() {
    let mut world = World::new(&["bootenv:other", "a"]);
    assert_eq!(world.ask().unwrap(), Answer::Nothing);
    let machine = world.machine();
    assert_eq!((machine.boot_env.as_str(), machine.runnable), ("other", false));
    world.make_runnable();
    assert_eq!(world.run(JobState::Finished).as_deref(), Some("a"));
}

#[test]
fn row_021_context_says_which_agent_runs_tasks() {
    let mut given = World::new(&["a"]);
    let machine = Machine { context: "c1".into(), ..given.machine() };
    given.shelf.put(std::sync::Arc::new(machine));
    assert_eq!((given.ask_in("").unwrap(), given.ask_in("c2").unwrap()), (Answer::Nothing, Answer::Nothing));
    assert!(matches!(given.ask_in("c1"), Ok(Answer::Created(job)) if job.context == "c1"));
    let mut world = World::new(&["a", "context:host", "b", "context:"]);
    assert_eq!(world.run(JobState::Finished).as_deref(), Some("a"));
    assert_eq!(world.ask().unwrap(), Answer::Nothing);
    assert_eq!(world.machine().context, "host");
    assert_eq!(world.ask_in("").unwrap(), Answer::Nothing);
    assert_eq!(world.run(JobState::Finished).as_deref(), Some("b"));
    assert_eq!(world.ask().unwrap(), Answer::Nothing);
    assert_eq!(world.machine().context, "");
    assert_eq!(world.ask().unwrap(), Answer::Nothing);
    assert!(world.machine().workflow_complete);
}

#[test]
fn failure_stops_the_machine_until_its_retry_is_due() {
    let mut world = World::new(&["a"]);
    let Answer::Created(job) = world.ask().unwrap() else { panic!("no job") };
    world.end(&job.uuid, JobState::Running, None).unwrap();
    let ended = world.end(&job.uuid, JobState::Failed, Some(Decision::RetryAfterMillis(2000))).unwrap();
    let machine = world.machine();
    assert_eq!((machine.runnable, machine.retry_task_attempt), (false, 1));
    let due = ended.job.retry_at;
    assert_eq!(retry_due(&world.shelf, &ended.job, Timestamp::from_millis(due.millis() - 1)), None);
    let tried = retry_due(&world.shelf, &ended.job, due);
    assert_eq!(tried, Some(Moved::Machine(Box::new(Machine { runnable: true, ..machine }))));
}

#[test]
fn row_050_failed_error_handler_is_not_handled_again() {
    let (mut world, _) = diverted();
    assert_eq!(world.machine().task_error_stacks.len(), 1);
    let Answer::Created(job) = world.ask().unwrap() else { panic!("no job") };
    assert_eq!(job.task, "mend");
    let failed = Job { state: JobState::Failed, ..job.as_ref().clone() };
    assert_eq!(failure_report(&world.shelf, &job, &failed).unwrap().error_depth, 1);
    world.end(&job.uuid, JobState::Running, None).unwrap();
    // Whatever a component says, a handler has none of its own.
    world.end(&job.uuid, JobState::Failed, Some(Decision::Divert(words(&["more"])))).unwrap();
    let machine = world.machine();
    assert_eq!((machine.runnable, machine.task_error_stacks.len()), (false, 1));
    assert_eq!(machine.tasks, words(&["mend"]));
}

#[test]
fn row_051_stack_keeps_the_list_which_goes_on_after_the_handler() {
    let (mut world, failed) = diverted();
    let machine = world.machine();
    assert_eq!((&machine.tasks, machine.current_task, machine.runnable), (&words(&["mend"]), -1, true));
    let kept = &machine.task_error_stacks[0];
    assert_eq!((&kept.current_job, kept.current_task), (&failed, 1));
    assert_eq!(kept.task_list, words(&["first", "a", "b"]));
    assert_eq!(world.run(JobState::Finished).as_deref(), Some("mend"));
    assert_eq!(world.run(JobState::Finished).as_deref(), Some("a"), "the task that failed runs again");
    let machine = world.machine();
    assert!(machine.task_error_stacks.is_empty(), "{:?}", machine.task_error_stacks);
    assert_eq!((&machine.tasks, machine.current_task), (&words(&["first", "a", "b"]), 1));
    assert_eq!(world.run(JobState::Finished).as_deref(), Some("b"));
    assert_eq!(world.run(JobState::Finished), None);
    assert!(world.machine().workflow_complete);
}

/// Returns a world whose second task has just failed and is mended, and the job that failed.
fn diverted() -> (World, String) {
    let mut world = World::new(&["first", "a", "b"]);
    world.run(JobState::Finished);
    let Answer::Created(job) = world.ask().unwrap() else { panic!("no job") };
    world.end(&job.uuid, JobState::Running, None).unwrap();
    world.end(&job.uuid, JobState::Failed, Some(Decision::Divert(words(&["mend"])))).unwrap();
    (world, job.uuid.clone())
}

#[test]
fn ended_job_is_never_revived() {
    let mut world = World::new(&["a"]);
    let Answer::Created(job) = world.ask().unwrap() else { panic!("no job") };
    world.end(&job.uuid, JobState::Running, None).unwrap();
    world.end(&job.uuid, JobState::Finished, None).unwrap();
    assert!(world.end(&job.uuid, JobState::Running, None).is_err());
}

#[test]
fn machine_stops_before_a_task_that_it_is_told_to_stop_at_and_then_goes_on() {
    let mut world = World::new(&["a", "b"]);
    let mut machine = world.machine();
    machine.params.insert("task-stop-at".into(), json!(["b"]));
    world.shelf.put(std::sync::Arc::new(machine));
    assert_eq!(world.run(JobState::Finished).as_deref(), Some("a"));
    assert_eq!(world.run(JobState::Finished), None);
    assert!(!world.machine().runnable);
    world.make_runnable();
    assert_eq!(world.run(JobState::Finished).as_deref(), Some("b"));
}

#[test]
fn action_is_handed_out_for_the_endpoint_to_do() {
    let mut world = World::new(&["action:jump"]);
    let Answer::Created(job) = world.ask().unwrap() else { panic!("no job") };
    assert_eq!((job.task.as_str(), job.state), ("action:jump", JobState::Created));
    world.end(&job.uuid, JobState::Failed, None).unwrap();
    assert!(!world.machine().runnable);
}

#[test]
fn report_of_a_failure_holds_what_the_params_allow() {
    let mut world = World::new(&["a"]);
    world.shelf = std::mem::take(&mut world.shelf).with(Param {
        name: "task-retry".into(),
        schema: json!({"default": {"a": 3}}),
        ..Param::default()
    });
    let Answer::Created(job) = world.ask().unwrap() else { panic!("no job") };
    let failed = Job { state: JobState::Failed, ..job.as_ref().clone() };
    let report = failure_report(&world.shelf, &job, &failed).unwrap();
    assert_eq!((report.retries, report.attempt, report.error_depth), (Some(3), 0, 0));
}

proptest! {
    #[test]
    fn whatever_agents_do_tasks_run_in_order_and_one_job_at_a_time(moves in prop::collection::vec(0u8..7, 1..80)) {
        let mut world = World::new(&["stage:s", "a", "context:host", "b", "context:", "c"]);
        let mut finished: Vec<String> = Vec::new();
        for step in moves {
            let current = world.shelf.get::<Job>(&world.machine().current_job);
            match (step, current) {
                (0 | 1, _) => drop(world.ask()),
                (2, _) => world.make_runnable(),
                (state, Some(job)) => {
                    let states = [JobState::Running, JobState::Finished, JobState::Failed, JobState::Incomplete];
                    let state = states[usize::from(state) - 3];
                    if world.end(&job.uuid, state, None).is_ok()
                        && state == JobState::Finished
                        && !job.state.is_final()
                    {
                        finished.push(job.task.clone());
                    }
                }
                _ => {}
            }
            let open = world.shelf.list::<Job>().iter().filter(|job| !job.state.is_final()).count();
            prop_assert!(open <= 1);
            prop_assert!(world.shelf.list::<Job>().iter().filter(|job| job.current).count() <= 1);
        }
        let order: Vec<&str> = finished.iter().map(String::as_str).collect();
        prop_assert!(["a", "b", "c"].starts_with(&order), "{order:?}");
        prop_assert_eq!(world.machine().tasks, words(&["stage:s", "a", "context:host", "b", "context:", "c"]));
    }
}

/// A machine in work order mode whose order runs.
struct Ordered(World);

impl Ordered {
    fn new(tasks: &[&str]) -> Self {
        let mut world = World::new(&[]);
        let machine = Machine { work_order_mode: true, workflow_complete: true, ..world.machine() };
        let order = WorkOrder {
            uuid: "w".into(),
            machine: "m".into(),
            state: "running".into(),
            tasks: words(tasks),
            ..WorkOrder::default()
        };
        world.shelf = Shelf::default().with(machine).with(order);
        Self(world)
    }

    fn order(&self) -> WorkOrder {
        self.0.shelf.get::<WorkOrder>("w").unwrap().as_ref().clone()
    }

    fn ask(&mut self) -> Result<Answer, Refusal> {
        self.0.now += 1;
        let request = Job { machine: "m".into(), work_order: "w".into(), ..Job::default() };
        let mut uuids = self.0.uuids;
        let mut fresh = || {
            uuids += 1;
            format!("j{uuids}")
        };
        let now = Timestamp::from_millis(self.0.now);
        let step =
            create(&self.0.shelf, (&self.0.machine(), Some(&self.order())), &request, now, &mut fresh)?;
        self.0.uuids = uuids;
        for mut job in step.jobs {
            job.header.set_errors(Vec::new());
            self.0.shelf.put(std::sync::Arc::new(job));
        }
        self.0.keep(step.moved);
        Ok(step.answer)
    }

    /// Runs the next job to an end; returns its task.
    fn run(&mut self, state: JobState, decision: Option<Decision>) -> Option<String> {
        let Answer::Created(job) = self.ask().unwrap() else { return None };
        self.0.end(&job.uuid, JobState::Running, None).unwrap();
        self.0.end(&job.uuid, state, decision).unwrap();
        Some(job.task)
    }
}

#[test]
fn work_order_runs_its_own_list_to_finished_and_leaves_the_machine_alone() {
    let mut site = Ordered::new(&["stage:burn", "a", "b"]);
    let before = site.0.machine();
    let ran: Vec<_> = std::iter::from_fn(|| site.run(JobState::Finished, None)).collect();
    assert_eq!(ran, ["a", "b"]);
    let order = site.order();
    assert_eq!((order.state.as_str(), order.stage.as_str(), order.current_task), ("finished", "burn", 3));
    assert!(!order.end_time.is_unset());
    assert_eq!(order.job_state, "finished");
    assert_eq!(site.0.machine(), before);
    let jobs: Vec<_> = site.0.shelf.list::<Job>();
    assert!(jobs.len() == 3 && jobs.iter().all(|job| job.work_order == "w" && job.machine == "m"));
    assert!(site.ask().unwrap_err().to_string().contains("is finished and final"));
}

#[test]
fn one_failing_task_fails_the_work_order_for_good() {
    let mut site = Ordered::new(&["a", "b"]);
    site.run(JobState::Failed, None);
    let order = site.order();
    assert_eq!((order.state.as_str(), order.status.as_str()), ("failed", "task a failed"));
    assert!(site.0.machine().runnable, "the machine takes other orders");
    assert!(site.ask().unwrap_err().to_string().contains("is failed and final"));
}

#[test]
fn retry_of_a_work_order_is_due_after_its_pause() {
    let mut site = Ordered::new(&["a"]);
    site.run(JobState::Failed, Some(Decision::RetryAfterMillis(2000)));
    let waiting = site.order();
    assert_eq!((waiting.state.as_str(), waiting.runnable, waiting.retry_task_attempt), ("running", false, 1));
    assert!(site.ask().unwrap_err().to_string().contains("is not runnable"));
    let job = site.0.shelf.get::<Job>(&waiting.current_job).unwrap();
    let again = retry_due(&site.0.shelf, &job, job.retry_at);
    assert_eq!(again, Some(Moved::WorkOrder(Box::new(WorkOrder { runnable: true, ..waiting }))));
    site.0.keep(again);
    assert_eq!(site.run(JobState::Finished, None).as_deref(), Some("a"));
    assert_eq!((site.run(JobState::Finished, None), site.order().state), (None, "finished".into()));
}

#[test]
fn work_order_runs_only_where_it_belongs_and_after_it_was_picked() {
    let mut site = Ordered::new(&["a"]);
    for (order, words) in [
        (WorkOrder { machine: "n".into(), ..site.order() }, "is not one of machine m"),
        (WorkOrder { state: "created".into(), ..site.order() }, "pick it first"),
        (WorkOrder { runnable: false, ..site.order() }, "is not runnable"),
    ] {
        site.0.shelf.put(std::sync::Arc::new(order));
        let refused = site.ask().unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
        site = Ordered::new(&["a"]);
    }
}
