//! Blueprints: what work orders are made of (drp-api.md 7A.4).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, NameGrammar, Params, Reference, name_problem,
    names::{list_problems, other_problem},
    object::object,
    reference::Needs,
    work_order::task_problems,
};

/// Tasks with parameters that can be run on any machine beside its workflow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Blueprint {
    /// The key.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// More for people, in Markdown or reStructuredText.
    pub documentation: String,
    /// Entries as in a machine's list; nothing in it may change the boot environment.
    pub tasks: Vec<String>,
    /// Profiles that a work order begins with.
    pub profiles: Vec<String>,
    /// Parameters that a work order begins with.
    pub params: Params,
    /// The context of work orders in workflow mode.
    pub context: String,
    /// The pipeline that workflow mode assigns; empty for none.
    pub pipeline: String,
    /// The workflow that workflow mode begins with; empty for [`Blueprint::ENTRY`].
    pub workflow: String,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl Blueprint {
    /// The workflow that workflow mode begins with when none is named.
    pub const ENTRY: &'static str = "universal-pipeline-start";
}

pub(crate) static KIND: Kind = Kind {
    opaque: &["Params"],
    columns: &["Name", "Tasks", "Description", "Bundle"],
    ..Kind::of::<Blueprint>("blueprints", "Name", "blueprint")
};

object!(
    Blueprint,
    KIND,
    key = |blueprint| blueprint.name.clone(),
    params = params,
    problems = problems,
    references = references
);

fn problems(blueprint: &Blueprint) -> Vec<String> {
    let key = blueprint.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, key).into_iter().collect();
    found.extend(task_problems(key, &blueprint.tasks));
    found.extend(list_problems(key, "Profile", &blueprint.profiles));
    found.extend(other_problem(key, "Context", &blueprint.context));
    found.extend(other_problem(key, "Pipeline", &blueprint.pipeline));
    found.extend(other_problem(key, "Workflow", &blueprint.workflow));
    found
}

fn references(blueprint: &Blueprint) -> Vec<Reference> {
    Needs::soft(&blueprint.name)
        .list("profiles", "Profile", &blueprint.profiles)
        .tasks(&blueprint.tasks)
        .one("pipelines", "Pipeline", &blueprint.pipeline)
        .one("workflows", "Workflow", &blueprint.workflow)
        .done()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn blueprint_keeps_all_members() {
        let members = json!({
            "Name": "wipe-disks", "Description": "all of them", "Documentation": "No way back.",
            "Tasks": ["context:shelf", "wipe", "action:ipmi:powercycle"], "Profiles": ["careful"],
            "Params": {"wipe/passes": 3}, "Context": "shelf", "Pipeline": "edge", "Workflow": "commission",
        });
        assert_eq!(round_trip("blueprints", members).references().len(), 4);
    }

    #[test]
    fn blueprint_cannot_change_the_boot_environment() {
        let tasks = vec!["bootenv:local".into(), "one two".into()];
        let blueprint = Blueprint { name: "b1".into(), tasks, pipeline: "/".into(), ..Blueprint::default() };
        assert_eq!(
            problems(&blueprint),
            ["b1: Invalid Task: bootenv:local: the boot environment must stay", "b1: Invalid Pipeline `/`"]
        );
    }
}
