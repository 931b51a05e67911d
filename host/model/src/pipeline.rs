//! Pipelines: parameters that steer the work on a machine (drp-api.md 7A.9, 14.6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, NameGrammar, Objects, Params, Reference, name_problem,
    names::list_problems,
    object::object,
    reference::{Needs, circle_problem},
};

/// A named set of parameters that a machine has while the pipeline is active on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Pipeline {
    /// The key.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// More for people, in Markdown or reStructuredText.
    pub documentation: String,
    /// Parameters by name.
    pub params: Params,
    /// Nested profiles, of lower precedence than the own parameters.
    pub profiles: Vec<String>,
    /// Parents, depth first, of lower precedence than all of its own.
    pub pipelines: Vec<String>,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind = Kind {
    opaque: &["Params"],
    columns: &["Name", "Pipelines", "Profiles", "Description", "Bundle"],
    ..Kind::of::<Pipeline>("pipelines", "Name", "pipeline")
};

object!(
    Pipeline,
    KIND,
    key = |pipeline| pipeline.name.clone(),
    params = params,
    problems = problems,
    references = references,
    conflicts = conflicts
);

fn problems(pipeline: &Pipeline) -> Vec<String> {
    let key = pipeline.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, key).into_iter().collect();
    found.extend(list_problems(key, "Profile", &pipeline.profiles));
    found.extend(list_problems(key, "Pipeline", &pipeline.pipelines));
    found
}

fn references(pipeline: &Pipeline) -> Vec<Reference> {
    Needs::soft(&pipeline.name)
        .list("profiles", "Profile", &pipeline.profiles)
        .list(KIND.prefix, "Pipeline", &pipeline.pipelines)
        .done()
}

fn conflicts(pipeline: &Pipeline, others: &dyn Objects) -> Vec<String> {
    circle_problem(others, pipeline, "Pipeline", |pipeline| pipeline.pipelines.clone()).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::{Few, round_trip};

    #[test]
    fn pipeline_keeps_all_members() {
        let members = json!({
            "Name": "edge", "Description": "small sites", "Documentation": "Two disks.", "Params": {"disks": 2},
            "Profiles": ["lab-net"], "Pipelines": ["base"],
        });
        assert_eq!(round_trip("pipelines", members).references().len(), 2);
    }

    #[test]
    fn pipeline_is_not_its_own_parent_by_any_way() {
        let pipeline = |name: &str, parents: &[&str]| Pipeline {
            name: name.into(),
            pipelines: parents.iter().map(|parent| (*parent).to_owned()).collect(),
            ..Pipeline::default()
        };
        let few = Few(vec![
            std::sync::Arc::new(pipeline("base", &["root", "root"])),
            std::sync::Arc::new(pipeline("root", &["edge", "base"])),
        ]);
        assert_eq!(conflicts(&pipeline("edge", &["base"]), &few), ["edge: Pipeline edge contains itself"]);
        assert!(conflicts(&pipeline("edge", &["other"]), &few).is_empty());
        assert!(conflicts(&pipeline("leaf", &["base"]), &few).is_empty());
        assert_eq!(problems(&pipeline("p1", &["1"])), ["p1: Invalid Pipeline `1`"]);
    }
}
