//! Stages: a boot environment and the tasks that run in it (drp-api.md 7.3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, Missing, NameGrammar, Reference, TemplateInfo, Values, name_problem,
    names::param_problems,
    object::{decode, object},
    template::{entry_problems, entry_references},
};

/// A step of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Stage {
    /// The key.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// More for people.
    pub documentation: String,
    /// The boot environment that the stage needs; empty for any.
    pub boot_env: String,
    /// Task names and the entries `bootenv:`, `context:`, `chroot:` and `action:`.
    pub tasks: Vec<String>,
    /// Profiles that take part in parameter look-up while a machine is in the stage.
    pub profiles: Vec<String>,
    /// Parameters of the stage.
    pub params: Values,
    /// Files that are served while a machine is in the stage.
    pub templates: Vec<TemplateInfo>,
    /// Params that a machine must resolve.
    pub required_params: Vec<String>,
    /// Params that the stage also looks at; for people.
    pub optional_params: Vec<String>,
    /// Params that the stage's tasks write; for people.
    pub output_params: Vec<String>,
    /// Kept for old content; not acted upon.
    pub reboot: bool,
    /// Kept for old clients; always true.
    pub runner_wait: bool,
    /// True when an answer left members out.
    pub partial: bool,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            documentation: String::new(),
            boot_env: String::new(),
            tasks: Vec::new(),
            profiles: Vec::new(),
            params: Values::new(),
            templates: Vec::new(),
            required_params: Vec::new(),
            optional_params: Vec::new(),
            output_params: Vec::new(),
            reboot: false,
            runner_wait: true,
            partial: false,
            header: Header::default(),
        }
    }
}

pub(crate) static KIND: Kind = Kind {
    prefix: "stages",
    key: "Name",
    noun: "stage",
    unique: &[],
    hidden: &[],
    read_only: &[],
    opaque: &["Params"],
    decode: decode::<Stage>,
    schema: |generator| generator.subschema_for::<Stage>(),
    columns: &["Name", "BootEnv", "Tasks", "Description", "Bundle"],
};

object!(
    Stage,
    KIND,
    key = |stage| stage.name.clone(),
    params = params,
    normalise = normalise,
    problems = problems,
    references = references
);

fn normalise(stage: &mut Stage) {
    stage.runner_wait = true;
    stage.partial = false;
}

fn problems(stage: &Stage) -> Vec<String> {
    let key = stage.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, &stage.name).into_iter().collect();
    found.extend(entry_problems(key, &stage.templates, true));
    found.extend(param_problems(key, &stage.required_params, &stage.optional_params));
    if !stage.boot_env.is_empty() && !NameGrammar::Name.accepts(&stage.boot_env) {
        found.push(format!("{key}: Invalid BootEnv `{}`", stage.boot_env));
    }
    for profile in stage.profiles.iter().filter(|profile| !NameGrammar::Name.accepts(profile)) {
        found.push(format!("{key}: Invalid Profile `{profile}`"));
    }
    found.extend(stage.tasks.iter().filter_map(|entry| entry_problem(key, entry, true)));
    found
}

/// Returns what is wrong with one entry of a task list. In a stage an action needs plugin and command.
pub(crate) fn entry_problem(key: &str, entry: &str, in_stage: bool) -> Option<String> {
    let named = |name: &str| NameGrammar::Name.accepts(name);
    match entry.split_once(':') {
        None => (!named(entry)).then(|| format!("{key}: Invalid Task `{entry}`")),
        Some(("stage", name)) => (!named(name)).then(|| format!("{key}: Invalid Stage `{name}`")),
        Some(("bootenv", name)) => (!named(name)).then(|| format!("{key}: Invalid BootEnv `{name}`")),
        Some(("context", name)) => {
            (!name.is_empty() && !named(name)).then(|| format!("{key}: Invalid Context `{name}`"))
        }
        Some(("chroot", _)) => None,
        Some(("action", action)) => {
            let parts: Vec<&str> = action.split(':').collect();
            let right = parts.len() == 2 || (parts.len() == 1 && !in_stage);
            if !right {
                return Some(format!("{key}: Invalid action specifier {entry}"));
            }
            parts.iter().find(|part| !named(part)).map(|part| format!("{key}: Invalid Action `{part}`"))
        }
        Some(_) => Some(format!("{key}: Invalid Task: {entry}")),
    }
}

fn references(stage: &Stage) -> Vec<Reference> {
    let key = stage.name.as_str();
    let mut needed = entry_references(key, &stage.templates);
    let soft = |prefix, name: &str, message| Reference {
        prefix,
        key: name.to_owned(),
        missing: Missing::Unavailable,
        message,
        unavailable: None,
    };
    if !stage.boot_env.is_empty() {
        let mut reference =
            soft("bootenvs", &stage.boot_env, format!("{key}: BootEnv {} does not exist", stage.boot_env));
        reference.unavailable = Some(format!("{key}: BootEnv {} is not available", stage.boot_env));
        needed.push(reference);
    }
    for (index, name) in stage.profiles.iter().enumerate() {
        needed.push(soft("profiles", name, format!("{key}: Profile {name} (at {index}) does not exist")));
    }
    for (index, entry) in stage.tasks.iter().enumerate() {
        let (prefix, name) = match entry.split_once(':') {
            None => ("tasks", entry.as_str()),
            Some(("bootenv", name)) => ("bootenvs", name),
            Some(("stage", name)) => ("stages", name),
            Some(_) => continue,
        };
        let noun = match prefix {
            "tasks" => "Task",
            "bootenvs" => "BootEnv",
            _ => "Stage",
        };
        needed.push(soft(prefix, name, format!("{key}: {noun} {name} (at {index}) does not exist")));
    }
    needed
}
