//! Stages: a boot environment and the tasks that run in it (drp-api.md 7.3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, NameGrammar, Params, Reference, TemplateInfo, name_problem,
    names::{list_problems, other_problem, param_problems},
    object::object,
    reference::Needs,
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
    pub params: Params,
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
            params: Params::new(),
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
    opaque: &["Params"],
    columns: &["Name", "BootEnv", "Tasks", "Description", "Bundle"],
    has_partial: true,
    ..Kind::of::<Stage>("stages", "Name", "stage")
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
    found.extend(other_problem(key, "BootEnv", &stage.boot_env));
    found.extend(list_problems(key, "Profile", &stage.profiles));
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
            let broken = parts.iter().rev().enumerate().find(|(_, part)| !named(part));
            broken.map(|(place, part)| {
                format!("{key}: Invalid {} `{part}`", if place == 0 { "Action" } else { "Plugin" })
            })
        }
        Some(_) => Some(format!("{key}: Invalid Task: {entry}")),
    }
}

fn references(stage: &Stage) -> Vec<Reference> {
    let key = stage.name.as_str();
    let mut needed = entry_references(key, &stage.templates);
    let others = Needs::soft(key)
        .usable("bootenvs", "BootEnv", &stage.boot_env)
        .list("profiles", "Profile", &stage.profiles)
        .tasks(&stage.tasks);
    needed.extend(others.done());
    needed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn stage_keeps_all_members_and_its_runner_always_waits() {
        let members = json!({
            "Name": "burn-in", "Description": "hot", "Documentation": "Loud.", "BootEnv": "local",
            "Tasks": ["stress", "action:ipmi:powercycle", "chroot:/mnt", "bootenv:local", "stage:none", "context:shelf"],
            "Profiles": ["careful"], "Params": {"a": null}, "Templates": [{"Name": "one", "Path": "/tmp/one", "ID": "", "Contents": "text", "Link": "", "Meta": {"OS": "linux"}, "StartDelimiter": "<%", "EndDelimiter": "%>"}], "RequiredParams": ["a/b"],
            "OptionalParams": ["c/d"], "OutputParams": ["e/f"], "Reboot": true, "RunnerWait": true, "Partial": false,
        });
        assert_eq!(round_trip("stages", members).references().len(), 5);
        assert_eq!((KIND.decode)(json!({"RunnerWait": false})).unwrap().to_json()["RunnerWait"], true);
    }

    #[test]
    fn action_of_a_stage_needs_plugin_and_command() {
        assert_eq!(
            entry_problem("s1", "action:run", true).unwrap(),
            "s1: Invalid action specifier action:run"
        );
        assert_eq!(entry_problem("m1", "action:run", false), None);
        assert_eq!(entry_problem("s1", "action:1:run", true).unwrap(), "s1: Invalid Plugin `1`");
        assert_eq!(entry_problem("s1", "action:ipmi:1", true).unwrap(), "s1: Invalid Action `1`");
        assert_eq!(entry_problem("s1", "sing:song", true).unwrap(), "s1: Invalid Task: sing:song");
    }

    #[test]
    fn what_a_stage_names_may_be_missing_but_its_boot_environment_must_be_usable() {
        let stage = Stage {
            name: "s1".into(),
            boot_env: "plum".into(),
            profiles: vec!["p1".into()],
            tasks: vec!["t1".into()],
            ..Stage::default()
        };
        let needed = references(&stage);
        let messages: Vec<_> = needed.iter().map(|reference| reference.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "s1: BootEnv plum does not exist",
                "s1: Profile p1 (at 0) does not exist",
                "s1: Task t1 (at 0) does not exist",
            ]
        );
        assert!(needed.iter().all(|reference| reference.missing == crate::Missing::Unavailable));
        assert_eq!(needed[0].unavailable.as_deref(), Some("s1: BootEnv plum is not available"));
    }
}
