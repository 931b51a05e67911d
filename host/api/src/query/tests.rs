//! What queries mean, on a few objects.

use std::sync::Arc;

use formwork_model::{Kind, Object, kind_of};
use serde_json::{Value, json};

use super::*;

struct Few(Vec<Arc<dyn Object>>);

impl Objects for Few {
    fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>> {
        self.0.iter().find(|object| object.kind().prefix == prefix && object.key() == key).map(Arc::clone)
    }

    fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        let _ = self.0.iter().filter(|object| object.kind().prefix == prefix).all(visit);
    }

    fn count(&self, prefix: &str) -> usize {
        self.0.iter().filter(|object| object.kind().prefix == prefix).count()
    }
}

fn object(prefix: &str, members: Value) -> Arc<dyn Object> {
    (kind_of(prefix).unwrap().decode)(members).unwrap()
}

fn some() -> Few {
    Few(vec![
        object(
            "machines",
            json!({"Uuid": "u-1", "Name": "aa", "Runnable": true, "CurrentTask": 1, "Profiles": ["x"],
                   "Address": "10.0.0.9", "Params": {"heat": 80}, "CreatedAt": "2026-01-01T01:00:00+02:00"}),
        ),
        object(
            "machines",
            json!({"Uuid": "u-2", "Name": "bb", "Runnable": false, "CurrentTask": 20, "Profiles": [],
                   "Address": "10.0.0.10", "Meta": {"icon": "oven", "heat": "no"},
                   "CreatedAt": "2026-01-01T00:00:00Z"}),
        ),
        object(
            "machines",
            json!({"Uuid": "u-3", "Name": "cc", "Runnable": true, "CurrentTask": 3, "Profiles": ["x", "y"],
                   "Params": {"free": "word"}, "Meta": {"machine-role": "self"}}),
        ),
        object("params", json!({"Name": "heat", "Schema": {"type": "integer"}})),
        object("params", json!({"Name": "tags", "Schema": {"type": "array", "items": {"type": "string"}}})),
    ])
}

fn machines() -> &'static Kind {
    kind_of("machines").unwrap()
}

fn parse(query: &str) -> Result<ListQuery, QueryError> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    ListQuery::parse(pairs.map(|pair| pair.split_once('=').unwrap()))
}

fn value(index: &Index, object: &dyn Object) -> Option<Value> {
    match &index.subject {
        Subject::Member(name) => Some(object.member(name).unwrap_or_default()),
        Subject::Param(name) => object.params().and_then(|values| values.get(name)),
        Subject::Meta(name) => object.header().meta.get(name).map(|text| Value::String(text.clone())),
    }
}

/// The names of the machines that pass.
fn names(query: &str) -> Vec<String> {
    let objects = some();
    let resolved = parse(query).unwrap().resolve(machines(), &objects).unwrap();
    let passes = |object: &Arc<dyn Object>| {
        let test = |condition: &Condition| condition.accepts(value(&condition.index, &**object).as_ref());
        object.kind().prefix == "machines" && resolved.conditions.iter().all(test)
    };
    let name = |object: &Arc<dyn Object>| object.member("Name").unwrap().as_str().unwrap().to_owned();
    objects.0.iter().filter(|object| passes(object)).map(name).collect()
}

fn refused(query: &str) -> String {
    parse(query).and_then(|parsed| parsed.resolve(machines(), &some())).unwrap_err().to_string()
}

#[test]
fn bare_values_mean_equal_and_booleans_come_in_any_case() {
    assert_eq!(names("Name=bb"), ["bb"]);
    assert_eq!(names("Runnable=True"), ["aa", "cc"]);
    assert_eq!(names("Runnable=Eq(f)"), ["bb"]);
    assert_eq!(names("Key=u-2"), ["bb"]);
}

#[test]
fn numbers_are_ordered_as_numbers() {
    assert_eq!(names("CurrentTask=Gt(3)"), ["bb"]);
    assert_eq!(names("CurrentTask=gte(3)"), ["bb", "cc"]);
    assert_eq!(names("CurrentTask=Lt(3.0)"), ["aa"]);
    assert_eq!(names("CurrentTask=Lte(3)"), ["aa", "cc"]);
    assert_eq!(names("CurrentTask=Between(1, 3)"), ["aa", "cc"]);
    assert_eq!(names("CurrentTask=Except(1,3)"), ["bb"]);
    assert_eq!(names("CurrentTask=Ne(20)"), ["aa", "cc"]);
    assert_eq!(names("CurrentTask=In(20,1)"), ["aa", "bb"]);
    assert_eq!(names("CurrentTask=Nin(20,1)"), ["cc"]);
}

#[test]
fn addresses_order_by_number() {
    assert_eq!(names("Address=Gt(10.0.0.9)"), ["bb"]);
    assert_eq!(names("Address=Between(10.0.0.9,10.0.0.10)"), ["aa", "bb"]);
    assert_eq!(names("Address="), ["cc"]);
    assert!(refused("Address=10.0.0.256").contains("IPv4 address"));
}

#[test]
fn times_order_by_time() {
    assert_eq!(names("CreatedAt=2025-12-31T23:00:00Z"), ["aa"]);
    assert_eq!(names("CreatedAt=Gte(2026-01-01T00:00:00Z)"), ["bb"]);
    assert!(refused("CreatedAt=Lt(yesterday)").contains("RFC 3339"));
}

#[test]
fn lists_test_membership() {
    assert_eq!(names("Profiles=In(y)"), ["cc"]);
    assert_eq!(names("Profiles=x"), ["aa", "cc"]);
    assert_eq!(names("Profiles=Nin(x)"), ["bb"]);
    assert_eq!(names("Profiles=Ne(y)"), ["aa", "bb"]);
    assert_eq!(refused("sort=Profiles"), "index `Profiles` has no order");
}

#[test]
fn expressions_match_anywhere() {
    assert_eq!(names("Name=Re(^[ac])"), ["aa", "cc"]);
    assert_eq!(names("Name=Re(a)"), ["aa"]);
}

#[test]
fn expression_on_a_number_is_406() {
    assert_eq!(
        refused("CurrentTask=Re(1)"),
        "filter `CurrentTask=Re`: only texts are compared with expressions"
    );
    assert!(refused("heat=Re(1)").contains("only texts"));
}

#[test]
fn values_that_are_none_of_the_type_are_refused() {
    assert!(refused("Runnable=maybe").contains("boolean"));
    assert!(refused("CurrentTask=Gt(many)").contains("number"));
    assert!(refused("heat=Gt(warm)").contains("number"));
    assert!(refused("Meta=Gt(x)").contains("no order"));
}

#[test]
fn bad_queries_say_what_is_wrong() {
    let wrong = |query: &str| parse(query).unwrap_err().to_string();
    assert_eq!(wrong("limit=-1"), "Limit cannot be negative");
    assert_eq!(wrong("offset=-1"), "Offset cannot be negative");
    assert_eq!(wrong("limit=x"), "`limit` must be a number, not `x`");
    assert!(wrong("Name=Re([)").contains("Name"));
    assert!(wrong("Name=Between(1)").contains("two"));
    assert!(wrong(&"Name=x&".repeat(1_001)).contains("at most 1000 filters"));
}

#[test]
fn unknown_name_is_406_on_every_type() {
    for kind in formwork_model::KINDS.iter().filter(|kind| kind.prefix != "contents") {
        for query in ["Beeblebrox=2", "sort=Beeblebrox", "group-by=Beeblebrox"] {
            let refused = parse(query).unwrap().resolve(kind, &some()).unwrap_err();
            assert_eq!(refused, QueryError::UnknownIndex("Beeblebrox".into()), "{}", kind.prefix);
        }
        // `Token` in a query is who asks.
        for hidden in kind.hidden.iter().filter(|name| **name != "Token") {
            let refused = parse(&format!("{hidden}=x")).unwrap().resolve(kind, &some()).unwrap_err();
            assert_eq!(refused, QueryError::UnknownIndex((*hidden).into()), "{}", kind.prefix);
        }
    }
}

#[test]
fn name_that_is_no_member_is_a_param() {
    assert_eq!(names("heat=Gt(9)"), ["aa"]);
    assert_eq!(names("Params.heat=80"), ["aa"]);
    assert_eq!(names("heat=Ne(80)"), ["bb", "cc"]);
    assert_eq!(names("free=word"), ["cc"], "it is not declared, but there is a value");
    assert_eq!(names("Params.nowhere=1"), Vec::<String>::new());
    assert_eq!(names("tags=x"), Vec::<String>::new());
}

#[test]
fn meta_key_is_found_last() {
    assert_eq!(names("icon=oven"), ["bb"]);
    assert_eq!(names("icon=Ne(oven)"), ["aa", "cc"]);
    assert_eq!(names("heat=80"), ["aa"], "a param comes first");
    assert_eq!(names("Meta.heat=no"), ["bb"]);
}

#[test]
fn spans_hold_exactly_what_passes() {
    use std::ops::RangeBounds;
    let values = [json!(0), json!(1), json!(2), json!(5), json!(20)];
    for operator in [
        "Eq(2)",
        "Lt(2)",
        "Lte(2)",
        "Gt(2)",
        "Gte(2)",
        "Between(1,5)",
        "Except(1,5)",
        "In(5,1,5)",
        "Except(5,1)",
    ] {
        let query = parse(&format!("CurrentTask={operator}")).unwrap();
        let condition = query.resolve(machines(), &some()).unwrap().conditions.remove(0);
        let Some(spans) = condition.spans() else {
            assert_eq!(operator, "Except(5,1)", "its parts overlap");
            continue;
        };
        for value in &values {
            let key = formwork_model::SortKey::of("CurrentTask", value);
            let within = spans.iter().filter(|bounds| bounds.contains(&key)).count();
            assert_eq!(within, usize::from(condition.accepts(Some(value))), "{operator} {value}");
        }
    }
}

#[test]
fn stored_filter_adds_to_the_query() {
    let stored = formwork_model::Filter {
        queries: vec![
            formwork_model::Query { name: "CurrentTask".into(), op: "gte".into(), value: "3".into() },
            formwork_model::Query { name: "Name".into(), op: "=".into(), value: "In(bb,cc)".into() },
        ],
        sort: vec!["Name".into()],
        slim: "Meta,Params".into(),
        param_set: "heat".into(),
        reverse: true,
        ..formwork_model::Filter::default()
    };
    let mut query = parse("Runnable=true").unwrap();
    query.apply(&stored).unwrap();
    assert_eq!(
        (query.filters.len(), query.sort.as_slice(), query.reverse),
        (3, ["Name".into()].as_slice(), true)
    );
    assert_eq!(query.projection.slim, ["Meta", "Params"]);
    assert!(query.projection.keeps_param("heat") && !query.projection.keeps_param("cold"));
    let unknown = formwork_model::Query { name: "Name".into(), op: "Like".into(), value: "x".into() };
    let stored = formwork_model::Filter { queries: vec![unknown], ..stored };
    assert!(query.apply(&stored).unwrap_err().to_string().contains("no such operator"));
}

#[test]
fn groups_come_in_the_order_of_their_values() {
    let items = [("a", json!(10)), ("b", json!(9)), ("c", Value::Null), ("d", json!(10))];
    let groups = group(items, "N", |(_, value)| Some(value.clone()));
    let told: Vec<_> = groups.iter().map(|group| (group.value.clone(), group.count)).collect();
    assert_eq!(told, [(Value::Null, 1), (json!(9), 1), (json!(10), 2)]);
    assert_eq!(groups[2].items.iter().map(|item| item.0).collect::<Vec<_>>(), ["a", "d"]);
}

#[test]
fn objects_of_which_something_is_left_out_are_partial() {
    let projection = |query: &str| parse(query).unwrap().projection;
    for (query, partial) in [
        ("slim=Meta", true),
        ("slim=Nothing", false),
        ("params=a", true),
        ("reduced=true", false),
        ("", false),
    ] {
        assert_eq!(projection(query).is_partial(machines()), partial, "{query}");
    }
    assert!(!projection("params=a").is_partial(kind_of("tasks").unwrap()));
    assert!(projection("slim=Meta").leaves_out("Meta"));
    assert!(projection("reduced=true").leaves_out("CreatedAt"));
}

#[test]
fn own_machine_of_the_endpoint_is_left_out_on_request_by_query_or_by_stored_filter() {
    assert_eq!(names("exclude-self=True"), ["aa", "bb"]);
    assert_eq!(names("exclude-self=false"), ["aa", "bb", "cc"]);
    let mut query = parse("").unwrap();
    query.apply(&formwork_model::Filter { exclude_self: true, ..formwork_model::Filter::default() }).unwrap();
    assert_eq!(query.resolve(machines(), &some()).unwrap().conditions.len(), 1);
    let profiles =
        parse("exclude-self=true").unwrap().resolve(kind_of("profiles").unwrap(), &some()).unwrap();
    assert!(profiles.conditions.is_empty(), "others have no role");
}
