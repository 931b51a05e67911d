//! Filters: stored queries (drp-api.md 7A.7, 4.2).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Header, Kind, NameGrammar, Objects, Params, name_problem, object::object, scopes::is_type};

/// A query of a list that has a name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Filter {
    /// The key.
    pub id: String,
    /// One line for people.
    pub description: String,
    /// More for people, in Markdown or reStructuredText.
    pub documentation: String,
    /// The prefix of the type that it is for.
    pub object: String,
    /// What objects must fulfil, all of it.
    pub queries: Vec<Query>,
    /// The indexes to sort by, in order.
    pub sort: Vec<String>,
    /// True for the other direction.
    pub reverse: bool,
    /// The members or params to group by, in order.
    pub group_by: Vec<String>,
    /// Members to leave out, as a comma list.
    pub slim: String,
    /// Params to keep, as a comma list; empty for all.
    pub param_set: String,
    /// True for the params of all sources.
    pub aggregate: bool,
    /// True for secure params in clear.
    pub decode: bool,
    /// True for leaving out members that cannot be written.
    pub reduced: bool,
    /// True for the sizes of groups without their objects.
    pub range_only: bool,
    /// True for leaving out the endpoint's own machine.
    pub exclude_self: bool,
    /// Parameters by name.
    pub params: Params,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

/// One thing that objects must fulfil.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Query {
    /// An index or a param.
    pub name: String,
    /// How it is compared: `=`, or one of [`Query::OPS`] in any case.
    pub op: String,
    /// With what, in the words of a query.
    pub value: String,
}

impl Query {
    /// How an index can be compared (drp-api.md 4.1).
    pub const OPS: &'static [&'static str] =
        &["Eq", "Ne", "Lt", "Lte", "Gt", "Gte", "Between", "Except", "In", "Nin", "Re"];

    /// Tells whether the comparison is known.
    fn is_known(&self) -> bool {
        self.op == "=" || Self::OPS.iter().any(|op| op.eq_ignore_ascii_case(&self.op))
    }
}

pub(crate) static KIND: Kind = Kind {
    opaque: &["Params"],
    columns: &["Id", "Object", "Queries", "Description", "Bundle"],
    ..Kind::of::<Filter>("filters", "Id", "filter")
};

object!(
    Filter,
    KIND,
    key = |filter| filter.id.clone(),
    params = params,
    problems = problems,
    conflicts = conflicts
);

fn problems(filter: &Filter) -> Vec<String> {
    let key = filter.id.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Id, key, key).into_iter().collect();
    for (index, query) in filter.queries.iter().enumerate() {
        if query.name.is_empty() {
            found.push(format!("{key}: Query[{index}] is missing a Name"));
        }
        if !query.is_known() {
            found.push(format!("{key}: Query[{index}]: Invalid Op `{}`", query.op));
        }
    }
    found
}

fn conflicts(filter: &Filter, others: &dyn Objects) -> Vec<String> {
    let unknown = !filter.object.is_empty() && !is_type(others, &filter.object);
    let message = || format!("{}: Invalid Object type `{}`", filter.id, filter.object);
    unknown.then(message).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::{Few, round_trip};

    #[test]
    fn filter_keeps_all_members() {
        let members = json!({
            "Id": "hot machines", "Description": "above 80", "Documentation": "By sensor.", "Object": "machines",
            "Queries": [{"Name": "sensor/heat", "Op": "Gt", "Value": "80"}], "Sort": ["Name"], "Reverse": true,
            "GroupBy": ["Pool"], "Slim": "Meta,Params", "ParamSet": "sensor/heat", "Aggregate": true, "Decode": true,
            "Reduced": true, "RangeOnly": true, "ExcludeSelf": true, "Params": {"a": 1},
        });
        assert!(round_trip("filters", members).conflicts(&Few(Vec::new())).is_empty());
    }

    #[test]
    fn filter_compares_in_known_ways_and_is_for_a_known_type() {
        let query = |name: &str, op: &str| Query { name: name.into(), op: op.into(), ..Query::default() };
        let filter = Filter {
            id: "f".into(),
            object: "cakes".into(),
            queries: vec![query("Name", "="), query("Name", "between"), query("", "Like")],
            ..Filter::default()
        };
        assert_eq!(problems(&filter), ["f: Query[2] is missing a Name", "f: Query[2]: Invalid Op `Like`"]);
        assert_eq!(conflicts(&filter, &Few(Vec::new())), ["f: Invalid Object type `cakes`"]);
    }
}
