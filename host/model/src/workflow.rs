//! Workflows: stages in order (drp-api.md 7.5).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, NameGrammar, Reference, name_problem, names::list_problems, object::object,
    reference::Needs,
};

/// An ordered list of stages that a machine goes through.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Workflow {
    /// The key.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// More for people.
    pub documentation: String,
    /// Stage names in order; unknown ones make the workflow unavailable.
    pub stages: Vec<String>,
    /// The workflow component that plans the task list, as `PACK/COMPONENT`; absent means `core/classic`.
    /// An extension of ours: clients that do not know it ignore it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub component: String,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind = Kind {
    columns: &["Name", "Stages", "Description", "Bundle"],
    ..Kind::of::<Workflow>("workflows", "Name", "workflow")
};

object!(Workflow, KIND, key = |workflow| workflow.name.clone(), problems = problems, references = references);

fn problems(workflow: &Workflow) -> Vec<String> {
    let key = workflow.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, key).into_iter().collect();
    found.extend(list_problems(key, "Stage", &workflow.stages));
    found
}

fn references(workflow: &Workflow) -> Vec<Reference> {
    let key = workflow.name.as_str();
    let needs = workflow.stages.iter().enumerate().fold(Needs::soft(key), |needs, (index, stage)| {
        let message = |what| format!("{key}: Stage {stage} (at {index}) {what}");
        needs.with("stages", stage, message("does not exist"), Some(message("is not available")))
    });
    needs.done()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn workflow_keeps_all_members_and_needs_its_stages_to_be_usable() {
        let members = json!({
            "Name": "commission", "Description": "first", "Documentation": "Once.", "Stages": ["burn-in", "none"],
        });
        let needed = round_trip("workflows", members).references();
        assert_eq!(needed[1].message, "commission: Stage none (at 1) does not exist");
        assert_eq!(needed[1].unavailable.as_deref(), Some("commission: Stage none (at 1) is not available"));
        let workflow = Workflow { name: "w1".into(), stages: vec!["1".into()], ..Workflow::default() };
        assert_eq!(problems(&workflow), ["w1: Invalid Stage `1`"]);
    }
}
