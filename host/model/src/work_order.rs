//! Work orders: something to be done on a machine beside its workflow (drp-api.md 7A.16, 14.5).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, Layers, NameGrammar, Params, Reference, TaskStack, Timestamp,
    names::{list_problems, other_problem, uuid_problem, word_problem},
    object::object,
    reference::Needs,
    stage::entry_problem,
};

/// What a blueprint asks for, on one machine. It is not bound to a machine while only its filter is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct WorkOrder {
    /// The key, a UUID.
    pub uuid: String,
    /// The UUID of the machine; empty while the filter has to find one.
    pub machine: String,
    /// The query of machines that may take it when none is named.
    pub filter: String,
    /// The blueprint that it was made of.
    pub blueprint: String,
    /// Where it stands: one of [`WorkOrder::STATES`].
    pub state: String,
    /// Why it stands there, in words.
    pub status: String,
    /// How it runs: one of [`WorkOrder::MODES`].
    pub mode: String,
    /// What a failure does in workflow mode: one of [`WorkOrder::FAILURES`].
    pub on_failure: String,
    /// True when an agent may run its jobs.
    pub runnable: bool,
    /// True keeps it in `created`.
    pub scheduling_hold: bool,
    /// Where its jobs run; empty for the machine's own agent.
    pub context: String,
    /// The stage that its task list has come to.
    pub stage: String,
    /// The expanded task list.
    pub tasks: Vec<String>,
    /// -1 before anything has begun, else the index of the running or next entry; the length when done.
    pub current_task: i64,
    /// The latest job; empty for none.
    pub current_job: String,
    /// The state of the current job.
    pub job_state: String,
    /// The exit state of the current job.
    pub job_exit_state: String,
    /// The result errors of the current job.
    pub job_result_errors: Vec<String>,
    /// How often the current task was tried again after a failure.
    pub retry_task_attempt: i64,
    /// The list that an error handler replaced; at most one.
    pub task_error_stacks: Vec<TaskStack>,
    /// Parameters that go before those of the machine.
    pub params: Params,
    /// Profiles that go before those of the machine.
    pub profiles: Vec<String>,
    /// The phases of the pipeline that it went through in workflow mode, in order.
    pub pipeline_phase: Vec<PipelinePhaseRecord>,
    /// The work order that this one runs again; empty for none.
    pub predecessor: String,
    /// True once it is kept as history only.
    pub archived: bool,
    /// When it was made.
    pub create_time: Timestamp,
    /// When it was begun.
    pub start_time: Timestamp,
    /// When it ended.
    pub end_time: Timestamp,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl Default for WorkOrder {
    fn default() -> Self {
        Self {
            uuid: String::new(),
            machine: String::new(),
            filter: String::new(),
            blueprint: String::new(),
            state: String::from("created"),
            status: String::new(),
            mode: String::from("task"),
            on_failure: String::from("stop"),
            runnable: true,
            scheduling_hold: false,
            context: String::new(),
            stage: String::new(),
            tasks: Vec::new(),
            current_task: -1,
            current_job: String::new(),
            job_state: String::new(),
            job_exit_state: String::new(),
            job_result_errors: Vec::new(),
            retry_task_attempt: 0,
            task_error_stacks: Vec::new(),
            params: Params::new(),
            profiles: Vec::new(),
            pipeline_phase: Vec::new(),
            predecessor: String::new(),
            archived: false,
            create_time: Timestamp::default(),
            start_time: Timestamp::default(),
            end_time: Timestamp::default(),
            header: Header::default(),
        }
    }
}

impl WorkOrder {
    /// Where a work order can stand; the last three are final.
    pub const STATES: &'static [&'static str] = &["created", "running", "failed", "finished", "cancelled"];

    /// Those of them that are not final.
    pub const OPEN: &'static [&'static str] = &["created", "running"];

    /// The member of a work order's meta that names its batch. Whoever makes the members of one sets it.
    pub const BATCH: &'static str = "batch";

    /// How a work order can run: its own tasks, or a workflow of the machine.
    pub const MODES: &'static [&'static str] = &["task", "workflow"];

    /// What a failure can do in workflow mode.
    pub const FAILURES: &'static [&'static str] = &["stop", "pause", "continue", "retry"];

    /// Tells whether it does not change any more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !Self::OPEN.contains(&self.state.as_str())
    }
}

/// When a work order went through one phase of a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct PipelinePhaseRecord {
    /// The phase: one of [`PipelinePhaseRecord::PHASES`].
    pub phase: String,
    /// The context that it ran in.
    pub context: String,
    /// When it was begun.
    pub start_time: Timestamp,
    /// When it ended.
    pub end_time: Timestamp,
}

impl PipelinePhaseRecord {
    /// The phases of a pipeline, in order.
    pub const PHASES: &'static [&'static str] = &["prepare", "discover", "hardware", "os", "app", "complete"];
}

pub(crate) static KIND: Kind = Kind {
    indexed: &["Machine", "Blueprint", "State", "Status", "Runnable", "CreateTime", "StartTime", "EndTime"],
    read_only: &[
        "CurrentJob",
        "JobState",
        "JobExitState",
        "JobResultErrors",
        "RetryTaskAttempt",
        "TaskErrorStacks",
        "PipelinePhase",
        "Archived",
        "CreateTime",
    ],
    opaque: &["Params"],
    columns: &["Uuid", "Blueprint", "Machine", "State", "Status", "CreateTime"],
    layers: Layers::Writable,
    ..Kind::of::<WorkOrder>("work_orders", "Uuid", "work order")
};

object!(
    WorkOrder,
    KIND,
    key = |order| order.uuid.clone(),
    params = params,
    normalise = normalise,
    problems = problems,
    references = references
);

/// Fills in the words that stand for empty ones.
pub(crate) fn normalise(order: &mut WorkOrder) {
    let members = [(&mut order.state, "created"), (&mut order.mode, "task"), (&mut order.on_failure, "stop")];
    for (member, word) in members.into_iter().filter(|(member, _)| member.is_empty()) {
        word.clone_into(member);
    }
}

fn problems(order: &WorkOrder) -> Vec<String> {
    let key = order.uuid.as_str();
    let mut found: Vec<String> = uuid_problem(key, "Uuid", key).into_iter().collect();
    found.extend(content_problems(key, order));
    found
}

/// Returns what is wrong with a work order beside its key, as a batch has it in a template.
pub(crate) fn content_problems(key: &str, order: &WorkOrder) -> Vec<String> {
    let mut found = Vec::new();
    if !NameGrammar::Name.accepts(&order.blueprint) {
        found.push(format!("{key}: Invalid Blueprint `{}`", order.blueprint));
    }
    if !order.machine.is_empty() {
        found.extend(uuid_problem(key, "Machine", &order.machine));
    }
    found.extend(word_problem(key, "State", &order.state, WorkOrder::STATES));
    found.extend(word_problem(key, "Mode", &order.mode, WorkOrder::MODES));
    found.extend(word_problem(key, "OnFailure", &order.on_failure, WorkOrder::FAILURES));
    found.extend(other_problem(key, "Stage", &order.stage));
    found.extend(list_problems(key, "Profile", &order.profiles));
    found.extend(task_problems(key, &order.tasks));
    if order.current_task < -1 || order.current_task > i64::try_from(order.tasks.len()).unwrap_or(i64::MAX) {
        found.push(format!("{key}: CurrentTask {} is outside of Tasks", order.current_task));
    }
    let phases = order.pipeline_phase.iter();
    found.extend(
        phases.filter_map(|record| word_problem(key, "Phase", &record.phase, PipelinePhaseRecord::PHASES)),
    );
    found
}

/// Returns what is wrong with a task list that must leave the boot environment alone (drp-api.md 7A.4).
pub(crate) fn task_problems(key: &str, tasks: &[String]) -> Vec<String> {
    let problem = |entry: &String| {
        if entry.starts_with("bootenv:") {
            return Some(format!("{key}: Invalid Task: {entry}: the boot environment must stay"));
        }
        entry_problem(key, entry, false)
    };
    tasks.iter().filter_map(problem).collect()
}

/// A work order that is over needs nothing any more, lest it keep what it was made of for ever. Its machine and its batch may go;
/// a batch finds its orders.
fn references(order: &WorkOrder) -> Vec<Reference> {
    let key = order.uuid.as_str();
    let batch = order.header.meta.get(WorkOrder::BATCH).map_or("", String::as_str);
    let mut needed = Needs::found_from(key).one("batches", "Batch", batch).done();
    if order.is_final() {
        return needed;
    }
    needed.extend(Needs::hard(key).usable("blueprints", "Blueprint", &order.blueprint).done());
    let others = Needs::soft(key).list("profiles", "Profile", &order.profiles).tasks(&order.tasks);
    needed.extend(others.done());
    needed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Missing, object::round_trip};

    const UUID: &str = "5b1d9f3e-7a2c-4c8d-b6e4-0f1a2b3c4d5e";

    #[test]
    fn work_order_keeps_all_members() {
        let members = json!({
            "Uuid": UUID, "Machine": UUID, "Filter": "Pool=Eq(spare)", "Blueprint": "wipe-disks",
            "State": "running", "Status": "second disk", "Mode": "workflow", "OnFailure": "retry",
            "Runnable": false, "SchedulingHold": true, "Context": "shelf", "Stage": "burn-in",
            "Tasks": ["stage:burn-in", "wipe"], "CurrentTask": 1, "CurrentJob": UUID, "JobState": "running",
            "JobExitState": "", "JobResultErrors": ["slow"], "RetryTaskAttempt": 2,
            "TaskErrorStacks": [{"CurrentTask": 0, "TaskList": ["wipe"], "CurrentJob": ""}],
            "Params": {"wipe/passes": null}, "Profiles": ["careful"],
            "PipelinePhase": [{"Phase": "hardware", "Context": "shelf", "StartTime": "2031-01-01T00:00:00Z",
                               "EndTime": "0001-01-01T00:00:00Z"}],
            "Predecessor": UUID, "Archived": false, "CreateTime": "2031-01-01T00:00:00Z",
            "StartTime": "2031-01-01T00:00:01Z", "EndTime": "0001-01-01T00:00:00Z",
        });
        round_trip("work_orders", members);
    }

    #[test]
    fn new_work_order_is_created_runs_tasks_stops_on_failure_and_may_be_picked() {
        let json = (KIND.decode)(json!({"State": "", "Mode": null})).unwrap().to_json();
        let words = ["State", "Mode", "OnFailure", "Runnable", "CurrentTask"].map(|name| json[name].clone());
        assert_eq!(words, [json!("created"), json!("task"), json!("stop"), json!(true), json!(-1)]);
    }

    #[test]
    fn work_order_needs_a_blueprint_and_known_words_and_leaves_the_boot_environment_alone() {
        let order = WorkOrder {
            uuid: "x".into(),
            machine: "m".into(),
            state: "lost".into(),
            mode: "both".into(),
            on_failure: "cry".into(),
            tasks: vec!["bootenv:local".into()],
            current_task: 2,
            pipeline_phase: vec![PipelinePhaseRecord { phase: "dawn".into(), ..Default::default() }],
            ..WorkOrder::default()
        };
        assert_eq!(
            problems(&order),
            [
                "x: Invalid Uuid `x`",
                "x: Invalid Blueprint ``",
                "x: Invalid Machine `m`",
                "x: Invalid State `lost`",
                "x: Invalid Mode `both`",
                "x: Invalid OnFailure `cry`",
                "x: Invalid Task: bootenv:local: the boot environment must stay",
                "x: CurrentTask 2 is outside of Tasks",
                "x: Invalid Phase `dawn`",
            ]
        );
    }

    #[test]
    fn work_order_holds_its_blueprint_until_it_is_over() {
        let order = |state: &str| WorkOrder {
            blueprint: "wipe-disks".into(),
            profiles: vec!["careful".into()],
            state: state.into(),
            ..WorkOrder::default()
        };
        let needed = references(&order("running"));
        assert_eq!(
            (needed.len(), needed[0].missing, needed[1].missing),
            (2, Missing::Refused, Missing::Unavailable)
        );
        assert!(["failed", "finished", "cancelled"].iter().all(|state| references(&order(state)).is_empty()));
        let mut member = order("finished");
        member.header.meta.insert(WorkOrder::BATCH.into(), UUID.into());
        let known = references(&member);
        assert_eq!(
            (known.len(), known[0].prefix, known[0].key.as_str(), known[0].missing),
            (1, "batches", UUID, Missing::Allowed),
            "its batch finds it for ever"
        );
    }
}
