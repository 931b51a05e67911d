//! Pools: machines that are handed out and taken back (drp-api.md 7.21, 13).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, NameGrammar, Objects, Reference, Values, name_problem,
    names::{list_problems, other_problem, param_name_problem},
    object::object,
    reference::{Needs, circle_problem},
};

/// What happens to machines as they come into a pool, are allocated, released and leave. A pool of machines needs no
/// such object. Members that are empty are not written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Pool {
    /// The key.
    pub id: String,
    /// One line for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// More for people, in Markdown or reStructuredText.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub documentation: String,
    /// The pool that machines come from and go back to; empty for `default`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub parent_pool: String,
    /// What happens to a machine that comes in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enter_actions: Option<PoolTransitionActions>,
    /// What happens to a machine that leaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_actions: Option<PoolTransitionActions>,
    /// What happens to a machine that is allocated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocate_actions: Option<PoolTransitionActions>,
    /// What happens to a machine that is released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_actions: Option<PoolTransitionActions>,
    /// How the pool is kept filled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_fill: Option<PoolAutoFill>,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl Pool {
    /// The pool of machines that were put into no other; it needs no object.
    pub const ROOT: &'static str = "default";

    /// Returns what happens at the transitions that are described.
    fn transitions(&self) -> impl Iterator<Item = &PoolTransitionActions> {
        let all = [&self.enter_actions, &self.exit_actions, &self.allocate_actions, &self.release_actions];
        all.into_iter().flatten()
    }
}

/// What happens to a machine at one transition, in the order of removing, adding and setting.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct PoolTransitionActions {
    /// The workflow that the machine is given; without one the transition is over at once.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub workflow: String,
    /// Profiles that it is given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_profiles: Vec<String>,
    /// Parameters that it is given.
    #[serde(skip_serializing_if = "Values::is_empty")]
    pub add_parameters: Values,
    /// Profiles that it loses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove_profiles: Vec<String>,
    /// Names of parameters that it loses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove_parameters: Vec<String>,
    /// The pipeline that it is given.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pipeline: String,
    /// The blueprint of the work order that is made for it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub blueprint: String,
}

/// How a pool is kept filled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct PoolAutoFill {
    /// True when it is.
    #[serde(skip_serializing_if = "is_false")]
    pub use_auto_fill: bool,
    /// Machines come when fewer than this are free.
    #[serde(skip_serializing_if = "is_zero")]
    pub min_free: i64,
    /// Machines go when more than this are free.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_free: i64,
    /// Parameters of machines that are made.
    #[serde(skip_serializing_if = "Values::is_empty")]
    pub create_parameters: Values,
    /// The pool that machines come from; empty for making them.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub acquire_pool: String,
    /// The pool that machines go to; empty for removing them.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub return_pool: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(count: &i64) -> bool {
    *count == 0
}

pub(crate) static KIND: Kind = Kind {
    opaque: &["AddParameters", "CreateParameters"],
    columns: &["Id", "ParentPool", "Description", "Bundle"],
    ..Kind::of::<Pool>("pools", "Id", "pool")
};

object!(
    Pool,
    KIND,
    key = |pool| pool.id.clone(),
    problems = problems,
    references = references,
    conflicts = conflicts
);

fn problems(pool: &Pool) -> Vec<String> {
    let key = pool.id.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, key).into_iter().collect();
    found.extend(other_problem(key, "ParentPool", &pool.parent_pool));
    for actions in pool.transitions() {
        found.extend(other_problem(key, "Workflow", &actions.workflow));
        found.extend(other_problem(key, "Pipeline", &actions.pipeline));
        found.extend(other_problem(key, "Blueprint", &actions.blueprint));
        found.extend(list_problems(key, "Profile", &actions.add_profiles));
        found.extend(list_problems(key, "Profile", &actions.remove_profiles));
        let params = actions.add_parameters.keys().chain(&actions.remove_parameters);
        found.extend(params.filter_map(|name| param_name_problem(key, "Param", name)));
    }
    if let Some(fill) = &pool.auto_fill {
        found.extend(other_problem(key, "AcquirePool", &fill.acquire_pool));
        found.extend(other_problem(key, "ReturnPool", &fill.return_pool));
        let names = fill.create_parameters.keys();
        found.extend(names.filter_map(|name| param_name_problem(key, "Param", name)));
        if fill.min_free < 0 || (fill.max_free != 0 && fill.max_free < fill.min_free) {
            let (least, most) = (fill.min_free, fill.max_free);
            found.push(format!("{key}: MinFree {least} must be between 0 and MaxFree {most}"));
        }
    }
    found
}

fn references(pool: &Pool) -> Vec<Reference> {
    let parent = if pool.parent_pool == Pool::ROOT { "" } else { &pool.parent_pool };
    let needs = Needs::soft(&pool.id).one(KIND.prefix, "Pool", parent);
    let needs = pool.transitions().fold(needs, |needs, actions| {
        needs
            .one("workflows", "Workflow", &actions.workflow)
            .list("profiles", "Profile", &actions.add_profiles)
            .one("pipelines", "Pipeline", &actions.pipeline)
            .one("blueprints", "Blueprint", &actions.blueprint)
    });
    needs.done()
}

fn conflicts(pool: &Pool, others: &dyn Objects) -> Vec<String> {
    circle_problem(others, pool, "Pool", |pool| vec![pool.parent_pool.clone()]).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        Missing,
        object::{Few, round_trip},
    };

    #[test]
    fn pool_keeps_all_members() {
        let actions = json!({
            "Workflow": "commission", "AddProfiles": ["lab-net"], "AddParameters": {"a/b": null},
            "RemoveProfiles": ["spare"], "RemoveParameters": ["c/d"], "Pipeline": "edge", "Blueprint": "wipe-disks",
        });
        let members = json!({
            "Id": "lab", "Description": "benches", "Documentation": "Ask first.", "ParentPool": "hall",
            "EnterActions": actions, "ExitActions": actions, "AllocateActions": actions, "ReleaseActions": actions,
            "AutoFill": {"UseAutoFill": true, "MinFree": 2, "MaxFree": 5, "CreateParameters": {"size": 1},
                         "AcquirePool": "hall", "ReturnPool": "hall"},
        });
        assert_eq!(round_trip("pools", members).references().len(), 17);
    }

    #[test]
    fn empty_members_of_a_pool_are_not_written_but_an_empty_transition_is() {
        round_trip("pools", json!({"Id": "lab", "EnterActions": {}, "AutoFill": {}}));
    }

    #[test]
    fn pool_names_things_by_their_grammar_and_fills_between_bounds() {
        let pool = Pool {
            id: "1".into(),
            parent_pool: "/".into(),
            exit_actions: Some(PoolTransitionActions {
                workflow: "/".into(),
                remove_profiles: vec!["1".into()],
                remove_parameters: vec!["1".into()],
                ..PoolTransitionActions::default()
            }),
            auto_fill: Some(PoolAutoFill { min_free: 3, max_free: 2, ..PoolAutoFill::default() }),
            ..Pool::default()
        };
        let wanted = [
            "1: Invalid Name `1`",
            "1: Invalid ParentPool `/`",
            "1: Invalid Workflow `/`",
            "1: Invalid Profile `1`",
            "1: Invalid Param `1`",
            "1: MinFree 3 must be between 0 and MaxFree 2",
        ];
        assert_eq!(problems(&pool), wanted);
    }

    #[test]
    fn no_pool_is_its_own_parent_and_the_root_needs_no_object() {
        let pool =
            |id: &str, parent: &str| Pool { id: id.into(), parent_pool: parent.into(), ..Pool::default() };
        let few =
            Few(vec![std::sync::Arc::new(pool("hall", "lab")), std::sync::Arc::new(pool("lab", "default"))]);
        assert!(conflicts(&pool("lab", "default"), &few).is_empty());
        assert_eq!(conflicts(&pool("lab", "hall"), &few), ["lab: Pool lab contains itself"]);
        assert!(references(&pool("lab", "default")).is_empty());
        assert_eq!(references(&pool("lab", "hall"))[0].missing, Missing::Unavailable);
    }
}
