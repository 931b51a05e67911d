use super::*;
use crate::machine::tests::{Shelf, words};

fn shelf() -> Shelf {
    let workflow = |name: &str| Workflow { name: name.into(), ..Workflow::default() };
    Shelf::default()
        .with(Blueprint { name: "install".into(), workflow: "lab-discover".into(), ..Blueprint::default() })
        .with(workflow("lab-discover"))
        .with(workflow("lab-hardware"))
}

fn order(on_failure: &str) -> WorkOrder {
    let mut order = WorkOrder {
        uuid: "w".into(),
        machine: "m".into(),
        blueprint: "install".into(),
        mode: MODE.into(),
        on_failure: on_failure.into(),
        context: "shelf".into(),
        ..WorkOrder::default()
    };
    order.header.set_errors(Vec::new());
    order
}

fn machine() -> Machine {
    let mut machine = Machine {
        uuid: "m".into(),
        work_order_mode: true,
        workflow_complete: true,
        runnable: true,
        ..Machine::default()
    };
    machine.header.set_errors(Vec::new());
    machine
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// An order whose machine has begun its workflow of two tasks.
fn running(on_failure: &str) -> (Shelf, WorkOrder, Machine) {
    let shelf = shelf();
    let Change::Plan(planned, request) = begin(&shelf, &order(on_failure), &machine()).unwrap() else {
        panic!("nothing is planned")
    };
    assert_eq!(request.workflow, "lab-discover");
    let planned = machine::apply_plan(*planned, words(&["a", "b"])).unwrap();
    let (order, machine) = begun(&shelf, &order(on_failure), (&machine(), planned), at(5));
    let shelf = shelf.with(order.clone()).with(machine.clone());
    (shelf, order, machine)
}

/// The same, with a first task that has failed for good.
fn failed(on_failure: &str) -> (Shelf, WorkOrder, Machine) {
    let (shelf, order, machine) = running(on_failure);
    let job = Job {
        uuid: "j".into(),
        machine: "m".into(),
        task: "a".into(),
        state: JobState::Running,
        current: true,
        next_index: 1,
        ..Job::default()
    };
    let machine = Machine { current_task: 0, current_job: "j".into(), ..machine };
    let shelf = shelf.with(machine).with(job.clone());
    let ended = Job { state: JobState::Failed, ..job.clone() };
    let ended = crate::jobs::update(&shelf, &job, ended, None, at(7)).unwrap();
    let Some(crate::jobs::Moved::Machine(machine)) = ended.moved else { panic!("the machine stays") };
    (shelf.with(ended.job).with((*machine).clone()), order, *machine)
}

#[test]
fn order_gives_its_machine_the_workflow_and_context_of_its_blueprint() {
    let (_, order, machine) = running("stop");
    assert_eq!((machine.workflow.as_str(), machine.context.as_str()), ("lab-discover", "shelf"));
    assert_eq!((machine.work_order_mode, machine.workflow_complete), (false, false));
    assert_eq!((order.state.as_str(), order.start_time), ("running", at(5)));
    assert_eq!(machine.header.meta[ORDER], "w");
}

#[test]
fn order_is_not_begun_without_its_workflow_and_names_it() {
    let bare = Shelf::default().with(Blueprint { name: "install".into(), ..Blueprint::default() });
    let refused = begin(&bare, &order("stop"), &machine()).unwrap_err().to_string();
    assert!(refused.contains("Workflow universal-pipeline-start does not exist"), "{refused}");
}

#[test]
fn machine_begins_only_when_it_has_nothing_else_to_do() {
    assert!(is_idle(&machine()));
    assert!(is_idle(&Machine { work_order_mode: false, ..machine() }));
    for busy in [
        Machine { workflow_complete: false, ..machine() },
        Machine { runnable: false, ..machine() },
        Machine { running_work_orders: 1, ..machine() },
        Machine { pool_status: "Joining".into(), ..machine() },
    ] {
        assert!(!is_idle(&busy));
    }
}

#[test]
fn order_has_finished_with_the_workflow_and_its_machine_takes_orders_again() {
    let (shelf, order, machine) = running("stop");
    let done = Machine { workflow_complete: true, current_task: 2, ..machine };
    let followed = follow(&shelf, &done, Some(&order), at(9));
    let (order, machine) = (followed.order.unwrap(), followed.machine.unwrap());
    assert_eq!((order.state.as_str(), order.end_time), ("finished", at(9)));
    assert!(machine.work_order_mode && machine.workflow.is_empty() && machine.tasks.is_empty());
    assert!(machine.header.meta.is_empty(), "{:?}", machine.header.meta);
}

#[test]
fn phases_of_a_pipeline_are_noted_as_the_machine_comes_to_them() {
    let (shelf, order, machine) = running("stop");
    let next = Machine { workflow: "lab-hardware".into(), ..machine };
    let order = follow(&shelf, &next, Some(&order), at(8)).order.unwrap();
    let plain = Machine { workflow: "lab-burn".into(), ..next.clone() };
    assert_eq!(follow(&shelf, &plain, Some(&order), at(9)).order, None, "that is no phase");
    let done = Machine { workflow_complete: true, ..next };
    let order = follow(&shelf, &done, Some(&order), at(10)).order.unwrap();
    let noted: Vec<_> = order
        .pipeline_phase
        .iter()
        .map(|phase| (&*phase.phase, phase.start_time.millis(), phase.end_time.millis()))
        .collect();
    assert_eq!(noted, [("discover", 5, 8), ("hardware", 8, 10)]);
}

#[test]
fn stop_fails_the_order_and_leaves_the_machine_where_it_is() {
    let (shelf, order, machine) = failed("stop");
    let followed = follow(&shelf, &machine, Some(&order), at(9));
    let order = followed.order.unwrap();
    assert_eq!((order.state.as_str(), order.status.as_str()), ("failed", "task a failed"));
    assert_eq!((followed.machine, machine.runnable, machine.current_task), (None, false, 0));
}

#[test]
fn pause_waits_until_the_machine_is_made_runnable() {
    let (shelf, order, machine) = failed("pause");
    let paused = follow(&shelf, &machine, Some(&order), at(9)).order.unwrap();
    assert_eq!((paused.state.as_str(), paused.runnable), ("running", false));
    let again = Machine { runnable: true, ..machine };
    let order = follow(&shelf, &again, Some(&paused), at(10)).order.unwrap();
    assert_eq!((order.state.as_str(), order.runnable, order.status.as_str()), ("running", true, ""));
}

#[test]
fn continue_goes_on_behind_the_task_that_failed() {
    let (shelf, order, machine) = failed("continue");
    assert_eq!((machine.current_task, machine.runnable), (1, true));
    let order = follow(&shelf, &machine, Some(&order), at(9)).order.unwrap();
    assert_eq!((order.state.as_str(), order.job_state.as_str()), ("running", "failed"));
}

#[test]
fn retry_has_tasks_tried_again_that_say_nothing_themselves() {
    for (on_failure, retries) in [("retry", Some(3)), ("stop", None)] {
        let (shelf, _, _) = failed(on_failure);
        let job = Job { machine: "m".into(), task: "b".into(), ..Job::default() };
        let lost = Job { state: JobState::Failed, ..job.clone() };
        assert_eq!(crate::jobs::failure_report(&shelf, &job, &lost).unwrap().retries, retries);
    }
}

#[test]
fn only_failed_or_paused_orders_in_workflow_mode_outside_of_batches_run_again() {
    let refused = |order: WorkOrder| successor(&order, "n".into(), at(9)).unwrap_err().to_string();
    assert!(refused(WorkOrder { mode: "task".into(), ..order("stop") }).contains("in task mode"));
    assert!(refused(order("stop")).contains("is created"));
    let failed = WorkOrder { state: "failed".into(), ..order("stop") };
    let mut member = failed.clone();
    member.header.meta.insert(BATCH.into(), "b".into());
    assert!(refused(member).contains("`batches restart "));
    let next = successor(&failed, "n".into(), at(9)).unwrap();
    assert_eq!((next.predecessor.as_str(), next.state.as_str()), ("w", "created"));
    let paused = WorkOrder { state: "running".into(), runnable: false, ..order("pause") };
    assert!(successor(&paused, "n".into(), at(9)).is_ok());
}

#[test]
fn machine_is_put_where_an_order_is_run_again_unless_it_has_gone_on() {
    let (shelf, order, machine) = failed("stop");
    let old = follow(&shelf, &machine, Some(&order), at(9)).order.unwrap();
    let resume = |machine: &Machine, how| resumed(&shelf, machine, &old, how);
    let stand = |how| {
        let next = resume(&machine, how).unwrap();
        (next.current_task, next.runnable)
    };
    assert_eq!(stand(Restart::Retry), (0, true));
    assert_eq!(stand(Restart::Continue), (1, true));
    assert_eq!(stand(Restart::FromStart), (0, false));
    let gone_on = Machine { current_job: "k".into(), ..machine.clone() };
    for how in [Restart::Retry, Restart::Continue, Restart::FromStart] {
        assert!(resume(&gone_on, how).unwrap_err().to_string().contains("has gone on"));
    }
    let free = Machine { workflow_complete: true, ..gone_on };
    assert!(resume(&free, Restart::FromStart).is_ok());
}
