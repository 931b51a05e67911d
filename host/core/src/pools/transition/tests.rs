use std::{collections::BTreeMap, sync::Arc};

use formwork_model::{Object, Workflow};

use super::*;
use crate::machine::apply_plan;

/// Pools and workflows by type and key.
#[derive(Default)]
struct Site(BTreeMap<(&'static str, String), Arc<dyn Object>>);

impl Site {
    fn with(mut self, object: impl Object) -> Self {
        let key = (object.kind().prefix, object.key());
        self.0.insert(key, Arc::new(object));
        self
    }
}

impl Objects for Site {
    fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>> {
        self.0
            .iter()
            .find(|((own, name), _)| *own == prefix && name == key)
            .map(|(_, object)| Arc::clone(object))
    }

    fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        let _ = self.0.iter().filter(|((own, _), _)| *own == prefix).all(|(_, object)| visit(object));
    }

    fn count(&self, _: &str) -> usize {
        self.0.len()
    }
}

fn runs(workflow: &str) -> Option<PoolTransitionActions> {
    Some(PoolTransitionActions { workflow: workflow.into(), ..PoolTransitionActions::default() })
}

fn site() -> Site {
    let pool = Pool {
        id: "lab".into(),
        parent_pool: "hall".into(),
        enter_actions: runs("arrive"),
        exit_actions: runs("depart"),
        allocate_actions: Some(PoolTransitionActions {
            add_profiles: vec!["p1".into(), "p2".into()],
            remove_profiles: vec!["spare".into()],
            add_parameters: [(String::from("size"), 2.into())].into(),
            remove_parameters: vec!["old".into()],
            ..PoolTransitionActions::default()
        }),
        ..Pool::default()
    };
    ["arrive", "depart"].into_iter().fold(Site::default().with(pool), |site, name| {
        site.with(Workflow { name: name.into(), ..Workflow::default() })
    })
}

fn machine(pool: &str, status: &str) -> Machine {
    Machine {
        uuid: "u-1".into(),
        pool: pool.into(),
        pool_status: status.into(),
        pool_allocated: !matches!(status, "Free" | "Joining" | "Leaving"),
        workflow_complete: true,
        ..Machine::default()
    }
}

fn wanted(operation: Operation, pool: &str) -> Wanted {
    Wanted { operation, pool: pool.into(), source: "hall".into(), force: false, instead: Instead::default() }
}

fn ready(change: Result<Change, Refusal>) -> Machine {
    match change.unwrap() {
        Change::Ready(machine) => *machine,
        Change::Plan(machine, _) => apply_plan(*machine, vec!["t1".into()]).unwrap(),
    }
}

/// The machine as it is when its workflow is through.
fn through(mut machine: Machine) -> Machine {
    machine.workflow_complete = true;
    machine
}

#[test]
fn status_and_allocation_must_fit_the_operation_unless_forced_and_a_lock_always_counts() {
    for (operation, status, fits) in [
        (Operation::Allocate, "Free", true),
        (Operation::Allocate, "InUse", false),
        (Operation::Allocate, "HoldBuild", false),
        (Operation::Release, "InUse", true),
        (Operation::Release, "Free", false),
        (Operation::Remove, "Free", true),
        (Operation::Remove, "InUse", false),
    ] {
        let mut wanted = wanted(operation, "lab");
        assert_eq!(wanted.objection(&machine("lab", status)).is_none(), fits, "{operation:?} {status}");
        wanted.force = true;
        assert_eq!(wanted.objection(&machine("lab", status)), None);
        assert!(wanted.objection(&machine("other", status)).is_some());
        let locked = Machine { locked: true, ..machine("lab", status) };
        assert_eq!(wanted.objection(&locked).unwrap(), "is locked");
    }
}

#[test]
fn transition_without_a_workflow_is_over_at_once() {
    let mut spare = machine("lab", "Free");
    spare.profiles = vec!["spare".into(), "p2".into()];
    spare.params = [(String::from("old"), 1.into()), (String::from("size"), 1.into())].into();
    let allocated = ready(begin(&site(), spare, &wanted(Operation::Allocate, "lab")));
    assert_eq!((allocated.pool_status.as_str(), allocated.pool_allocated), ("InUse", true));
    assert_eq!(allocated.profiles, ["p2", "p1"]);
    assert_eq!(serde_json::to_value(&allocated.params).unwrap(), serde_json::json!({"size": 2}));
    let released = ready(begin(&site(), allocated, &wanted(Operation::Release, "lab")));
    assert_eq!((released.pool_status.as_str(), released.pool_allocated), ("Free", false));
}

#[test]
fn row_045_pool_status_goes_from_joining_over_free_and_in_use_to_leaving() {
    let site = site();
    let mut call = wanted(Operation::Add, "lab");
    call.source = "hall".into();
    let joining = ready(begin(&site, machine("hall", "Free"), &call));
    assert_eq!((joining.pool.as_str(), joining.pool_status.as_str()), ("lab", "Joining"));
    assert_eq!((joining.workflow.as_str(), joining.runnable), ("arrive", true));
    let free = ready(settle(&site, &joining, through(joining.clone())));
    assert_eq!((free.pool.as_str(), free.pool_status.as_str()), ("lab", "Free"));

    let in_use = ready(begin(&site, free, &wanted(Operation::Allocate, "lab")));
    assert_eq!((in_use.pool_status.as_str(), in_use.pool_allocated), ("InUse", true));
    assert!(wanted(Operation::Remove, "lab").objection(&in_use).is_some(), "only what is free leaves");
    let free = ready(begin(&site, in_use, &wanted(Operation::Release, "lab")));
    assert_eq!((free.pool_status.as_str(), free.pool_allocated), ("Free", false));

    let leaving = ready(begin(&site, free, &wanted(Operation::Remove, "lab")));
    assert_eq!((leaving.pool.as_str(), leaving.pool_status.as_str()), ("lab", "Leaving"));
    assert_eq!(leaving.workflow, "depart");
    let back = ready(settle(&site, &leaving, through(leaving.clone())));
    assert_eq!((back.pool.as_str(), back.pool_status.as_str()), ("hall", "Free"));
    assert!(back.header.meta.is_empty(), "{:?}", back.header.meta);
}

#[test]
fn what_a_call_gives_instead_holds_for_the_pool_that_is_entered_also_after_a_workflow() {
    let site = site();
    let mut call = wanted(Operation::Add, "other");
    call.source = "lab".into();
    call.instead = serde_json::from_value(serde_json::json!({
        "pool/workflow": "arrive", "pool/add-profiles": ["p9"],
    }))
    .unwrap();
    assert_eq!(call.instead.members(), ["Workflow", "Profiles"]);
    let leaving = ready(begin(&site, machine("lab", "Free"), &call));
    assert_eq!((leaving.workflow.as_str(), leaving.profiles.len()), ("depart", 0));
    let joining = ready(settle(&site, &leaving, through(leaving.clone())));
    assert_eq!((joining.pool.as_str(), joining.pool_status.as_str()), ("other", "Joining"));
    assert_eq!(
        (joining.workflow.as_str(), joining.profiles.as_slice()),
        ("arrive", ["p9".to_owned()].as_slice())
    );
}

#[test]
fn failed_task_holds_the_machine_until_the_workflow_is_through_after_all() {
    let site = site();
    for (status, held, end) in [
        ("Joining", "HoldJoin", "Free"),
        ("Building", "HoldBuild", "InUse"),
        ("Destroying", "HoldDestroy", "Free"),
        ("Leaving", "HoldLeave", "Free"),
    ] {
        let before =
            Machine { workflow_complete: false, job_state: "running".into(), ..machine("x", status) };
        let failed = Machine { job_state: "failed".into(), runnable: false, ..before.clone() };
        let kept = ready(settle(&site, &before, failed.clone()));
        assert_eq!(kept.pool_status, held);
        let again = ready(settle(&site, &kept, Machine { job_state: "running".into(), ..kept.clone() }));
        assert_eq!(again.pool_status, held);
        assert_eq!(ready(settle(&site, &again, through(again.clone()))).pool_status, end);
        let retried = Machine { runnable: true, ..failed };
        assert_eq!(ready(settle(&site, &before, retried)).pool_status, status);
    }
}

#[test]
fn machine_that_is_not_under_way_is_left_alone() {
    for status in ["Free", "InUse", ""] {
        let before = machine("lab", status);
        assert_eq!(ready(settle(&site(), &before, before.clone())), before);
        assert!(!is_under_way(status));
    }
}

#[test]
fn nothing_is_removed_from_the_root_pool() {
    let refused = begin(&site(), machine("default", "Free"), &wanted(Operation::Remove, "default"));
    let Err(Refusal::Invalid(messages)) = refused else { panic!("{refused:?}") };
    assert!(messages[0].contains("cannot be removed from the root pool default"), "{messages:?}");
}

#[test]
fn meta_that_somebody_broke_leads_to_the_parent() {
    let mut leaving = machine("lab", "Leaving");
    leaving.header.meta.insert(DESTINATION.into(), "not JSON".into());
    assert_eq!(ready(settle(&site(), &leaving, leaving.clone())).pool, "hall");
}
