//! The rules of the flat list, one by one.

use formwork_sdk::{Stage, TaskInfo, WorkflowMachine};

use super::*;

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// A request from stages `(name, bootenv, tasks)` and tasks `(name, prerequisites)`.
fn request(workflow: Option<&str>, stages: &[(&str, &str, &str)], tasks: &[(&str, &str)]) -> PlanRequest {
    let text = str::to_owned;
    PlanRequest {
        machine: WorkflowMachine {
            uuid: text("c3a0"),
            name: text("n1"),
            stage: text("none"),
            bootenv: text("local"),
            workflow: String::new(),
        },
        workflow: workflow.map(text),
        stages: stages
            .iter()
            .map(|(name, bootenv, tasks)| Stage {
                name: text(name),
                bootenv: text(bootenv),
                tasks: words(tasks),
            })
            .collect(),
        tasks: tasks
            .iter()
            .map(|(name, needs)| TaskInfo { name: text(name), prerequisites: words(needs) })
            .collect(),
    }
}

fn planned(stages: &[(&str, &str, &str)], tasks: &[(&str, &str)]) -> Vec<String> {
    plan(&request(Some("w"), stages, tasks)).unwrap()
}

#[test]
fn stages_become_entries_in_their_order() {
    let list = planned(&[("discover", "sledgehammer", "a b"), ("finish", "", "c")], &[]);
    assert_eq!(list, words("stage:discover bootenv:sledgehammer a b stage:finish c"));
}

#[test]
fn a_bootenv_is_entered_only_when_it_differs_from_the_one_in_force() {
    let list = planned(
        &[("s1", "x", "a"), ("s2", "x", "b"), ("s3", "", "c"), ("s4", "x", ""), ("s5", "y", "")],
        &[],
    );
    assert_eq!(list, words("stage:s1 bootenv:x a stage:s2 b stage:s3 c stage:s4 stage:s5 bootenv:y"));
}

#[test]
fn a_stage_by_itself_gives_its_tasks_only() {
    let list = plan(&request(None, &[("s", "x", "a context:host b")], &[("a", "p")])).unwrap();
    assert_eq!(list, words("p a context:host b"));
}

#[test]
fn prerequisites_come_first_depth_first_and_once() {
    let tasks = [("a", "p q"), ("b", "q"), ("p", "r"), ("q", "r")];
    assert_eq!(planned(&[("s", "", "a b")], &tasks), words("stage:s r p q a b"));
}

#[test]
fn prerequisites_are_run_again_after_the_bootenv_has_changed() {
    let tasks = [("a", "p"), ("b", "p")];
    let list = planned(&[("s1", "x", "a"), ("s2", "y", "b")], &tasks);
    assert_eq!(list, words("stage:s1 bootenv:x p a stage:s2 bootenv:y p b"));
    let within = planned(&[("s", "x", "a bootenv:x b bootenv:y b")], &tasks);
    assert_eq!(within, words("stage:s bootenv:x p a bootenv:x b bootenv:y p b"));
}

#[test]
fn what_is_listed_is_never_dropped() {
    assert_eq!(planned(&[("s", "", "p a a p")], &[("a", "p")]), words("stage:s p a a p"));
}

#[test]
fn tasks_that_need_each_other_are_a_failure() {
    let failure =
        plan(&request(Some("w"), &[("s", "", "a")], &[("a", "b"), ("b", "c"), ("c", "b")])).unwrap_err();
    assert_eq!(failure.code, "prerequisite-cycle");
    assert_eq!(failure.message, "task `b` needs itself, by way of task `c`");
    assert!(plan(&request(Some("w"), &[("s", "", "a")], &[("a", "a")])).is_err());
}

#[test]
fn a_chain_of_prerequisites_may_be_long() {
    let tasks: Vec<_> = (0..50_000).map(|n| (format!("t{n}"), format!("t{}", n + 1))).collect();
    let tasks: Vec<_> = tasks.iter().map(|(name, needs)| (name.as_str(), needs.as_str())).collect();
    let list = planned(&[("s", "", "t0")], &tasks);
    assert_eq!((list.len(), list[1].as_str(), list[50_001].as_str()), (50_002, "t50000", "t0"));
}
