//! Any bytes as a bundle: they are read or refused, and what is read is a bundle again when it is written.

use proptest::{prelude::*, sample::Index};

use super::*;

/// Bundles with all that the reader takes, to be broken.
const SEEDS: [&str; 3] = [
    "---\nmeta:\n  Name: lab\n  Version: v1.2.3\n  Order: 10\n  Writable: no\nsections:\n  profiles:\n    p1:\n      Name: \
     p1\n      Params:\n        a/b: [1, 0x1f, yes, ~, 1e3]\n        c: {d: |\n          two\n          lines\n        }\n",
    "meta: &m {Name: lab, Version: 1.0}\nsections:\n  tasks:\n    t1: {Name: t1, Templates: [{Name: x, Contents: \"{{.Env}}\\n\"}]}\n    \
     t2: {Name: t2, Meta: *m}\n",
    r#"{"meta": {"Name": "lab", "Version": "v1"}, "sections": {"params": {"a/b": {"Name": "a/b", "Schema": {"type": "string"}}}}}"#,
];

/// A change of a text at a place.
#[derive(Clone, Debug)]
enum Damage {
    Cut(Index),
    Insert(Index, Vec<u8>),
    Replace(Index, u8),
    Repeat(Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..16),
        prop::sample::select(vec![
            "&a ",
            "*a",
            "<<: *m\n",
            "!!binary ",
            "? ",
            "- ",
            ": ",
            "\t",
            "{{",
            "[[[[",
            "\n---\n",
            "\u{feff}"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), bytes).prop_map(|(place, bytes)| Damage::Insert(place, bytes)),
        (any::<Index>(), any::<u8>()).prop_map(|(place, byte)| Damage::Replace(place, byte)),
        (any::<Index>(), 1..200_usize).prop_map(|(place, times)| Damage::Repeat(place, times)),
    ]
}

fn damaged(text: &str, damages: &[Damage]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for damage in damages {
        if bytes.is_empty() {
            break;
        }
        match damage {
            Damage::Cut(place) => bytes.truncate(place.index(bytes.len())),
            Damage::Insert(place, more) => {
                let place = place.index(bytes.len());
                bytes.splice(place..place, more.iter().copied());
            }
            Damage::Replace(place, byte) => {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            Damage::Repeat(place, times) => {
                let place = place.index(bytes.len());
                let byte = bytes[place];
                bytes.splice(place..place, std::iter::repeat_n(byte, *times));
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn any_bytes_as_a_bundle_are_read_or_refused(
        seed in 0..SEEDS.len(),
        damages in prop::collection::vec(damage(), 0..6),
    ) {
        let bytes = damaged(SEEDS[seed], &damages);
        let Ok(content) = parse_content(&bytes) else { return Ok(()) };
        let written = serde_json::to_vec(&content).unwrap();
        prop_assert_eq!(parse_content(&written).unwrap(), content);
    }

    #[test]
    fn any_bytes_at_all_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = parse_content(&bytes);
    }
}
