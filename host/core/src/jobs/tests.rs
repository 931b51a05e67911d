use formwork_model::{Object, Param, Timestamp};
use serde_json::json;

use super::*;
use crate::{
    Refusal,
    machine::tests::{Shelf, words},
    plan::Decision,
};
use formwork_model::{Header, Job, JobState, ObjectsExt, Task};

mod orders;

/// A machine, its jobs and an agent that asks.
struct World {
    shelf: Shelf,
    uuids: u64,
    now: i64,
    /// Whether the agent asks for jobs that are running.
    runs_at_once: bool,
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
        Self { shelf: Shelf::default().with(machine), uuids: 0, now: 0, runs_at_once: false }
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
        let state = if self.runs_at_once { JobState::Running } else { JobState::Created };
        let request = Job { machine: "m".into(), context: context.into(), state, ..Job::default() };
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
        if self.runs_at_once && job.state != JobState::Incomplete {
            assert_eq!(job.state, JobState::Running);
        } else {
            self.end(&job.uuid, JobState::Running, None).unwrap();
        }
        self.end(&job.uuid, state, None).unwrap();
        Some(job.task)
    }

    fn set_param(&mut self, name: &str, value: serde_json::Value) {
        let mut machine = self.machine();
        machine.params.insert(name.to_owned(), value);
        self.shelf.put(std::sync::Arc::new(machine));
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

#[test]
fn finished_job_of_a_list_that_was_before_does_not_count_for_the_new_one() {
    let mut world = World::new(&["x", "context:host", "b"]);
    assert_eq!(world.run(JobState::Finished).as_deref(), Some("x"));
    assert_eq!(world.ask().unwrap(), Answer::Nothing, "the second entry gives the machine to another agent");
    // Another list, of which the first entry changes nothing, and one more task behind its end.
    let begun = Machine {
        tasks: words(&["stage:none"]),
        current_task: -1,
        context: String::new(),
        ..world.machine()
    };
    world.shelf.put(Box::new(begun).shared());
    assert_eq!(world.ask().unwrap(), Answer::Nothing);
    assert!(world.machine().workflow_complete);
    let longer = Machine { tasks: words(&["stage:none", "a"]), workflow_complete: false, ..world.machine() };
    world.shelf.put(Box::new(longer).shared());
    assert_eq!(world.run(JobState::Finished).as_deref(), Some("a"));
}

#[test]
fn task_that_the_machine_stopped_at_runs_though_the_list_before_had_it_too() {
    let mut world = World::new(&["a"]);
    world.run(JobState::Finished);
    let mut again = Machine { current_task: -1, workflow_complete: false, ..world.machine() };
    again.params.insert("task-stop-at".into(), json!(["a"]));
    world.shelf.put(Box::new(again).shared());
    assert_eq!(world.run(JobState::Finished), None);
    world.make_runnable();
    assert_eq!(world.run(JobState::Finished).as_deref(), Some("a"));
}

#[test]
fn list_that_was_sent_back_when_its_task_failed_runs_from_its_beginning_after_the_handler() {
    let mut world = World::new(&["a", "b"]);
    world.run(JobState::Finished);
    let Answer::Created(job) = world.ask().unwrap() else { panic!("no job") };
    world.shelf.put(Box::new(Machine { current_task: -1, ..world.machine() }).shared());
    world.end(&job.uuid, JobState::Failed, Some(Decision::Divert(words(&["mend"])))).unwrap();
    assert_eq!(world.run(JobState::Finished).as_deref(), Some("mend"));
    assert_eq!(world.run(JobState::Finished).as_deref(), Some("a"));
}

#[test]
fn list_that_was_sent_back_is_not_passed_over_when_its_task_fails_then() {
    let mut world = World::new(&["a", "b"]);
    world.run(JobState::Finished);
    let Answer::Created(job) = world.ask().unwrap() else { panic!("no job") };
    world.shelf.put(Box::new(Machine { current_task: -1, ..world.machine() }).shared());
    world.end(&job.uuid, JobState::Failed, Some(Decision::Advance)).unwrap();
    assert_eq!(world.run(JobState::Finished).as_deref(), Some("a"));
}

#[test]
fn agent_of_another_context_takes_the_machine_over_and_the_job_of_the_former_has_failed() {
    let mut world = World::new(&["a"]);
    let Answer::Created(job) = world.ask().unwrap() else { panic!("no job") };
    world.shelf.put(Box::new(Machine { context: "host".into(), ..world.machine() }).shared());
    let Answer::Created(taken) = world.ask().unwrap() else { panic!("no job") };
    assert_eq!((taken.task.as_str(), taken.context.as_str(), taken.current_index), ("a", "host", 0));
    assert_eq!(world.shelf.get::<Job>(&job.uuid).unwrap().state, JobState::Failed);
}

#[test]
fn retry_is_due_at_once_when_the_clock_was_set_back_behind_the_failure() {
    let (failed, at) = (Timestamp::from_millis(10_000), Timestamp::from_millis(12_000));
    let due = |millis| is_due((failed, at), Timestamp::from_millis(millis));
    assert_eq!([due(9_999), due(10_000), due(11_999), due(12_000)], [true, false, false, true]);
}

/// Has the current job reboot its machine before its end, and asks for it again; returns the state that it comes to.
fn reboot(world: &mut World, uuid: &str) -> JobState {
    world.end(uuid, JobState::Running, None).unwrap();
    world.now += 1;
    let old = world.shelf.get::<Job>(uuid).unwrap();
    let new = Job {
        state: JobState::Incomplete,
        exit_state: formwork_model::ExitState::Reboot,
        ..old.as_ref().clone()
    };
    let ended = update(&world.shelf, &old, new, None, Timestamp::from_millis(world.now)).unwrap();
    world.shelf.put(std::sync::Arc::new(ended.job.clone()));
    world.keep(ended.moved);
    ended.job.state
}

#[test]
fn task_that_reboots_its_machine_again_and_again_is_stopped_with_a_reason() {
    let mut world = World::new(&["a"]);
    world.set_param("task-reboots", json!({"a": 2}));
    let Answer::Created(job) = world.ask().unwrap() else { panic!("no job") };
    assert_eq!(reboot(&mut world, &job.uuid), JobState::Incomplete);
    assert_eq!(reboot(&mut world, &job.uuid), JobState::Incomplete);
    assert_eq!(world.shelf.get::<Job>(&job.uuid).unwrap().header.meta["reboots"], "2");
    assert_eq!(reboot(&mut world, &job.uuid), JobState::Failed);
    let machine = world.machine();
    assert!(!machine.runnable && machine.job_result_errors[0].contains("3 times"), "{machine:?}");
}

#[test]
fn job_says_how_long_a_run_of_it_may_take_and_the_machine_goes_before_the_task() {
    let limit = |param: serde_json::Value, meta: Option<&str>| {
        let mut world = World::new(&["a"]);
        let meta = meta.map(|text| (String::from("timeout"), text.to_owned()));
        let header = Header { meta: meta.into_iter().collect(), ..Header::default() };
        world.shelf.put(std::sync::Arc::new(Task { name: "a".into(), header, ..Task::default() }));
        world.set_param("task-timeout", param);
        let Answer::Created(job) = world.ask().unwrap() else { panic!("no job") };
        job.header.meta.get("timeout").cloned()
    };
    assert_eq!(limit(json!({}), None), None);
    assert_eq!(limit(json!({}), Some("2m")).as_deref(), Some("120"));
    assert_eq!(limit(json!({"a": "1h"}), Some("2m")).as_deref(), Some("3600"));
    assert_eq!(limit(json!({"a": 7, "b": 8}), None).as_deref(), Some("7"));
    assert_eq!(limit(json!({"a": 0}), Some("2m")), None, "a machine can have none");
}

#[test]
fn job_that_is_asked_for_running_is_as_one_that_is_handed_out_and_begun() {
    use JobState::{Failed, Finished, Incomplete};
    let after_each = |runs_at_once| {
        let mut world = World { runs_at_once, ..World::new(&["a", "stage:s", "b", "chroot:/mnt", "c"]) };
        let states =
            [Incomplete, Incomplete, Failed, Finished, Incomplete, Finished, Finished, Finished, Finished];
        states.map(|state| {
            let task = world.run(state);
            world.make_runnable();
            // The one asks the clock more often than the other.
            world.now = 0;
            let job = world.shelf.get::<Job>(&world.machine().current_job);
            (
                task,
                world.machine(),
                job.map(|job| (job.uuid.clone(), job.state, job.exit_state, job.current_index)),
            )
        })
    };
    assert_eq!(after_each(true), after_each(false));
}

#[test]
fn action_of_the_endpoint_is_never_handed_out_running() {
    let mut world = World { runs_at_once: true, ..World::new(&["action:power"]) };
    assert!(matches!(world.ask().unwrap(), Answer::Created(job) if job.state == JobState::Created));
}

#[test]
fn job_that_goes_on_is_handed_out_again_to_an_agent_that_missed_the_answer() {
    let mut world = World { runs_at_once: true, ..World::new(&["a"]) };
    world.run(JobState::Incomplete);
    for _ in 0..2 {
        assert!(matches!(world.ask().unwrap(), Answer::Resumed(job) if job.state == JobState::Incomplete));
    }
}
