use formwork_model::{Task, TaskStack};
use serde_json::json;

use super::*;
use crate::machine::tests::{Shelf, words};

fn shelf() -> Shelf {
    let task = |name: &str, before: &[&str]| Task {
        name: name.into(),
        prerequisites: words(before),
        ..Task::default()
    };
    let blueprint = Blueprint {
        name: "wipe".into(),
        tasks: words(&["stage:burn", "erase", "report"]),
        profiles: words(&["careful"]),
        ..Blueprint::default()
    };
    Shelf::default()
        .with(Machine { uuid: "m1".into(), ..Machine::default() })
        .with(blueprint)
        .with(task("erase", &["stop", "look"]))
        .with(task("stop", &["look"]))
        .with(task("look", &["erase"]))
        .with(task("report", &["look"]))
}

fn order() -> WorkOrder {
    WorkOrder { uuid: "w1".into(), machine: "m1".into(), blueprint: "wipe".into(), ..WorkOrder::default() }
}

fn made(order: WorkOrder) -> Result<WorkOrder, Refusal> {
    let params = json!({"passes": 3, "slow": true}).as_object().unwrap().clone().into_iter().collect();
    create(&shelf(), order, params, Timestamp::from_millis(7))
}

#[test]
fn new_order_has_what_its_blueprint_has_and_its_own_goes_before() {
    let own = json!({"passes": 1}).as_object().unwrap().clone().into_iter().collect::<Values>();
    let made = made(WorkOrder { params: own.into(), profiles: words(&["quick"]), ..order() }).unwrap();
    assert_eq!(made.tasks, words(&["stage:burn", "look", "stop", "erase", "report"]));
    assert_eq!(made.profiles, words(&["quick", "careful"]));
    assert_eq!(json!(made.params.values()), json!({"passes": 1, "slow": true}));
    assert_eq!((made.current_task, made.create_time), (-1, Timestamp::from_millis(7)));
}

#[test]
fn order_that_is_not_over_is_put_back_held_at_its_beginning_and_without_its_machine_cancelled() {
    let stack = TaskStack { task_list: words(&["erase", "report"]), ..TaskStack::default() };
    let begun = WorkOrder {
        state: "running".into(),
        tasks: words(&["mend"]),
        current_task: 0,
        current_job: "j1".into(),
        retry_task_attempt: 2,
        task_error_stacks: vec![stack],
        start_time: Timestamp::from_millis(5),
        create_time: Timestamp::from_millis(4),
        ..order()
    };
    let now = Timestamp::from_millis(9);
    let held = put_back(&shelf(), &begun, now).unwrap();
    let wanted = WorkOrder {
        tasks: words(&["erase", "report"]),
        scheduling_hold: true,
        status: held.status.clone(),
        create_time: begun.create_time,
        ..order()
    };
    assert_eq!(held, wanted);
    let mut usable = held;
    usable.header.available = true;
    assert!(!is_waiting(&usable) && is_waiting(&WorkOrder { scheduling_hold: false, ..usable }));
    let lost = put_back(&shelf(), &WorkOrder { machine: "m2".into(), ..begun.clone() }, now).unwrap();
    assert_eq!((lost.state.as_str(), lost.end_time), ("cancelled", now));
    let over = WorkOrder { state: "failed".into(), ..lost };
    assert_eq!(put_back(&shelf(), &over, now).unwrap(), over);
    let taken = WorkOrder { filter: "Pool=spare".into(), ..begun.clone() };
    let queued = put_back(&shelf(), &taken, now).unwrap();
    assert_eq!((queued.machine.as_str(), queued.filter.as_str()), ("", "Pool=spare"));
    let mut of_batch = begun;
    of_batch.header.meta.insert(WorkOrder::BATCH.into(), "b1".into());
    let cancelled = put_back(&shelf(), &of_batch, now).unwrap();
    assert_eq!((cancelled.state.as_str(), cancelled.end_time), ("cancelled", now));
}

#[test]
fn order_is_for_a_machine_or_a_filter_and_has_a_blueprint() {
    let both = WorkOrder { filter: "Pool=spare".into(), ..order() };
    let neither = WorkOrder { machine: String::new(), ..order() };
    for wrong in [both, neither] {
        assert!(made(wrong).unwrap_err().to_string().contains("and not both"));
    }
    let without = WorkOrder { blueprint: "none".into(), ..order() };
    assert!(made(without).unwrap_err().to_string().contains("Blueprint none does not exist"));
    let lost = WorkOrder { machine: "m2".into(), ..order() };
    assert!(made(lost).unwrap_err().to_string().contains("Machine m2 does not exist"));
}

#[test]
fn only_cancelling_is_a_state_that_can_be_written() {
    let old = made(order()).unwrap();
    let with = |state: &str| {
        change(&shelf(), &old, WorkOrder { state: state.into(), ..old.clone() }, Timestamp::from_millis(9))
    };
    assert_eq!(with("cancelled").unwrap().end_time, Timestamp::from_millis(9));
    for state in ["running", "finished", "failed"] {
        assert!(with(state).unwrap_err().to_string().contains("only cancelled"));
    }
}

#[test]
fn order_that_has_begun_keeps_its_list_and_one_that_has_ended_everything() {
    let old = made(order()).unwrap();
    let moved = |old: &WorkOrder| {
        change(&shelf(), old, WorkOrder { tasks: words(&["report"]), ..old.clone() }, old.create_time)
    };
    assert_eq!(moved(&old).unwrap().tasks, words(&["report"]));
    let running = WorkOrder { state: "running".into(), ..old.clone() };
    assert!(moved(&running).unwrap_err().to_string().contains("once it has begun"));
    let held = WorkOrder { runnable: false, ..running.clone() };
    assert!(!change(&shelf(), &running, held, old.create_time).unwrap().runnable);
    let ended = WorkOrder { state: "finished".into(), ..old };
    assert!(moved(&ended).unwrap_err().to_string().contains("the work order is finished"));
    let mut noted = ended.clone();
    noted.header.meta.insert("ticket".into(), "7".into());
    assert_eq!(change(&shelf(), &ended, noted.clone(), noted.create_time).unwrap(), noted);
}

#[test]
fn order_that_waits_must_still_fit_when_it_is_changed() {
    let old = made(order()).unwrap();
    let changed =
        |new: WorkOrder| change(&shelf(), &old, new, old.create_time).map_err(|error| error.to_string());
    for (new, words) in [
        (WorkOrder { machine: "m2".into(), ..old.clone() }, "Machine m2 does not exist"),
        (WorkOrder { filter: "Pool=spare".into(), ..old.clone() }, "and not both"),
        (WorkOrder { machine: String::new(), ..old.clone() }, "and not both"),
        (WorkOrder { tasks: vec!["report".into(); MAX_ENTRIES + 1], ..old.clone() }, "more than 10000"),
        (WorkOrder { mode: "workflow".into(), ..old.clone() }, "Tasks are of task mode"),
    ] {
        let refused = changed(new).unwrap_err();
        assert!(refused.contains(words), "{refused}");
    }
    let free = WorkOrder { machine: String::new(), filter: "Pool=spare".into(), ..old.clone() };
    assert_eq!(changed(free).unwrap().filter, "Pool=spare");
}

#[test]
fn machine_counts_its_orders_by_what_becomes_of_them() {
    let machine = Machine { uuid: "m1".into(), ..Machine::default() };
    let waiting = made(order()).unwrap();
    let running = begun(&waiting, &machine, Timestamp::from_millis(8));
    let ended = WorkOrder { state: "finished".into(), ..running.clone() };
    let mut counts = Vec::new();
    let mut now = machine;
    let steps = [
        (None, Some(&waiting)),
        (Some(&waiting), Some(&running)),
        (Some(&running), Some(&ended)),
        (Some(&ended), None),
    ];
    for (before, after) in steps {
        now = counted(&now, before, after).unwrap_or(now);
        counts.push((now.pending_work_orders, now.running_work_orders));
    }
    assert_eq!(counts, [(1, 0), (0, 1), (0, 0), (0, 0)]);
}

#[test]
fn order_waits_unless_it_is_held() {
    let mut waiting = made(order()).unwrap();
    waiting.header.set_errors(Vec::new());
    assert!(is_waiting(&waiting));
    for held in [
        WorkOrder { scheduling_hold: true, ..waiting.clone() },
        WorkOrder { runnable: false, ..waiting.clone() },
        WorkOrder { mode: "workflow".into(), ..waiting.clone() },
        WorkOrder { state: "running".into(), ..waiting.clone() },
    ] {
        assert!(!is_waiting(&held));
    }
}

#[test]
fn order_that_is_over_holds_no_param_any_more() {
    let holders = |state: &str| {
        let order = WorkOrder { state: state.into(), ..made(order()).unwrap() };
        crate::params::holders(&Shelf::default().with(order), "passes")
    };
    assert_eq!(holders("running"), ["work_orders:w1"]);
    assert!(holders("cancelled").is_empty());
}
