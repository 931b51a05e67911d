//! The golden cases as their files have them.

use std::sync::LazyLock;

use formwork_template::{Delimiters, MissingKey, ParseError, RenderOptions, Template, TemplateSet, Value};
use serde_json::Value as Json;

use super::root::root;

/// The files of `cases/`, each with its text. `every_file_of_cases_is_read` fails when one is not here.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("comparison", include_str!("cases/comparison.json")),
    ("escapes", include_str!("cases/escapes.json")),
    ("index-len", include_str!("cases/index-len.json")),
    ("language", include_str!("cases/language.json")),
    ("methods", include_str!("cases/methods.json")),
    ("missing-keys", include_str!("cases/missing-keys.json")),
    ("nesting", include_str!("cases/nesting.json")),
    ("packs", include_str!("cases/packs.json")),
    ("parse-errors", include_str!("cases/parse-errors.json")),
    ("print", include_str!("cases/print.json")),
    ("printf", include_str!("cases/printf.json")),
    ("render-errors", include_str!("cases/render-errors.json")),
    ("sprig-json", include_str!("cases/sprig-json.json")),
    ("sprig-lists", include_str!("cases/sprig-lists.json")),
    ("sprig-maps", include_str!("cases/sprig-maps.json")),
    ("sprig-numbers", include_str!("cases/sprig-numbers.json")),
    ("sprig-regex", include_str!("cases/sprig-regex.json")),
    ("sprig-texts", include_str!("cases/sprig-texts.json")),
];

static SHARED: LazyLock<Json> =
    LazyLock::new(|| serde_json::from_str(include_str!("cases/data.json")).expect("data.json is JSON"));

fn shared(part: &str) -> Value {
    SHARED.get(part).map_or(Value::Nil, Value::from)
}

/// One case.
pub(crate) struct Case {
    /// The name of its file.
    pub(crate) file: &'static str,
    pub(crate) json: Json,
}

/// Returns all cases, in the order of the files.
pub(crate) fn all() -> Vec<Case> {
    let mut all = Vec::new();
    for (file, text) in FILES {
        let cases: Vec<Json> = serde_json::from_str(text).expect("a file of cases is a list");
        all.extend(cases.into_iter().map(|json| Case { file, json }));
    }
    all
}

impl Case {
    pub(crate) fn text(&self) -> &str {
        self.json.get("template").and_then(Json::as_str).expect("a case has a template")
    }

    /// Tells whether the case says this of itself.
    pub(crate) fn says(&self, what: &str) -> bool {
        self.json.get(what) == Some(&Json::Bool(true))
    }

    /// Returns the templates that the case may include.
    pub(crate) fn set(&self) -> TemplateSet {
        let pairs = self.json.get("templates").and_then(Json::as_object).into_iter().flatten();
        TemplateSet::parse(pairs.map(|(name, text)| (name, text.as_str().unwrap_or_default())))
    }

    pub(crate) fn parse(&self) -> Result<Template, ParseError> {
        let marks = self.json.get("delimiters");
        let mark = |index: usize| marks?.get(index)?.as_str();
        Template::parse_between(
            "main",
            self.text(),
            &Delimiters::new(mark(0).unwrap_or_default(), mark(1).unwrap_or_default()),
        )
    }

    pub(crate) fn root(&self) -> Value {
        if self.says("object") {
            let Value::Map(params) = shared("params") else { unreachable!("params are a map") };
            return root(params);
        }
        self.json.get("data").map_or_else(|| shared("data"), Value::from)
    }

    pub(crate) fn options(&self) -> RenderOptions {
        let missing_key = if self.says("no_value") { MissingKey::NoValue } else { MissingKey::Error };
        RenderOptions { missing_key, ..RenderOptions::default() }
    }
}
