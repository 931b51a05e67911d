//! Triggers: what makes work orders on an occasion (drp-api.md 7A.12, 14.7).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, NameGrammar, Params, Reference, Values, name_problem,
    names::{list_problems, other_problem, param_name_problem},
    object::object,
    reference::Needs,
};

/// An occasion and the work orders that are made on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Trigger {
    /// The key.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// More for people, in Markdown or reStructuredText.
    pub documentation: String,
    /// The kind of occasion.
    pub trigger_provider: String,
    /// False: nothing is made.
    pub enabled: bool,
    /// The blueprint of the work orders.
    pub blueprint: String,
    /// The query of the machines; only runnable ones in work-order mode are taken.
    pub filter: String,
    /// How many of them; not negative.
    pub filter_count: i64,
    /// True: a work order for each of them.
    pub all_in_filter: bool,
    /// True: one work order with the filter, which a machine takes later.
    pub queue_mode: bool,
    /// True: the data of the occasion become parameters of the work order.
    pub merge_data_into_params: bool,
    /// The parameter of the work order that is set to the data of the occasion; empty for none.
    pub store_data_in_parameter: String,
    /// Parameters by name, those that the provider needs among them.
    pub params: Params,
    /// Profiles in order of precedence.
    pub profiles: Vec<String>,
    /// Parameters of the work orders.
    pub work_order_params: Values,
    /// Profiles of the work orders.
    pub work_order_profiles: Vec<String>,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind = Kind {
    opaque: &["Params", "WorkOrderParams"],
    columns: &["Name", "TriggerProvider", "Enabled", "Blueprint", "Filter", "Description"],
    more_actions: &["fire"],
    ..Kind::of::<Trigger>("triggers", "Name", "trigger")
};

object!(
    Trigger,
    KIND,
    key = |trigger| trigger.name.clone(),
    params = params,
    problems = problems,
    references = references
);

fn problems(trigger: &Trigger) -> Vec<String> {
    let key = trigger.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, key).into_iter().collect();
    found.extend(other_problem(key, "TriggerProvider", &trigger.trigger_provider));
    found.extend(other_problem(key, "Blueprint", &trigger.blueprint));
    if trigger.filter_count < 0 {
        found.push(format!("{key}: FilterCount {} is negative", trigger.filter_count));
    }
    found.extend(param_name_problem(key, "StoreDataInParameter", &trigger.store_data_in_parameter));
    found.extend(list_problems(key, "Profile", &trigger.profiles));
    found.extend(list_problems(key, "Profile", &trigger.work_order_profiles));
    let params = trigger.work_order_params.keys();
    found.extend(params.filter_map(|name| param_name_problem(key, "Param", name)));
    found
}

fn references(trigger: &Trigger) -> Vec<Reference> {
    Needs::soft(&trigger.name)
        .usable("trigger_providers", "TriggerProvider", &trigger.trigger_provider)
        .usable("blueprints", "Blueprint", &trigger.blueprint)
        .list("profiles", "Profile", &trigger.profiles)
        .list("profiles", "Profile", &trigger.work_order_profiles)
        .done()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn trigger_keeps_all_members() {
        let members = json!({
            "Name": "night", "Description": "at two", "Documentation": "Quietly.", "TriggerProvider": "clock",
            "Enabled": true, "Blueprint": "wipe-disks", "Filter": "Pool=Eq(spare)", "FilterCount": 3,
            "AllInFilter": true, "QueueMode": true, "MergeDataIntoParams": true, "StoreDataInParameter": "night/data",
            "Params": {"clock/hour": 2}, "Profiles": ["lab-net"], "WorkOrderParams": {"a/b": null},
            "WorkOrderProfiles": ["careful"],
        });
        assert_eq!(round_trip("triggers", members).references().len(), 4);
    }

    #[test]
    fn trigger_counts_upwards_and_names_things_by_their_grammar() {
        let trigger = Trigger {
            name: "t1".into(),
            blueprint: "/".into(),
            filter_count: -1,
            store_data_in_parameter: "1".into(),
            work_order_profiles: vec!["1".into()],
            ..Trigger::default()
        };
        let wanted = [
            "t1: Invalid Blueprint `/`",
            "t1: FilterCount -1 is negative",
            "t1: Invalid StoreDataInParameter `1`",
            "t1: Invalid Profile `1`",
        ];
        assert_eq!(problems(&trigger), wanted);
    }
}
