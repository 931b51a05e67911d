use formwork_model::WorkOrder;

use super::*;

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
