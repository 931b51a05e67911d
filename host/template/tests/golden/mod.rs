//! Compares with `golden.json`, whose expectations `golden/main.go` makes with Go itself.
//!
//! For a failure, Go and this crate must fail in the same phase and on the same line; words may differ. Where a
//! difference from Go is meant, the case says what is expected here instead, and why.

use std::sync::Arc;

use formwork_template::{
    Arguments, CallError, Delimiters, Engine, Map, MissingKey, Object, RenderOptions, Template, TemplateSet,
    Value, render,
};
use serde_json::Value as Json;

/// The root of cases with objects; `golden/main.go` has the same one.
struct Root {
    params: Map,
    machine: Arc<Machine>,
}

struct Machine;

impl Object for Root {
    fn type_name(&self) -> &str {
        "*main.Root"
    }

    fn field(&self, name: &str) -> Option<Value> {
        (name == "Machine").then(|| Value::Object(self.machine.clone()))
    }

    fn call(&self, name: &str, args: &[Value], _: &mut Engine<'_>) -> Result<Option<Value>, CallError> {
        let arguments = Arguments::new(args);
        match name {
            "Param" => {
                let name = arguments.count(1, 1)?.text(0)?;
                self.params.get(name).map(Some).ok_or_else(|| format!("no such param \"{name}\"").into())
            }
            "ParamExists" => Ok(Some(self.params.contains_key(arguments.count(1, 1)?.text(0)?).into())),
            "ProvisionerURL" => {
                arguments.count(0, 0)?;
                Ok(Some("http://192.0.2.1:8091".into()))
            }
            _ => Ok(None),
        }
    }
}

impl Object for Machine {
    fn type_name(&self) -> &str {
        "*main.Machine"
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Name" => Some("m1".into()),
            "Address" => Some("192.0.2.7".into()),
            "Tasks" => Some(vec!["a".into(), "b".into()].into()),
            _ => None,
        }
    }

    fn call(&self, name: &str, args: &[Value], _: &mut Engine<'_>) -> Result<Option<Value>, CallError> {
        let arguments = Arguments::new(args);
        match name {
            "Path" => Ok(Some("machines/m1".into())),
            "MacAddr" => match arguments.count(1, 1)?.text(0)? {
                "pxelinux" => Ok(Some("01-aa-bb-cc-dd-ee-ff".into())),
                "ipxe" => Ok(Some("aa:bb:cc:dd:ee:ff".into())),
                _ => Err("no such format".into()),
            },
            _ => Ok(None),
        }
    }
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Text(String),
    ParseFails { line: usize },
    RenderFails { line: usize },
}

fn run(all: &Json, case: &Json) -> (Outcome, String) {
    let pairs = case["templates"].as_object().into_iter().flatten();
    let set = TemplateSet::parse(pairs.map(|(name, text)| (name, text.as_str().unwrap())));
    let delimiters = case["delimiters"].as_array().map_or_else(Delimiters::default, |pair| {
        Delimiters::new(pair[0].as_str().unwrap(), pair[1].as_str().unwrap())
    });
    let text = case["template"].as_str().unwrap();
    let template = match Template::parse_between("main", text, &delimiters) {
        Ok(template) => template,
        Err(error) => return (Outcome::ParseFails { line: error.line }, error.to_string()),
    };
    let root = if case["object"] == true {
        let Value::Map(params) = Value::from(&all["params"]) else { panic!("params are a map") };
        Value::object(Root { params, machine: Arc::new(Machine) })
    } else {
        Value::from(&all["data"])
    };
    let missing_key = if case["no_value"] == true { MissingKey::NoValue } else { MissingKey::Error };
    match render(&set, &template, &root, &RenderOptions { missing_key, ..RenderOptions::default() }) {
        Ok(text) => (Outcome::Text(text), String::new()),
        Err(error) => (Outcome::RenderFails { line: error.line }, error.to_string()),
    }
}

fn expected(case: &Json) -> Outcome {
    // Go's messages begin with `template: NAME:LINE`.
    let line = |message: &str| message.split(':').nth(2).unwrap().trim().parse().unwrap();
    if let Some(ours) = case["ours"].as_str() {
        assert!(case["reason"].is_string(), "a difference needs a reason: {case}");
        return Outcome::Text(ours.to_owned());
    }
    match (case["output"].as_str(), case["parse_error"].as_str(), case["error"].as_str()) {
        (Some(text), None, None) => Outcome::Text(text.to_owned()),
        (None, Some(message), None) => Outcome::ParseFails { line: line(message) },
        (None, None, Some(message)) => Outcome::RenderFails { line: line(message) },
        _ => panic!("a case has one expectation: {case}"),
    }
}

#[test]
fn results_are_those_of_go() {
    let all: Json = serde_json::from_str(include_str!("../golden.json")).unwrap();
    let cases = all["cases"].as_array().unwrap();
    assert!(cases.len() > 300);
    let mut wrong = Vec::new();
    for case in cases {
        let (found, message) = run(&all, case);
        let expected = expected(case);
        if found != expected {
            wrong.push(format!("{case}\n  expected {expected:?}\n  found    {found:?} {message}"));
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
    let all: Json = serde_json::from_str(include_str!("../golden.json")).unwrap();
    // Where a difference from Go is meant, a case proves nothing here.
    let of_go: Vec<&Json> = all["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["output"].is_string() && case["ours"].is_null())
        .collect();
    let proven = |uses: &dyn Fn(&str) -> bool| {
        let mut texts = of_go.iter().filter(|case| uses(case["template"].as_str().unwrap()));
        texts.any(|case| run(&all, case).0 == expected(case))
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
