//! Any patch of any document: it is applied whole, or refused with the document as it was.

use proptest::{prelude::*, sample::select};

use super::*;

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-c~/{}\"]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{1,2}", inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Pointers into documents like these, and others.
fn pointer() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[a-c]{1,2}",
        2 => (0..4_usize).prop_map(|index| index.to_string()),
        1 => select(vec!["-", "-1", "18446744073709551616", "99999999999", "01", "~0", "~1", "~2", "", "é"])
            .prop_map(str::to_owned),
    ];
    let whole = prop::collection::vec(part, 0..5)
        .prop_map(|parts| parts.iter().map(|part| format!("/{part}")).collect::<String>());
    prop_oneof![8 => whole, 1 => any::<String>()]
}

fn operation() -> impl Strategy<Value = Value> {
    let words = select(vec!["add", "remove", "replace", "move", "copy", "test", "increment", ""]);
    (words, pointer(), pointer(), document(), 0..16_u8).prop_map(|(op, path, from, value, without)| {
        let mut operation = json!({"op": op, "path": path, "from": from, "value": value});
        let members = operation.as_object_mut().unwrap();
        for (place, name) in ["op", "path", "from", "value"].into_iter().enumerate() {
            if without == u8::try_from(place).unwrap() {
                members.remove(name);
            }
        }
        operation
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_patch_is_applied_whole_or_leaves_the_document(
        document in document(),
        operations in prop::collection::vec(operation(), 0..8),
    ) {
        let Ok(patch) = parse(&Value::from(operations), "machines", "k") else { return Ok(()) };
        let mut before = document.clone();
        canonical_numbers(&mut before);
        let mut after = document;
        let hidden = Hidden { params: Some("/Params"), is_secret: &|_| true };
        match apply(&mut after, &patch, ("machines", "k"), hidden) {
            Ok(()) => prop_assert!(extent(&after, MAX_COPIED * 2).1 <= MAX_DEPTH),
            Err(error) => {
                prop_assert_eq!(error.code, 409);
                prop_assert_eq!(after, before);
            }
        }
    }
}
