use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{PackFile, from_content};

fn component(name: &str, digest: &str, grants: &[&str], limits: &[(&str, u64)]) -> ComponentRecord {
    ComponentRecord {
        name: name.to_owned(),
        digest: digest.repeat(64),
        grants: grants.iter().map(|line| (*line).to_owned()).collect(),
        limits: limits.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        ..ComponentRecord::default()
    }
}

fn shape(version: &str, tasks: Value, components: &[ComponentRecord], file: &str) -> PackShape {
    let content = json!({"meta": {"Name": "xy", "Version": version}, "sections": {"tasks": tasks}});
    let mut pack = from_content(serde_json::from_value(content).unwrap()).unwrap();
    pack.files.push(PackFile { path: "a.txt".into(), digest: file.into(), bytes: bytes::Bytes::new() });
    let of_pack = PackShape::from(&pack);
    assert_eq!(of_pack.version, version);
    PackShape { components: PackShape::new("", [], components).components, ..of_pack }
}

#[test]
fn all_changes_are_told_and_only_wider_grants_need_consent() {
    let old = shape(
        "1.0.0",
        json!({"same": {}, "gone": {}, "other": {"Description": "a"}}),
        &[
            component("kept", "a", &["params: read inventory/*", "files: /sys ro"], &[("fuel", 5)]),
            component("lost", "b", &[], &[]),
        ],
        "d1",
    );
    let new = shape(
        "1.1.0",
        json!({"same": {}, "fresh": {}, "other": {"Description": "b", "Meta": {"x": "y"}}}),
        &[
            component(
                "kept",
                "c",
                &["params: read inventory/cpu", "params: write inventory/cpu"],
                &[("host-calls", 9)],
            ),
            component("made", "d", &["clock"], &[]),
        ],
        "d2",
    );
    let difference = Difference::between(&old, &new);
    assert!(difference.needs_consent() && !difference.is_empty());
    assert_eq!(
        difference.to_string(),
        "version 1.0.0 -> 1.1.0\n\
         + tasks:fresh\n\
         - tasks:gone\n\
         ~ tasks:other: Description, Meta\n\
         ~ a.txt\n\
         ~ component kept aaaaaaaaaaaa -> cccccccccccc, fuel 5 -> default, host-calls default -> 9\n\
         - component lost bbbbbbbbbbbb\n\
         + component made dddddddddddd\n\
         ! component kept may also `params: write inventory/cpu`\n\
         ! component made may also `clock`\n  \
         component kept no longer may `files: /sys ro`\n  \
         component kept no longer may `params: read inventory/*`"
    );
    let back = Difference::between(&new, &old);
    assert_eq!(back.wider, difference.narrower);
    assert!(Difference::between(&old, &old).is_empty());
}

#[test]
fn narrower_grants_alone_need_no_consent() {
    let of = |grants: &[&str]| shape("1", json!({}), &[component("cc", "a", grants, &[])], "");
    let old = of(&["params: write *", "kv: rw", "files: /var/lib rw", "http: https://bmc.example/*"]);
    let new =
        of(&["params: write a/*", "kv: ro", "files: /var/lib/x ro", "http: https://bmc.example/redfish/*"]);
    let difference = Difference::between(&old, &new);
    assert!(!difference.needs_consent(), "{difference}");
    assert_eq!(difference.narrower.len(), 4);
}

#[test]
fn the_same_grant_of_another_component_does_not_count() {
    let old = PackShape::new("1", [], &[component("one", "a", &["kv: rw"], &[])]);
    let new = PackShape::new("2", [], &[component("two", "a", &["kv: rw"], &[])]);
    let expected = PackGrant { component: "two".into(), line: "kv: rw".into() };
    assert_eq!(Difference::between(&old, &new).wider, [expected]);
}

#[test]
fn lines_cover_what_they_allow_and_nothing_else() {
    for (held, wanted) in [
        ("params: read inventory/*", "params:  read  inventory/nics/0"),
        ("params: read a*c*e", "params: read abc*de"),
        ("secrets: ipmi/*", "secrets: ipmi/password"),
        ("files: /sys ro", "files: /sys/class ro"),
        ("files: isos rw", "files: isos ro"),
        ("files: / ro", "files: /sys ro"),
        ("http: https://bmc.example/*", "http: https://bmc.example/redfish/v1"),
        ("exec: lshw", "exec: lshw"),
        ("clock", "clock"),
    ] {
        assert!(covers(held, wanted), "{held} | {wanted}");
    }
    for (held, wanted) in [
        ("params: read inventory/*", "params: write inventory/cpu"),
        ("params: write x", "params: read x"),
        ("params: read inventory/cpu", "params: read inventory/*"),
        ("params: read a*a", "params: read a"),
        ("secrets: ipmi/*", "params: read ipmi/password"),
        ("files: /sys ro", "files: /system ro"),
        ("files: /sys ro", "files: /sys rw"),
        ("files: /sys ro", "files: /sys/../etc ro"),
        ("kv: ro", "kv: rw"),
        ("http: https://bmc*", "http: https://bmc.evil.example/"),
        ("http: https://*.example/*", "http: https://a/b.example/"),
        ("http: https://bmc.example/a/*", "http: https://bmc.example/a/../b"),
        ("http: https://bmc.example/*", "http: http://bmc.example/x"),
        ("exec: ls*", "exec: lshw"),
        ("exec: lshw", "exec: lshw -json"),
    ] {
        assert!(!covers(held, wanted), "{held} | {wanted}");
    }
}

proptest! {
    /// Whatever fits the wanted pattern must fit the held one: fill its stars with anything and look.
    #[test]
    fn covered_pattern_allows_nothing_that_its_cover_does_not(
        held in "[ab*]{0,6}",
        wanted in "[ab*]{0,6}",
        filling in prop::collection::vec("[ab]{0,3}", 6),
    ) {
        if pattern_covers(&held, &wanted) {
            let mut name = String::new();
            let mut fillings = filling.iter();
            for c in wanted.chars() {
                match c {
                    '*' => name.push_str(fillings.next().unwrap()),
                    c => name.push(c),
                }
            }
            prop_assert!(pattern_covers(&held, &name), "{held} {wanted} {name}");
        }
    }
}
