//! Tasks: what a job runs (drp-api.md 7.4).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Claim, Header, Kind, NameGrammar, Objects, Reference, TemplateInfo, name_problem,
    names::{list_problems, param_problems},
    object::object,
    reference::{Needs, circle_problem},
    template::{entry_problems, entry_references},
};

/// Operating systems that a template entry of a task may name, sorted.
const SYSTEMS: &[&str] = &["darwin", "esxi", "freebsd", "linux", "netbsd", "openbsd", "solaris", "windows"];

/// A step of a stage: scripts and files, or a component.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Task {
    /// The key.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// More for people, in Markdown or reStructuredText.
    pub documentation: String,
    /// Files to write and scripts to execute, in order.
    pub templates: Vec<TemplateInfo>,
    /// The component that runs instead of scripts, as `PACK/COMPONENT`. Absent for tasks of scripts.
    /// An extension of ours: clients that do not know it ignore it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub component: String,
    /// Params that a machine must resolve before the task is rendered.
    pub required_params: Vec<String>,
    /// Params that the task also looks at; for people.
    pub optional_params: Vec<String>,
    /// Params that the task writes; for people.
    pub output_params: Vec<String>,
    /// Tasks that go before this one in a machine's list.
    pub prerequisites: Vec<String>,
    /// Roles whose claims the token of a job of this task also has, on any machine; see `extra_claims`.
    pub extra_roles: Vec<String>,
    /// Claims that the token of a job of this task also has. Every machine may have the task run on it, so that whoever
    /// controls a machine can use them while such a job lasts. Whoever writes the task must have them.
    pub extra_claims: Vec<Claim>,
    /// Seconds that such a token lives; 0 means 720 hours and -1 three years.
    pub extra_duration: i64,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind = Kind {
    columns: &["Name", "Component", "Description", "Bundle"],
    ..Kind::of::<Task>("tasks", "Name", "task")
};

object!(
    Task,
    KIND,
    key = |task| task.name.clone(),
    problems = problems,
    references = references,
    conflicts = conflicts
);

fn problems(task: &Task) -> Vec<String> {
    let key = task.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, &task.name).into_iter().collect();
    found.extend(entry_problems(key, &task.templates, false));
    found.extend(param_problems(key, &task.required_params, &task.optional_params));
    found.extend(list_problems(key, "Prerequisite", &task.prerequisites));
    found.extend(list_problems(key, "Role", &task.extra_roles));
    found.extend(system_problems(task));
    if !task.component.is_empty() && !task.templates.is_empty() {
        found.push(format!("{key}: a task has either a Component or Templates, not both"));
    }
    if !task.component.is_empty() && task.component.split('/').filter(|part| !part.is_empty()).count() != 2 {
        found.push(format!("{key}: Component `{}` is not of the form PACK/COMPONENT", task.component));
    }
    found
}

fn system_problems(task: &Task) -> Vec<String> {
    let key = task.name.as_str();
    let mut found = Vec::new();
    for (index, entry) in task.templates.iter().enumerate() {
        for word in entry.meta.get("OS").map(String::as_str).unwrap_or_default().split(',') {
            let word = word.trim().to_lowercase();
            if !word.is_empty() && !SYSTEMS.contains(&word.as_str()) {
                found.push(format!("{key}: Template[{index}]: Invalid OS value {word}"));
                found.push(format!("{key}: Valid values are: {}", SYSTEMS.join(", ")));
            }
        }
    }
    let with = task.templates.iter().filter(|entry| entry.meta.contains_key("OS")).count();
    if with != 0 && with != task.templates.len() {
        found.push(format!("{key}: Cannot mix templates with OS metadata and templates without OS metadata"));
        for (index, entry) in task.templates.iter().enumerate() {
            let systems = entry.meta.get("OS").map_or("none", String::as_str);
            found.push(format!("{key}: Template[{index}] {}: OS {systems}", entry.name));
        }
    }
    found
}

fn references(task: &Task) -> Vec<Reference> {
    let mut needed = entry_references(&task.name, &task.templates);
    let needs = task.prerequisites.iter().fold(Needs::soft(&task.name), |needs, name| {
        let message = format!("{}: Prerequisite task {name} does not exist", task.name);
        needs.with(KIND.prefix, name, message, None)
    });
    needed.extend(needs.done());
    needed
}

/// A task that comes before itself could never be run (drp-api.md 7.4).
fn conflicts(task: &Task, others: &dyn Objects) -> Vec<String> {
    circle_problem(others, task, "Task", |task| task.prerequisites.clone()).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::{Few, round_trip};

    #[test]
    fn task_keeps_all_members() {
        let members = json!({
            "Name": "stress", "Description": "hot", "Documentation": "Loud.", "Templates": [{"Name": "one", "Path": "/tmp/one", "ID": "", "Contents": "text", "Link": "", "Meta": {"OS": "linux"}, "StartDelimiter": "<%", "EndDelimiter": "%>"}],
            "RequiredParams": ["a/b"], "OptionalParams": ["c/d"], "OutputParams": ["e/f"], "Prerequisites": ["probe"],
            "ExtraRoles": ["reader"], "ExtraClaims": [{"scope": "jobs", "action": "get", "specific": "*"}],
            "ExtraDuration": -1,
        });
        assert_eq!(round_trip("tasks", members).references().len(), 1);
    }

    #[test]
    fn either_all_templates_of_a_task_name_systems_or_none_does() {
        let entry = |name: &str, os: Option<&str>| TemplateInfo {
            name: name.into(),
            contents: "true".into(),
            meta: os.map(|os| ("OS".to_owned(), os.to_owned())).into_iter().collect(),
            ..TemplateInfo::default()
        };
        let task = |templates| Task { name: "t1".into(), templates, ..Task::default() };
        assert!(problems(&task(vec![entry("a", Some("Linux, esxi"))])).is_empty());
        let wanted = [
            "t1: Template[0]: Invalid OS value beos",
            "t1: Valid values are: darwin, esxi, freebsd, linux, netbsd, openbsd, solaris, windows",
            "t1: Cannot mix templates with OS metadata and templates without OS metadata",
            "t1: Template[0] a: OS beos",
            "t1: Template[1] b: OS none",
        ];
        assert_eq!(problems(&task(vec![entry("a", Some("beos")), entry("b", None)])), wanted);
    }

    #[test]
    fn task_does_not_come_before_itself() {
        let task = |name: &str, before: &str| Task {
            name: name.into(),
            prerequisites: vec![before.to_owned()],
            ..Task::default()
        };
        let few = Few(vec![std::sync::Arc::new(task("wash", "dry"))]);
        assert_eq!(conflicts(&task("dry", "wash"), &few), ["dry: Task dry contains itself"]);
        assert!(conflicts(&task("iron", "wash"), &few).is_empty());
    }
}
