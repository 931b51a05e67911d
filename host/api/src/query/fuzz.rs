//! Any text as a query: it is read or refused, and what is read can be asked of any object.

use formwork_model::{KINDS, Kind, Object};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;

/// No objects, so that names mean members only.
struct Nothing;

impl Objects for Nothing {
    fn find(&self, _: &str, _: &str) -> Option<std::sync::Arc<dyn Object>> {
        None
    }

    fn visit(&self, _: &str, _: &mut dyn FnMut(&std::sync::Arc<dyn Object>) -> bool) {}

    fn count(&self, _: &str) -> usize {
        0
    }
}

/// Words that mean something, in places where they do and where they do not, and any others.
fn word() -> impl Strategy<Value = String> {
    let known: Vec<&'static str> = "Name Uuid Tasks Params Meta.x Address ExpireTime Available limit offset sort reverse \
                                    slim params aggregate decode filter raw group-by range-only Eq Ne Lt Lte Gt Gte \
                                    Between Except In Nin Re a/b"
        .split_whitespace()
        .collect();
    prop_oneof![
        4 => select(known).prop_map(str::to_owned),
        2 => any::<String>(),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => "[()\\[\\]{}*+?|.,\\\\=^$]{0,12}",
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        word(),
        (word(), word()).prop_map(|(operator, text)| format!("{operator}({text})")),
        (word(), word(), word()).prop_map(|(operator, low, high)| format!("{operator}({low},{high})")),
        (word(), word()).prop_map(|(operator, text)| format!("{operator}={text}")),
        (word(), word()).prop_map(|(operator, text)| format!("{operator}({text}")),
    ]
}

fn kind() -> impl Strategy<Value = &'static Kind> {
    select(KINDS).prop_map(|kind| kind)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_query_is_read_or_refused(
        kind in kind(),
        pairs in prop::collection::vec((word(), value()), 0..8),
        text in any::<String>(),
    ) {
        let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let Ok(query) = ListQuery::parse(pairs) else { return Ok(()) };
        let Ok(resolved) = query.resolve(kind, &Nothing) else { return Ok(()) };
        for condition in &resolved.conditions {
            for value in [Value::Null, json!(true), json!(1.5), json!(text), json!([text, 1]), json!({"a": [text]})] {
                let _ = condition.accepts(Some(&value));
            }
            let _ = condition.accepts(None);
            let _ = condition.spans();
            let _ = condition.values();
        }
    }
}
