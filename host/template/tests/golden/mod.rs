//! Compares with `cases/`, whose expectations `main.go` makes with Go itself (`cargo xtask golden`).
//!
//! For a failure, Go and this crate must fail in the same phase and on the same line; words may differ. Where a
//! difference from Go is meant, the case says what is expected here instead, and why.

pub(crate) mod cases;
pub(crate) mod root;

use std::collections::BTreeSet;

use formwork_template::render;

use cases::{Case, FILES, all};

#[derive(Debug, PartialEq)]
enum Outcome {
    Text(String),
    /// The phase, and the line in it.
    Fails(String, u64),
}

fn fails(phase: &str, line: usize) -> Outcome {
    Outcome::Fails(phase.to_owned(), u64::try_from(line).unwrap())
}

fn run(case: &Case) -> (Outcome, String) {
    let template = match case.parse() {
        Ok(template) => template,
        Err(error) => return (fails("parse", error.line), error.to_string()),
    };
    match render(&case.set(), &template, &case.root(), &case.options()) {
        Ok(text) => (Outcome::Text(text), String::new()),
        Err(error) => (fails("render", error.line), error.to_string()),
    }
}

fn expected(case: &Case) -> Outcome {
    let json = &case.json;
    let ours = json["ours"].as_str().or_else(|| json["ours_fails"].as_str());
    assert_eq!(ours.is_some(), json["reason"].is_string(), "a difference has a reason: {json}");
    if let Some(text) = json["ours"].as_str().or_else(|| json["output"].as_str().filter(|_| ours.is_none())) {
        return Outcome::Text(text.to_owned());
    }
    let phase = ours.or_else(|| json["fails"].as_str());
    // Where only we fail, Go tells no line.
    Outcome::Fails(phase.expect("a case has an expectation").to_owned(), json["line"].as_u64().unwrap_or(1))
}

#[test]
fn every_file_of_cases_is_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cases");
    let there: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let known: BTreeSet<String> =
        FILES.iter().map(|(name, _)| *name).chain(["data"]).map(str::to_owned).collect();
    assert_eq!(there, known);
}

#[test]
fn results_are_those_of_go() {
    let cases = all();
    assert!(cases.len() > 1000);
    let mut wrong = Vec::new();
    for case in &cases {
        let (found, message) = run(case);
        let expected = expected(case);
        if found != expected {
            wrong.push(format!(
                "{} {}\n  expected {expected:?}\n  found    {found:?} {message}",
                case.file, case.json
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases differ\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// The functions of drp-behaviour.md 2.4 that public packs call, the most used first.
const OF_PACKS: &str = "eq trimSuffix get index not hasKey len lt join set printf and ne replace hasPrefix slice toJson \
                        trim or add toString int concat first list empty cat split contains has squote uniq regexFind \
                        regexMatch toPrettyJson lower trimPrefix atoi coalesce append le gt ge values float64 dict \
                        deepEqual mul add1 hasSuffix";

/// The constructs of drp-behaviour.md 2.1 that they are written with.
const FORMS: &[&str] = &[
    "{{if ",
    "{{else}}",
    "{{else if ",
    "{{range ",
    "{{range $i, $",
    "{{template \"",
    "{{- ",
    " -}}",
    "{{/*",
    " := ",
    " = ",
    ").",
    "{{$",
    ".Param \"",
    ".ParamExists \"",
    ".Machine.MacAddr \"",
    ".Machine.Path",
    ".ProvisionerURL",
];

/// What packs are written with renders as Go renders it; the packs themselves are not here.
#[test]
fn row_187_every_form_that_public_packs_use_renders_as_go_does() {
    let cases = all();
    // Where a difference from Go is meant, a case proves nothing here.
    let of_go: Vec<&Case> = cases
        .iter()
        .filter(|case| case.json["output"].is_string() && case.json["reason"].is_null())
        .collect();
    let proven = |uses: &dyn Fn(&str) -> bool| {
        of_go.iter().filter(|case| uses(case.text())).any(|case| run(case).0 == expected(case))
    };
    let calls = |text: &str, name: &str| {
        let word = |part: char| part.is_alphanumeric() || "_.$\"`".contains(part);
        text.match_indices(name).any(|(at, _)| {
            let (before, after) = (text[..at].chars().next_back(), text[at + name.len()..].chars().next());
            !before.is_some_and(word) && after.is_some_and(|next| next == ' ')
        })
    };
    let functions = OF_PACKS.split_whitespace().filter(|name| !proven(&|text| calls(text, name)));
    let forms = FORMS.iter().copied().filter(|form| !proven(&|text| text.contains(form)));
    let missing: Vec<&str> = functions.chain(forms).collect();
    assert!(missing.is_empty(), "no result of Go for {missing:?}");
}
