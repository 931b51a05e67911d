//! Whether the machine is done, from the objects that the endpoint shows; and how they are shown to a person.

use serde_json::Value;

use crate::report::table;

/// The longest value in the table of the inventory.
const MAX_VALUE: usize = 100;

/// How far the machine is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not done; what is still open.
    Waiting(String),
    /// The workflow is complete and every job finished.
    Complete,
    /// It will not get there; why, and the job whose log says more.
    Failed(String, Option<String>),
}

/// Judges the machines and jobs of an endpoint that has only those of the demo.
pub(super) fn judge(machines: &[Value], jobs: &[Value]) -> Verdict {
    if let Some(job) = jobs.iter().find(|job| text(job, "State") == "failed") {
        let reason = format!("job `{}` of stage `{}` failed", text(job, "Task"), text(job, "Stage"));
        return Verdict::Failed(reason, Some(text(job, "Uuid").to_owned()));
    }
    let Some(machine) = machines.first() else {
        return Verdict::Waiting("no machine has shown itself to the endpoint".to_owned());
    };
    if machines.len() > 1 {
        return Verdict::Failed(format!("one machine became {}", machines.len()), None);
    }
    if machine.get("WorkflowComplete") != Some(&Value::Bool(true)) {
        let (workflow, stage) = (text(machine, "Workflow"), text(machine, "Stage"));
        return Verdict::Waiting(format!("the machine is in workflow `{workflow}`, stage `{stage}`"));
    }
    match jobs.iter().find(|job| text(job, "State") != "finished") {
        Some(job) => Verdict::Waiting(format!("job `{}` is {}", text(job, "Task"), text(job, "State"))),
        None if jobs.is_empty() => {
            Verdict::Failed("the workflow is complete without any job".to_owned(), None)
        }
        None => Verdict::Complete,
    }
}

/// Returns the parameters that the machine's tasks have written, one a line.
pub(super) fn inventory(machine: &Value) -> String {
    let mut rows = vec![vec!["param".to_owned(), "value".to_owned()]];
    let params = machine.get("Params").and_then(Value::as_object);
    for (name, value) in params.into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let short: String = value.chars().take(MAX_VALUE).collect();
        let dots = if short.len() < value.len() { "..." } else { "" };
        rows.push(vec![name.clone(), format!("{short}{dots}")]);
    }
    table(&rows)
}

/// Returns the jobs in the order of their start.
pub(super) fn job_list(jobs: &[Value]) -> String {
    let columns = ["Stage", "Task", "State", "StartTime", "EndTime"];
    let mut jobs: Vec<&Value> = jobs.iter().collect();
    jobs.sort_by_key(|job| text(job, "StartTime"));
    let mut rows = vec![columns.map(str::to_owned).to_vec()];
    rows.extend(jobs.iter().map(|job| columns.map(|column| text(job, column).to_owned()).to_vec()));
    table(&rows)
}

/// Returns the string `field` of `object`, empty when there is none.
pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn machine(complete: bool) -> Value {
        json!({ "Workflow": "discover", "Stage": "inventory", "WorkflowComplete": complete })
    }

    fn job(state: &str) -> Value {
        json!({ "Uuid": "j1", "Task": "greet", "Stage": "hello", "State": state })
    }

    #[test]
    fn machine_is_done_when_its_workflow_is_complete_and_every_job_finished() {
        assert_eq!(judge(&[machine(true)], &[job("finished"), job("finished")]), Verdict::Complete);
        assert!(matches!(judge(&[machine(true)], &[job("finished"), job("running")]), Verdict::Waiting(_)));
        assert!(matches!(judge(&[machine(false)], &[job("finished")]), Verdict::Waiting(_)));
        assert!(matches!(judge(&[], &[]), Verdict::Waiting(_)));
    }

    #[test]
    fn failed_job_no_job_at_all_and_a_second_machine_are_failures() {
        let failed = judge(&[machine(false)], &[job("finished"), job("failed")]);
        let reason = "job `greet` of stage `hello` failed".to_owned();
        assert_eq!(failed, Verdict::Failed(reason, Some("j1".to_owned())));
        assert!(matches!(judge(&[machine(true)], &[]), Verdict::Failed(..)));
        assert!(matches!(judge(&[machine(true), machine(true)], &[job("finished")]), Verdict::Failed(..)));
    }

    #[test]
    fn long_values_of_the_inventory_are_cut() {
        let machine = json!({ "Params": { "cpus": 2, "vendor": "x".repeat(200) } });
        let text = inventory(&machine);
        assert!(text.contains("cpus    2\n"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 8 + MAX_VALUE + 3), "{text}");
    }

    #[test]
    fn jobs_are_listed_in_the_order_of_their_start() {
        let jobs = [
            json!({ "Task": "second", "State": "finished", "StartTime": "2026-01-01T00:00:02Z" }),
            json!({ "Task": "first", "State": "finished", "StartTime": "2026-01-01T00:00:01Z" }),
        ];
        let text = job_list(&jobs);
        assert!(text.find("first").unwrap() < text.find("second").unwrap());
    }
}
