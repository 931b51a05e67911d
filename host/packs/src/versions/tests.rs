use proptest::prelude::*;

use super::*;

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

fn accepts(range: &str, text: &str) -> bool {
    range.parse::<Range>().unwrap().accepts(version(text))
}

#[test]
fn version_is_read_as_packs_write_it() {
    for (text, expected) in [
        ("1.2.3", (1, 2, 3)),
        ("v4.6.0-beta01.2+gabc", (4, 6, 0)),
        ("V1", (1, 0, 0)),
        ("1.2", (1, 2, 0)),
        ("1.2.3+7", (1, 2, 3)),
        (" v0.0.1 ", (0, 0, 1)),
        ("", (0, 0, 0)),
    ] {
        let (major, minor, patch) = expected;
        assert_eq!(Version::parse(text), Some(Version { major, minor, patch }), "{text}");
    }
    for text in ["tip", "1.2.3.4", "1..2", "1.x", "+1", "1.-2", "99999999999999999999", "-1", "1 2"] {
        assert_eq!(Version::parse(text), None, "{text}");
    }
    assert_eq!(Version::of_installed("tip"), Version::default());
}

#[test]
fn range_has_every_operator_and_both_ways_to_combine() {
    for (range, inside, outside) in [
        (">=1.2.0 <2.0.0", "1.9.9", "2.0.0"),
        (">=1.2.0, <2", "1.2.0", "1.1.9"),
        ("> v1.0.0", "1.0.1", "1.0.0"),
        ("<=1.0.0-rc1", "1.0.0", "1.0.1"),
        ("==1.0.0", "1.0.0", "1.0.1"),
        ("=1.0.0", "1.0.0", "0.9.9"),
        ("!=1.0.0", "1.0.1", "1.0.0"),
        ("1.0.0", "1.0.0", "1.0.1"),
        (">1<3", "2", "3"),
        ("<1.0.0 || >=2.0.0, !=2.1.0", "2.0.0", "2.1.0"),
        ("<1.0.0||>=2.0.0", "0.5.0", "1.5.0"),
    ] {
        assert!(accepts(range, inside), "{range} {inside}");
        assert!(!accepts(range, outside), "{range} {outside}");
    }
    assert!(accepts("", "0.0.0") && accepts("  ", "9"));
}

#[test]
fn text_that_is_no_range_is_refused_with_its_words() {
    for text in [">=", "~1.0", "^1", "1.0 ||", "||", "latest", ">= >1", ">=1.x", "=>1", ","] {
        let error = text.parse::<Range>().unwrap_err();
        assert_eq!(error.text, text);
    }
}

#[test]
fn comma_ends_a_prerequisite_unless_a_comparison_follows() {
    let names = |text: &str| -> Vec<(String, String)> {
        prerequisites(text).unwrap().into_iter().map(|need| (need.name, need.text)).collect()
    };
    let pair = |name: &str, range: &str| (name.to_owned(), range.to_owned());
    assert_eq!(names("core"), [pair("core", "")]);
    assert_eq!(
        names("task-library: >=4.2.0, core: >=1, <2, other"),
        [pair("task-library", ">=4.2.0"), pair("core", ">=1, <2"), pair("other", "")]
    );
    assert_eq!(names("core: >1.0, 2.0 || <0.5,1ab"), [pair("core", ">1.0, 2.0 || <0.5"), pair("1ab", "")]);
    assert_eq!(names(" , ,"), []);
    assert_eq!(prerequisites("core: newest").unwrap_err().text, "newest");
}

fn needs(text: &str) -> Vec<Prerequisite> {
    prerequisites(text).unwrap()
}

#[test]
fn need_that_is_not_met_says_what_is_there() {
    let found = unmet(&needs("aa: >=1, bb, cc: >1, dd: >0"), |name| match name {
        "aa" => Some("v1.0.0-tip"),
        "cc" => Some("1.0.0"),
        "dd" => Some(""),
        _ => None,
    });
    let words: Vec<String> = found.iter().map(Unmet::to_string).collect();
    assert_eq!(
        words,
        [
            "pack `bb` is needed, but not installed",
            "pack `cc` >1 is needed, but 1.0.0 is installed",
            "pack `dd` >0 is needed, but the installed one has no version",
        ]
    );
}

#[test]
fn set_of_packs_is_judged_as_it_would_be() {
    let (on_core, none) = (needs("core: >=2"), Vec::new());
    let set = |version| {
        [
            Installed { name: "app", version: "1.0.0", needs: &on_core },
            Installed { name: "core", version, needs: &none },
        ]
    };
    assert!(unmet_among(&set("2.1.0")).is_empty());
    let after_downgrade = unmet_among(&set("1.9.0"));
    assert_eq!(after_downgrade.len(), 1);
    assert_eq!(after_downgrade[0].0, "app");
    assert_eq!(dependants("core", &set("2.0.0")), ["app"]);
    assert_eq!(dependants("app", &set("2.0.0")), [""; 0]);
}

#[test]
fn circle_is_named_from_where_it_closes() {
    let texts = [("aa", "bb"), ("bb", "cc: >1, zz"), ("cc", "dd"), ("dd", "bb")];
    let parsed: Vec<_> = texts.iter().map(|(name, text)| (*name, needs(text))).collect();
    let packs: Vec<_> = parsed.iter().map(|(name, needs)| Installed { name, version: "1", needs }).collect();
    assert_eq!(cycle(&packs).unwrap(), ["bb", "cc", "dd", "bb"]);
    let own = needs("aa");
    assert_eq!(cycle(&[Installed { name: "aa", version: "", needs: &own }]).unwrap(), ["aa", "aa"]);
    assert_eq!(cycle(&packs[..3]), None);
}

#[test]
fn features_are_listed_by_commas_and_spaces() {
    let known = ["sprig", "workflows"];
    assert_eq!(missing_features("sprig,workflows", &known), [""; 0]);
    assert_eq!(missing_features(" sprig  tenants,\nroles,", &known), ["tenants", "roles"]);
}

fn any_version() -> impl Strategy<Value = Version> {
    (0..4_u64, 0..4_u64, 0..4_u64).prop_map(|(major, minor, patch)| Version { major, minor, patch })
}

proptest! {
    #[test]
    fn version_reads_what_it_writes(version in any_version(), prefix in "v?", suffix in "(-[a-z0-9.-]{0,8})?") {
        prop_assert_eq!(Version::parse(&format!("{prefix}{version}{suffix}")), Some(version));
    }

    /// Each operator means what it means for numbers, `,` and space mean "and", `||` means "or".
    #[test]
    fn range_means_what_its_operators_mean(
        version in any_version(),
        lists in prop::collection::vec(
            prop::collection::vec((0..7_usize, any_version(), " {0,2}", prop::sample::select(vec![" ", ", ", ","])), 1..4), 1..4),
    ) {
        let (mut texts, mut expected) = (Vec::new(), false);
        for list in &lists {
            let (mut text, mut all) = (String::new(), true);
            for (operator, bound, space, separator) in list {
                let (word, _) = Comparison::ALL[*operator];
                text.push_str(&format!("{word}{space}{bound}{separator}"));
                all &= match word {
                    "<" => version < *bound,
                    "<=" => version <= *bound,
                    ">" => version > *bound,
                    ">=" => version >= *bound,
                    "!=" => version != *bound,
                    _ => version == *bound,
                };
            }
            texts.push(text);
            expected |= all;
        }
        prop_assert_eq!(texts.join("||").parse::<Range>().unwrap().accepts(version), expected);
    }

    #[test]
    fn list_of_prerequisites_is_split_where_names_begin(
        entries in prop::collection::vec(("[a-u][a-z0-9-]{1,6}", 0..3_usize), 0..5),
    ) {
        let ranges = ["", ">=1.0.0, <2.0.0", ">1 || 0.5.0"];
        let text: Vec<String> = entries.iter().map(|(name, range)| match ranges[*range] {
            "" => name.clone(),
            range => format!("{name}: {range}"),
        }).collect();
        let found = prerequisites(&text.join(", ")).unwrap();
        let found: Vec<_> = found.iter().map(|need| (need.name.as_str(), need.text.as_str())).collect();
        let expected: Vec<_> = entries.iter().map(|(name, range)| (name.as_str(), ranges[*range])).collect();
        prop_assert_eq!(found, expected);
    }

    /// A circle is found exactly when sorting by needs gets stuck, and it is one.
    #[test]
    fn circle_is_found_when_there_is_one(edges in prop::collection::vec((0..6_usize, 0..6_usize), 0..12)) {
        let names = ["p0", "p1", "p2", "p3", "p4", "p5"];
        let lists: Vec<Vec<Prerequisite>> = (0..6).map(|from| {
            let needed: Vec<&str> = edges.iter().filter(|edge| edge.0 == from).map(|edge| names[edge.1]).collect();
            prerequisites(&needed.join(",")).unwrap()
        }).collect();
        let packs: Vec<_> = names.iter().zip(&lists).map(|(name, needs)| Installed { name, version: "", needs }).collect();
        let mut left: BTreeSet<usize> = (0..6).collect();
        while let Some(free) = left.iter().copied().find(|at| !edges.iter().any(|edge| edge.0 == *at && left.contains(&edge.1))) {
            left.remove(&free);
        }
        let found = cycle(&packs);
        prop_assert_eq!(found.is_some(), !left.is_empty());
        for step in found.unwrap_or_default().windows(2) {
            prop_assert!(edges.iter().any(|edge| names[edge.0] == step[0] && names[edge.1] == step[1]));
        }
    }

    #[test]
    fn no_text_makes_a_panic(text in "\\PC{0,40}", odd in "[v0-9.<>=!|,: a-]{0,30}") {
        for text in [text, odd] {
            let _ = (Version::parse(&text), text.parse::<Range>(), prerequisites(&text));
        }
    }
}
