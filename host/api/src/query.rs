//! The query language of lists (drp-api.md 4): filters, sorting, pages and projections over JSON objects.

mod filter;

use serde_json::{Map, Value};

use self::filter::compare;
pub use self::filter::{Filter, Operator};

/// A query that cannot be answered; the API answers 406.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A page cannot begin before the list.
    #[error("Offset cannot be negative")]
    NegativeOffset,
    /// A page cannot have fewer than no objects.
    #[error("Limit cannot be negative")]
    NegativeLimit,
    /// A number was expected.
    #[error("`{name}` must be a number, not `{value}`")]
    NotANumber {
        /// The member of the query.
        name: String,
        /// What it said.
        value: String,
    },
    /// No object of the type has such a member.
    #[error("no index `{0}`")]
    UnknownIndex(String),
    /// The arguments of a filter do not fit its operator.
    #[error("filter `{name}={text}`: {reason}")]
    BadFilter {
        /// The index.
        name: String,
        /// The filter as written.
        text: String,
        /// What does not fit.
        reason: String,
    },
}

/// Which members of an object an answer holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    /// Members that are left out.
    pub slim: Vec<String>,
    /// The only params that are kept; `None` keeps all.
    pub params: Option<Vec<String>>,
    /// True when the params of all sources are merged in.
    pub aggregate: bool,
    /// True when secure params are decrypted.
    pub decode: bool,
    /// True when members that clients cannot write are left out.
    pub reduced: bool,
}

impl Projection {
    /// Leaves out of an object what was not asked for. `bears_params` says that the type has `Partial`.
    pub fn apply(&self, object: &mut Map<String, Value>, bears_params: bool) {
        let before = object.len();
        for name in &self.slim {
            object.remove(name);
        }
        let mut partial = object.len() != before;
        if let (Some(keep), Some(Value::Object(params))) = (&self.params, object.get_mut("Params")) {
            params.retain(|name, _| keep.contains(name));
            partial = true;
        }
        if partial && bears_params {
            object.insert("Partial".into(), Value::Bool(true));
        }
        if self.reduced {
            object.retain(|name, _| !formwork_model::Header::READ_ONLY.contains(&name.as_str()));
        }
    }
}

/// A parsed query of a list.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// All of these must match.
    pub filters: Vec<Filter>,
    /// Indexes to sort by; the key when there is none.
    pub sort: Vec<String>,
    /// True when the order is reversed.
    pub reverse: bool,
    /// How many matches are skipped.
    pub offset: usize,
    /// How many are answered at most.
    pub limit: Option<usize>,
    /// What each object holds.
    pub projection: Projection,
}

/// Members of a query that are accepted and have no effect.
const IGNORED: &[&str] = &["commented", "expand", "token", "Token", "exclude-self", "force"];

impl ListQuery {
    /// Parses the decoded members of a query string, in order.
    ///
    /// # Errors
    ///
    /// A page out of range, a member that is no number, or a filter that does not parse.
    pub fn parse<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, QueryError> {
        let mut query = Self::default();
        for (name, value) in pairs {
            match name {
                "sort" => query.sort.push(value.to_owned()),
                "reverse" => query.reverse = truth(value),
                "offset" => query.offset = number(name, value)?.ok_or(QueryError::NegativeOffset)?,
                "limit" => query.limit = Some(number(name, value)?.ok_or(QueryError::NegativeLimit)?),
                "slim" => query.projection.slim.extend(words(value)),
                "params" => query.projection.params.get_or_insert_default().extend(words(value)),
                "aggregate" => query.projection.aggregate = truth(value),
                "decode" => query.projection.decode = truth(value),
                "reduced" => query.projection.reduced = truth(value),
                _ if IGNORED.contains(&name) => {}
                _ => query.filters.push(Filter::parse(name, value)?),
            }
        }
        Ok(query)
    }
}

/// Reads a boolean of a query in any case.
fn truth(value: &str) -> bool {
    matches!(value.to_lowercase().as_str(), "true" | "1" | "t")
}

fn words(value: &str) -> impl Iterator<Item = String> + '_ {
    value.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned)
}

/// Returns `None` for a negative number.
fn number(name: &str, value: &str) -> Result<Option<usize>, QueryError> {
    let parsed: i64 = value
        .parse()
        .map_err(|_| QueryError::NotANumber { name: name.to_owned(), value: value.to_owned() })?;
    Ok(usize::try_from(parsed).ok())
}

/// The page that a query asks for, and how many objects there were.
#[derive(Clone, Debug, Default)]
pub struct Sorted {
    /// The objects of the page, not yet projected.
    pub page: Vec<Value>,
    /// How many matched before offset and limit.
    pub matched: usize,
}

/// Filters, sorts and cuts a list of objects that is in key order.
#[must_use]
pub fn select(objects: impl Iterator<Item = Value>, query: &ListQuery) -> Sorted {
    let mut found: Vec<Value> =
        objects.filter(|object| query.filters.iter().all(|filter| filter.matches(object))).collect();
    if !query.sort.is_empty() {
        found.sort_by(|a, b| {
            let by = |index: &String| compare(&a[index.as_str()], &b[index.as_str()]);
            query.sort.iter().map(by).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
    }
    if query.reverse {
        found.reverse();
    }
    let matched = found.len();
    let page = found.into_iter().skip(query.offset).take(query.limit.unwrap_or(usize::MAX)).collect();
    Sorted { page, matched }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(query: &str) -> Vec<String> {
        let pairs: Vec<(&str, &str)> =
            query.split('&').filter(|p| !p.is_empty()).map(|pair| pair.split_once('=').unwrap()).collect();
        let query = ListQuery::parse(pairs.into_iter()).unwrap();
        let objects = [
            json!({"Name": "aa", "Ready": true, "N": 1, "Profiles": ["x"]}),
            json!({"Name": "bb", "Ready": false, "N": 20, "Profiles": []}),
            json!({"Name": "cc", "Ready": true, "N": 3, "Profiles": ["x", "y"]}),
        ];
        let found = select(objects.into_iter(), &query);
        found.page.iter().map(|object| object["Name"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn bare_values_mean_equal_and_booleans_come_in_any_case() {
        assert_eq!(names("Name=bb"), ["bb"]);
        assert_eq!(names("Ready=True"), ["aa", "cc"]);
        assert_eq!(names("Ready=Eq(false)"), ["bb"]);
    }

    #[test]
    fn numbers_are_ordered_as_numbers() {
        assert_eq!(names("N=Gt(3)"), ["bb"]);
        assert_eq!(names("N=Between(1,3)"), ["aa", "cc"]);
        assert_eq!(names("N=Except(1,3)"), ["bb"]);
        assert_eq!(names("sort=N&reverse=true"), ["bb", "cc", "aa"]);
    }

    #[test]
    fn lists_test_membership() {
        assert_eq!(names("Profiles=In(y)"), ["cc"]);
        assert_eq!(names("Profiles=x"), ["aa", "cc"]);
        assert_eq!(names("Profiles=Nin(x)"), ["bb"]);
    }

    #[test]
    fn pages_are_cut_after_filtering_and_limit_zero_is_empty() {
        assert_eq!(names("offset=1&limit=1"), ["bb"]);
        assert_eq!(names("limit=0"), Vec::<String>::new());
    }

    #[test]
    fn expressions_match_anywhere() {
        assert_eq!(names("Name=Re(^[ac])"), ["aa", "cc"]);
    }

    #[test]
    fn bad_queries_say_what_is_wrong() {
        let parse = |name, value| ListQuery::parse([(name, value)].into_iter()).unwrap_err().to_string();
        assert_eq!(parse("limit", "-1"), "Limit cannot be negative");
        assert_eq!(parse("offset", "-1"), "Offset cannot be negative");
        assert!(parse("Name", "Re([)").contains("Name"));
        assert!(parse("Name", "Between(1)").contains("two"));
    }
}
