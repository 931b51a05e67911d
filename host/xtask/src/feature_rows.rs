//! The numbered features that tests prove: each row of the feature table has a test that begins with `row_` and its
//! number of three digits. Rows that no test can prove yet are listed here, with what they wait for.

use std::{
    collections::BTreeSet,
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

/// The rows that are to be proven: the machine model, and the wider features that it relies on.
const PROVEN: [RangeInclusive<u16>; 2] = [1..=75, 187..=200];

/// Rows of these that no test proves, and why.
const NOT_YET: &[(u16, &str)] = &[(194, "an endpoint stands alone: there is no other to take over from it")];

/// Calls `visit` for the text of each Rust source below a folder.
fn sources(folder: &Path, visit: &mut dyn FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, visit);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            visit(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}

/// Returns the tests that name a row, by file; the number comes first.
fn tests() -> Vec<(u16, String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for folder in ["host", "tests"] {
        sources(&root.join(folder), &mut |path, text| {
            for (start, _) in text.match_indices("fn row_") {
                let name: String = text[start + 3..]
                    .chars()
                    .take_while(|next| next.is_alphanumeric() || *next == '_')
                    .collect();
                // What is no number is a test about a row of something else.
                let number = name.split('_').nth(1).filter(|word| word.len() == 3);
                if let Some(number) = number.and_then(|word| word.parse().ok()) {
                    let attributed =
                        text[..start].trim_end().trim_end_matches("async").trim_end().ends_with("test]");
                    assert!(attributed, "{}: `{name}` is no test", path.display());
                    found.push((number, name, path.to_owned()));
                }
            }
        });
    }
    found
}

#[test]
fn every_row_has_a_test_or_a_reason() {
    let tests = tests();
    let proven: BTreeSet<u16> = tests.iter().map(|(number, ..)| *number).collect();
    let excused: BTreeSet<u16> = NOT_YET.iter().map(|(number, _)| *number).collect();
    let wanted: BTreeSet<u16> = PROVEN.into_iter().flatten().collect();
    let missing: Vec<_> =
        wanted.iter().filter(|row| !proven.contains(row) && !excused.contains(row)).collect();
    assert!(missing.is_empty(), "no test is called `row_NNN_...` for the rows {missing:?}");
    let stale: Vec<_> = excused.iter().filter(|row| proven.contains(row) || !wanted.contains(row)).collect();
    assert!(stale.is_empty(), "the rows {stale:?} need no excuse any more");
}

#[test]
fn each_row_has_one_test() {
    let mut tests = tests();
    tests.sort();
    let twice: Vec<_> = tests.windows(2).filter(|pair| pair[0].0 == pair[1].0).collect();
    assert!(twice.is_empty(), "{twice:#?}");
}
