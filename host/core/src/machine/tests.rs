use std::{collections::BTreeMap, sync::Arc};

use formwork_model::{Object, Workflow};

use super::*;

/// Objects in memory, by prefix and key.
#[derive(Default)]
pub(crate) struct Shelf(BTreeMap<(String, String), Arc<dyn Object>>);

impl Shelf {
    pub(crate) fn with(mut self, mut object: impl Object + Clone) -> Self {
        object.header_mut().set_errors(Vec::new());
        self.put(Arc::new(object));
        self
    }

    pub(crate) fn put(&mut self, object: Arc<dyn Object>) {
        self.0.insert((object.kind().prefix.to_owned(), object.key()), object);
    }
}

impl Objects for Shelf {
    fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>> {
        self.0.get(&(prefix.to_owned(), key.to_owned())).cloned()
    }

    fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        for ((own, _), object) in &self.0 {
            if own == prefix && !visit(object) {
                return;
            }
        }
    }

    fn count(&self, prefix: &str) -> usize {
        self.0.keys().filter(|(own, _)| own == prefix).count()
    }
}

pub(crate) fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn fresh() -> Fresh {
    Fresh { uuid: "u-1".into(), secret: "s".into() }
}

fn ready(change: Change) -> Machine {
    match change {
        Change::Ready(machine) => *machine,
        Change::Plan(..) => panic!("a plan is needed"),
    }
}

fn running(tasks: &[&str], current: i64) -> Machine {
    Machine {
        uuid: "u-1".into(),
        name: "m1".into(),
        tasks: words(tasks),
        current_task: current,
        stage: "none".into(),
        boot_env: "local".into(),
        ..Machine::default()
    }
}

fn changed(old: &Machine, change: impl FnOnce(&mut Machine)) -> Result<Change, Refusal> {
    let mut new = old.clone();
    change(&mut new);
    super::change(&Shelf::default(), old, new, &Rules { by_user: true, ..Rules::default() })
}

#[test]
fn new_machine_gets_its_defaults_and_an_empty_list_is_complete() {
    let machine =
        ready(create(&Shelf::default(), Machine { name: "m1".into(), ..Machine::default() }, fresh()));
    assert_eq!(
        (machine.stage.as_str(), machine.boot_env.as_str(), machine.arch.as_str()),
        ("none", "local", "amd64")
    );
    assert_eq!((machine.current_task, machine.workflow_complete), (0, true));
    assert_eq!(machine.header.meta["feature-flags"], "change-stage-v2");
    assert!(machine.runnable);
}

#[test]
fn workflow_of_a_new_machine_is_planned_by_a_component() {
    let shelf = Shelf::default()
        .with(Workflow { name: "wf".into(), stages: words(&["one"]), ..Workflow::default() })
        .with(Stage { name: "one".into(), tasks: words(&["a"]), ..Stage::default() });
    let machine = Machine { name: "m1".into(), workflow: "wf".into(), ..Machine::default() };
    let Change::Plan(machine, request) = create(&shelf, machine, fresh()) else { panic!("no plan asked") };
    assert_eq!(request.component, "core/classic");
    assert_eq!(request.stages[0].tasks, words(&["a"]));
    let machine = apply_plan(*machine, words(&["stage:one", "a"])).unwrap();
    assert_eq!((machine.current_task, machine.workflow_complete), (-1, false));
}

#[test]
fn row_007_work_order_mode_begins_only_when_provisioning_is_complete() {
    let old = Machine { workflow: "wf".into(), ..running(&["stage:one", "a"], 0) };
    let pending = changed(&old, |machine| machine.work_order_mode = true).unwrap_err();
    assert!(pending.to_string().contains("WorkOrderMode cannot change: tasks are pending"), "{pending}");
    let done = Machine { current_task: 2, workflow_complete: true, ..old };
    let on = ready(changed(&done, |machine| machine.work_order_mode = true).unwrap());
    assert_eq!((on.work_order_mode, on.workflow.as_str(), on.tasks.len()), (true, "", 0));
    assert_eq!((on.workflow_complete, on.stage.as_str()), (true, "none"));
    let both = changed(&done, |machine| {
        machine.work_order_mode = true;
        machine.workflow = "other".into();
    });
    assert!(both.unwrap_err().to_string().contains("one after the other"));
    let busy = Machine { running_work_orders: 1, ..on.clone() };
    let held = changed(&busy, |machine| machine.work_order_mode = false).unwrap_err();
    assert!(held.to_string().contains("a work order runs"), "{held}");
    assert!(!ready(changed(&on, |machine| machine.work_order_mode = false).unwrap()).work_order_mode);
}

#[test]
fn row_041_base_context_is_the_context_of_each_new_workflow() {
    let mut old = running(&[], 0);
    old.header.meta.insert("BaseContext".into(), "c".into());
    old.context = "elsewhere".into();
    let begun = changed(&old, |machine| machine.workflow = "wf".into()).unwrap();
    let Change::Plan(machine, _) = begun else { panic!("no plan asked") };
    let machine = apply_plan(*machine, words(&["stage:one"])).unwrap();
    assert_eq!((machine.workflow.as_str(), machine.context.as_str()), ("wf", "c"));
    let away = Machine { context: "elsewhere".into(), ..machine };
    assert_eq!(ready(changed(&away, |machine| machine.workflow.clear()).unwrap()).context, "c");
    old.header.meta.clear();
    let begun = changed(&old, |machine| machine.workflow = "wf".into()).unwrap();
    assert!(
        matches!(begun, Change::Plan(machine, _) if machine.context.is_empty()),
        "absent means the machine"
    );
}

#[test]
fn row_052_executed_tasks_and_those_of_stages_to_come_never_change() {
    let old = running(&["a", "b", "c"], 1);
    let removed = changed(&old, |machine| machine.tasks = words(&["a"])).unwrap_err();
    assert_eq!(
        removed.to_string(),
        "Cannot remove tasks that have already executed or are already executing"
    );
    let altered = changed(&old, |machine| machine.tasks = words(&["x", "b", "c"])).unwrap_err();
    assert_eq!(altered.to_string(), "Cannot change tasks that have already executed or are executing");
    let longer = ready(changed(&old, |machine| machine.tasks = words(&["a", "b", "d", "c"])).unwrap());
    assert_eq!(longer.current_task, 1);
    let mut staged = running(&["stage:one", "a", "b", "stage:two", "c"], 1);
    staged.workflow = "wf".into();
    let with = |tasks: &[&str]| changed(&staged, |machine| machine.tasks = words(tasks));
    for future in [&["stage:one", "a", "b", "stage:two"][..], &["stage:one", "a", "b", "c", "stage:two"]] {
        let refused = with(future).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Cannot change tasks of the stages to come; change the Workflow instead"
        );
    }
    let present = ready(with(&["stage:one", "a", "x", "stage:two", "c"]).unwrap());
    assert_eq!(present.tasks, words(&["stage:one", "a", "x", "stage:two", "c"]));
}

#[test]
fn row_022_current_task_goes_back_but_never_forward_by_hand() {
    let old = running(&["a", "b"], 0);
    for index in [-2, 1, 2, 3] {
        assert!(changed(&old, |machine| machine.current_task = index).is_err(), "{index}");
    }
    let forward = changed(&old, |machine| machine.current_task = 1).unwrap_err();
    assert_eq!(forward.to_string(), "Cannot advance CurrentTask from 0 to 1 without running jobs");
    let mut done = running(&["a", "b"], 2);
    done.workflow_complete = true;
    let again = ready(changed(&done, |machine| machine.current_task = -1).unwrap());
    assert_eq!((again.current_task, again.workflow_complete), (-1, false));
}

#[test]
fn locked_machine_takes_only_the_unlocking_change_from_users() {
    let mut old = running(&[], 0);
    old.locked = true;
    assert!(changed(&old, |machine| machine.description = "x".into()).is_err());
    assert!(changed(&old, |machine| machine.locked = false).is_ok());
    let new = Machine { description: "x".into(), ..old.clone() };
    assert!(super::change(&Shelf::default(), &old, new, &Rules::default()).is_ok());
}

#[test]
fn stage_with_pending_tasks_changes_only_by_force() {
    let old = running(&["a"], -1);
    let refused = changed(&old, |machine| machine.stage = "one".into()).unwrap_err();
    assert_eq!(refused.to_string(), "Can not change stages with pending tasks unless forced");
    let new = Machine { stage: "one".into(), ..old.clone() };
    let rules = Rules { force: true, ..Rules::default() };
    assert!(matches!(super::change(&Shelf::default(), &old, new, &rules), Ok(Change::Plan(..))));
}

#[test]
fn workflow_owns_stage_and_boot_environment() {
    let mut old = running(&["stage:one"], 0);
    old.workflow = "wf".into();
    assert!(changed(&old, |machine| machine.stage = "two".into()).is_err());
    assert!(changed(&old, |machine| machine.boot_env = "two".into()).is_err());
    let ended = ready(changed(&old, |machine| machine.workflow.clear()).unwrap());
    assert_eq!((ended.stage.as_str(), ended.tasks.len()), ("none", 0));
}

#[test]
fn changed_secret_is_replaced_by_a_fresh_one() {
    let old = running(&[], 0);
    let rules = Rules { fresh_secret: "fresh".into(), ..Rules::default() };
    let new = Machine { secret: "chosen".into(), ..old.clone() };
    assert_eq!(ready(super::change(&Shelf::default(), &old, new, &rules).unwrap()).secret, "fresh");
}
