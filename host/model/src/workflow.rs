//! Workflows: stages in order (drp-api.md 7.5).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, Missing, NameGrammar, Reference, name_problem,
    object::{decode, object},
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
    prefix: "workflows",
    key: "Name",
    noun: "workflow",
    unique: &[],
    hidden: &[],
    read_only: &[],
    opaque: &[],
    decode: decode::<Workflow>,
    schema: |generator| generator.subschema_for::<Workflow>(),
    columns: &["Name", "Stages", "Description", "Bundle"],
};

object!(Workflow, KIND, key = |workflow| workflow.name.clone(), problems = problems, references = references);

fn problems(workflow: &Workflow) -> Vec<String> {
    let key = workflow.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, key).into_iter().collect();
    for stage in workflow.stages.iter().filter(|stage| !NameGrammar::Name.accepts(stage)) {
        found.push(format!("{key}: Invalid Stage `{stage}`"));
    }
    found
}

fn references(workflow: &Workflow) -> Vec<Reference> {
    workflow
        .stages
        .iter()
        .enumerate()
        .map(|(index, stage)| Reference {
            prefix: "stages",
            key: stage.clone(),
            missing: Missing::Unavailable,
            message: format!("{}: Stage {stage} (at {index}) does not exist", workflow.name),
            unavailable: Some(format!("{}: Stage {stage} (at {index}) is not available", workflow.name)),
        })
        .collect()
}
