//! What must have come of a scenario, and what is told where it has not.

use std::collections::BTreeMap;

use formwork_api::ApiError;
use formwork_server::Step;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What must have come of a scenario. What is left out is not looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Expect {
    /// The same for single machines by their names, beside what all must have come to.
    machines: BTreeMap<String, Expect>,
    /// The machine's task list.
    tasks: Option<Vec<String>>,
    /// The entries that were gone through, in order.
    steps: Option<Vec<String>>,
    /// Params as the machine sees them; null means that there is none.
    params: BTreeMap<String, Value>,
    /// Words that are in the logs, in this order.
    log: Vec<String>,
    /// Words that are in the reasons of failed jobs, of a refused action or of refused events.
    errors: Vec<String>,
    /// Whether the workflow is complete; true unless errors are expected or an action is asked for.
    complete: Option<bool>,
    /// The machine's members, such as `Stage`.
    machine: Map<String, Value>,
    /// The result of the action.
    result: Option<Value>,
}

/// What a scenario asks a machine to come to the end of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// Its tasks, whether in a stage or because of what the machine itself says.
    Tasks,
    /// A workflow, which is complete at its end.
    Workflow,
    /// An action, whatever its tasks are.
    Action,
}

/// What came of one machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) uuid: String,
    /// The machine as it is in the end.
    pub(super) machine: Value,
    /// Params as it sees them, those that something is expected of.
    pub(super) params: BTreeMap<String, Option<Value>>,
    pub(super) steps: Vec<Step>,
    /// The result of the action, unless it was refused.
    pub(super) result: Option<Value>,
    /// Why the action or events were refused: what, and the words.
    refusals: Vec<(String, String)>,
}

impl Found {
    /// Begins with a machine that was made.
    pub(super) fn new(machine: Value) -> Self {
        let text = |name| machine.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { name: text("Name"), uuid: text("Uuid"), machine, ..Self::default() }
    }

    /// Notes that something was refused.
    pub(super) fn refuse(&mut self, what: &str, error: &ApiError) {
        self.refusals.push((what.to_owned(), error.messages.join("; ")));
    }

    /// Returns the logs of its steps.
    pub(super) fn log(&self) -> String {
        self.steps.iter().map(|step| step.log.as_str()).collect()
    }

    /// Returns all that was wrong, a line each.
    fn errors(&self) -> String {
        let failed = self.steps.iter().flat_map(|step| step.errors.iter().cloned());
        let refused = self.refusals.iter().map(|(_, words)| words.clone());
        failed.chain(refused).collect::<Vec<_>>().join("\n")
    }
}

impl Expect {
    /// Returns a machine that something is expected of and that is none of these, or has machines of its own.
    pub(super) fn strangers<'a>(&self, names: impl Iterator<Item = &'a str>) -> Option<&str> {
        let names: Vec<&str> = names.collect();
        let strange =
            |(name, own): &(&String, &Self)| !names.contains(&name.as_str()) || !own.machines.is_empty();
        self.machines.iter().find(strange).map(|(name, _)| name.as_str())
    }

    /// Returns what is expected of one machine: what all must have come to, and its own, which goes before. Words of the
    /// log are its own only, as those of all are looked for in all logs together.
    pub(super) fn of(&self, name: &str) -> Self {
        let own = self.machines.get(name).cloned().unwrap_or_default();
        let joined = |all: &Map<String, Value>, own: Map<String, Value>| {
            all.clone().into_iter().chain(own).collect::<Map<_, _>>()
        };
        Self {
            machines: BTreeMap::new(),
            tasks: own.tasks.or_else(|| self.tasks.clone()),
            steps: own.steps.or_else(|| self.steps.clone()),
            params: self.params.clone().into_iter().chain(own.params).collect(),
            log: own.log,
            errors: self.errors.iter().cloned().chain(own.errors).collect(),
            complete: own.complete.or(self.complete),
            machine: joined(&self.machine, own.machine),
            result: own.result.or_else(|| self.result.clone()),
        }
    }

    /// Returns the names of the params that something is expected of.
    pub(super) fn params(&self) -> impl Iterator<Item = &String> {
        self.params.keys()
    }

    /// Returns the words that must be in the logs.
    pub(super) fn log(&self) -> &[String] {
        &self.log
    }

    /// Tells what of one machine is not as expected.
    pub(super) fn faults(&self, found: &Found, ends: Ends) -> Vec<String> {
        let mut faults = Vec::new();
        let list = found.machine.get("Tasks").cloned().unwrap_or_default();
        if let Some(tasks) = self.tasks.as_ref().filter(|tasks| json!(tasks) != list) {
            faults.push(format!("tasks: expected {}, found {list}", json!(tasks)));
        }
        let steps: Vec<&str> = found.steps.iter().map(|step| step.task.as_str()).collect();
        if let Some(expected) = self.steps.as_ref().filter(|expected| **expected != steps) {
            faults.push(format!("steps: expected {}, found {}", json!(expected), json!(steps)));
        }
        for (name, expected) in &self.params {
            let found = found.params.get(name).cloned().flatten().unwrap_or_default();
            if found != *expected {
                faults.push(format!("param {name}: expected {expected}, found {found}"));
            }
        }
        for (name, expected) in &self.machine {
            let found = found.machine.get(name).cloned().unwrap_or_default();
            if found != *expected {
                faults.push(format!("machine {name}: expected {expected}, found {found}"));
            }
        }
        if let Some(expected) = self.result.as_ref().filter(|_| found.result != self.result) {
            let found = found.result.as_ref().map_or_else(|| String::from("none"), Value::to_string);
            faults.push(format!("result: expected {expected}, found {found}"));
        }
        faults.extend(log_fault(&self.log, &found.log()));
        faults.extend(self.error_faults(found));
        faults.extend(self.ending_fault(found, ends));
        faults
    }

    fn error_faults(&self, found: &Found) -> Vec<String> {
        if self.errors.is_empty() {
            return found.refusals.iter().map(|(what, words)| format!("{what}: {words}")).collect();
        }
        let errors = found.errors();
        let missing = self.errors.iter().filter(|expected| !errors.contains(expected.as_str()));
        missing.map(|expected| format!("errors: `{expected}` is not in `{errors}`")).collect()
    }

    fn ending_fault(&self, found: &Found, ends: Ends) -> Option<String> {
        let errors = found.errors();
        let complete = found.machine.get("WorkflowComplete").and_then(Value::as_bool).unwrap_or(false);
        let expected = self.complete.unwrap_or(self.errors.is_empty());
        let failed = found.steps.iter().any(|step| step.state == "failed");
        if (ends == Ends::Workflow || self.complete.is_some()) && complete != expected {
            let words = format!("complete: expected {expected}, found {complete}\n{errors}");
            Some(words.trim_end().to_owned())
        } else if failed && self.errors.is_empty() && expected && ends != Ends::Action {
            Some(format!("a task failed: {errors}"))
        } else {
            None
        }
    }
}

/// Finds the first words that are not in a log, after those before them.
pub(super) fn log_fault(expected: &[String], log: &str) -> Option<String> {
    let mut rest = log;
    for words in expected {
        match rest.split_once(words.as_str()) {
            Some((_, after)) => rest = after,
            None => return Some(format!("log: `{words}` is not in the log, or not in this order:\n{log}")),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(text: &str) -> Expect {
        serde_saphyr::from_str(text).unwrap()
    }

    /// A machine that came through two of its three tasks.
    fn found() -> Found {
        let step = |task: &str, state: &str, errors: &[&str]| Step {
            time: formwork_model::Timestamp::default(),
            stage: String::from("st"),
            task: task.to_owned(),
            context: String::new(),
            state: state.to_owned(),
            exit_state: String::from("complete"),
            errors: errors.iter().map(|error| (*error).to_owned()).collect(),
            does: Vec::new(),
            log: format!("log of {task}\n"),
        };
        let machine = json!({"Name": "m1", "Uuid": "u1", "Stage": "st", "Tasks": ["a", "b", "c"],
                             "WorkflowComplete": false});
        Found {
            params: [(String::from("p"), Some(json!(1))), (String::from("q"), None)].into(),
            steps: vec![step("a", "finished", &[]), step("b", "failed", &["b is broken"])],
            ..Found::new(machine)
        }
    }

    fn faults(text: &str, ends: Ends) -> Vec<String> {
        expect(text).of("m1").faults(&found(), ends)
    }

    #[test]
    fn each_word_that_is_not_met_is_told_with_what_was_expected_and_found() {
        let failed = "errors: [b is broken]";
        for (word, fault) in [
            ("tasks: [a]", r#"tasks: expected ["a"], found ["a","b","c"]"#),
            ("steps: [b, a]", r#"steps: expected ["b","a"], found ["a","b"]"#),
            ("params: {p: 2}", "param p: expected 2, found 1"),
            ("params: {p: null}", "param p: expected null, found 1"),
            ("params: {q: x}", r#"param q: expected "x", found null"#),
            ("machine: {Stage: other}", r#"machine Stage: expected "other", found "st""#),
            ("machine: {Nothing: 1}", "machine Nothing: expected 1, found null"),
            ("result: done", r#"result: expected "done", found none"#),
            ("complete: true", "complete: expected true, found false\nb is broken"),
        ] {
            assert_eq!(faults(&format!("{word}\n{failed}\n"), Ends::Tasks), [fault], "{word}");
        }
        assert_eq!(
            faults("errors: [is broken, lost]", Ends::Tasks),
            ["errors: `lost` is not in `b is broken`"]
        );
        let words = expect("log: [of b, of a]");
        assert_eq!(
            log_fault(words.log(), &found().log()).unwrap(),
            "log: `of a` is not in the log, or not in this order:\nlog of a\nlog of b\n"
        );
    }

    #[test]
    fn words_that_are_met_make_no_fault() {
        let met = "{tasks: [a, b, c], steps: [a, b], params: {p: 1, q: null}, machine: {Stage: st}, \
                   errors: [broken], complete: false}";
        for ends in [Ends::Tasks, Ends::Workflow, Ends::Action] {
            assert_eq!(faults(met, ends), [""; 0]);
        }
        assert_eq!(log_fault(expect("log: [of a, of b]").log(), &found().log()), None);
    }

    #[test]
    fn failed_task_and_incomplete_workflow_are_faults_though_nothing_is_expected() {
        assert_eq!(faults("{}", Ends::Tasks), ["a task failed: b is broken"]);
        assert_eq!(faults("{}", Ends::Workflow), ["complete: expected true, found false\nb is broken"]);
        assert_eq!(faults("{}", Ends::Action), [""; 0]);
        assert_eq!(faults("complete: false", Ends::Workflow), [""; 0]);
    }

    #[test]
    fn refused_action_is_a_fault_unless_its_words_are_expected() {
        let mut refused = Found::new(json!({"Name": "m1"}));
        refused.refuse("action greet", &ApiError::new(422, "POST", "it is too late"));
        let faults = |text: &str| expect(text).faults(&refused, Ends::Action);
        assert_eq!(faults("{}"), ["action greet: it is too late"]);
        assert_eq!(faults("errors: [too late]"), [""; 0]);
        assert_eq!(faults("errors: [too early]"), ["errors: `too early` is not in `it is too late`"]);
        assert_eq!(faults("{errors: [late], result: 1}"), ["result: expected 1, found none"]);
        let acted = Found { result: Some(json!(2)), ..Found::default() };
        let faults = |text: &str| expect(text).faults(&acted, Ends::Action);
        assert_eq!(faults("result: 1"), ["result: expected 1, found 2"]);
        assert_eq!(faults("errors: [late]"), ["errors: `late` is not in ``"]);
    }

    #[test]
    fn words_of_one_machine_go_before_those_of_all() {
        let text = "{tasks: [x], params: {p: 1, q: 2}, errors: [broken], \
                    machines: {m1: {tasks: [a, b, c], params: {q: null}, log: [of c]}, m3: {}}}";
        assert_eq!(
            faults(text, Ends::Tasks),
            ["log: `of c` is not in the log, or not in this order:\nlog of a\nlog of b\n"]
        );
        let other = Found { name: String::from("m2"), ..found() };
        assert_eq!(
            expect(text).of("m2").faults(&other, Ends::Tasks),
            [r#"tasks: expected ["x"], found ["a","b","c"]"#, "param q: expected 2, found null"]
        );
        assert_eq!(expect(text).strangers(["m1", "m2"].into_iter()), Some("m3"));
        assert_eq!(expect(text).strangers(["m1", "m3"].into_iter()), None);
        let nested = expect("{machines: {m1: {machines: {m2: {}}}}}");
        assert_eq!(nested.strangers(["m1", "m2"].into_iter()), Some("m1"));
    }
}
