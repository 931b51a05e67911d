//! Tasks: what a job runs (drp-api.md 7.4).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Claim, Header, Kind, Missing, NameGrammar, Reference, TemplateInfo, name_problem,
    names::param_problems,
    object::{decode, object},
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
    /// Roles whose claims the token of a job of this task also has.
    pub extra_roles: Vec<String>,
    /// Claims that the token of a job of this task also has.
    pub extra_claims: Vec<Claim>,
    /// Seconds that such a token lives; 0 means 720 hours and -1 three years.
    pub extra_duration: i64,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind = Kind {
    prefix: "tasks",
    key: "Name",
    noun: "task",
    unique: &[],
    hidden: &[],
    read_only: &[],
    opaque: &[],
    decode: decode::<Task>,
    schema: |generator| generator.subschema_for::<Task>(),
    columns: &["Name", "Component", "Description", "Bundle"],
};

object!(Task, KIND, key = |task| task.name.clone(), problems = problems, references = references);

fn problems(task: &Task) -> Vec<String> {
    let key = task.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, &task.name).into_iter().collect();
    found.extend(entry_problems(key, &task.templates, false));
    found.extend(param_problems(key, &task.required_params, &task.optional_params));
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
    }
    found
}

fn references(task: &Task) -> Vec<Reference> {
    let mut needed = entry_references(&task.name, &task.templates);
    needed.extend(task.prerequisites.iter().map(|name| Reference {
        prefix: "tasks",
        key: name.clone(),
        missing: Missing::Unavailable,
        message: format!("{}: Prerequisite task {name} does not exist", task.name),
        unavailable: None,
    }));
    needed
}
