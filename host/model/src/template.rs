//! Templates, and the template entries of boot environments, stages and tasks (drp-api.md 7.1, 7.2).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Header, Kind, Meta, Missing, NameGrammar, Reference, name_problem, object::object};

/// A named text that others include or point at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Template {
    /// The key; it may begin with a digit.
    #[serde(rename = "ID")]
    pub id: String,
    /// One line for people.
    pub description: String,
    /// The text in Go template syntax.
    pub contents: String,
    /// What opens an action instead of two braces; empty for the default.
    pub start_delimiter: String,
    /// What closes an action instead of two braces; empty for the default.
    pub end_delimiter: String,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind =
    Kind { columns: &["ID", "Description", "Bundle"], ..Kind::of::<Template>("templates", "ID", "template") };

object!(Template, KIND, key = |template| template.id.clone(), problems = problems);

fn problems(template: &Template) -> Vec<String> {
    name_problem(NameGrammar::Machine, &template.id, &template.id).into_iter().collect()
}

/// A text or script that belongs to a boot environment, a stage or a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct TemplateInfo {
    /// What the entry is called; unique within its list.
    pub name: String,
    /// A template of the path to serve or write; empty on a task means a script to execute.
    pub path: String,
    /// The template object that holds the text.
    #[serde(rename = "ID")]
    pub id: String,
    /// The text itself; exactly one of `ID` and `Contents`, unless `Link` is set.
    pub contents: String,
    /// A template of the path of another file that is served at `Path` instead.
    pub link: String,
    /// Free words; a task's entries use `OS` and `Interpreter`.
    pub meta: Meta,
    /// What opens an action instead of two braces.
    pub start_delimiter: String,
    /// What closes an action instead of two braces.
    pub end_delimiter: String,
}

/// Returns what is wrong with a list of template entries.
pub(crate) fn entry_problems(key: &str, entries: &[TemplateInfo], path_needed: bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        if entry.name.is_empty() {
            found.push(format!("{key}: Template[{index}] is missing a Name"));
        } else if let Some(first) = seen.insert(&entry.name, index) {
            found.push(format!("{key}: Template {first} and {index} have the same name {}", entry.name));
        }
        if path_needed && entry.path.is_empty() {
            found.push(format!("{key}: Template[{index}] is missing a Path"));
        }
        // Machines fetch these files; a task writes its own where it says.
        if path_needed && entry.path.split('/').any(|part| part.trim() == "..") {
            found.push(format!("{key}: Template[{index}] has a Path that leads elsewhere: `{}`", entry.path));
        }
        if entry.id.is_empty() && entry.contents.is_empty() && entry.link.is_empty() {
            found.push(format!("{key}: Template[{index}] must have either an ID, a Link, or Contents set"));
        }
        if !entry.id.is_empty() && !entry.contents.is_empty() {
            found.push(format!("{key}: Template[{index}] has both an ID and Contents"));
        }
    }
    found
}

/// Returns what a list of template entries needs of template objects.
pub(crate) fn entry_references(key: &str, entries: &[TemplateInfo]) -> Vec<Reference> {
    entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| !entry.id.is_empty())
        .map(|(index, entry)| Reference {
            prefix: "templates",
            key: entry.id.clone(),
            missing: Missing::Refused,
            message: format!("{key}: Template[{index}] names template {}, which does not exist", entry.id),
            unavailable: None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn template_keeps_all_members() {
        let members = json!({
            "ID": "7-lines.tmpl", "Description": "seven", "Contents": "{{.Machine.Name}}", "StartDelimiter": "<%",
            "EndDelimiter": "%>",
        });
        round_trip("templates", members);
    }

    #[test]
    fn template_entry_has_a_name_a_path_and_one_source_of_its_text() {
        let entry = |name: &str, path: &str, id: &str, contents: &str| TemplateInfo {
            name: name.into(),
            path: path.into(),
            id: id.into(),
            contents: contents.into(),
            ..TemplateInfo::default()
        };
        let entries = [entry("", "p", "t", ""), entry("n", "", "", ""), entry("n", "p", "t", "text")];
        let wanted = [
            "k: Template[0] is missing a Name",
            "k: Template[1] is missing a Path",
            "k: Template[1] must have either an ID, a Link, or Contents set",
            "k: Template 1 and 2 have the same name n",
            "k: Template[2] has both an ID and Contents",
        ];
        assert_eq!(entry_problems("k", &entries, true), wanted);
        let outside = [entry("n", "a/../../b", "t", "")];
        assert_eq!(
            entry_problems("k", &outside, true),
            ["k: Template[0] has a Path that leads elsewhere: `a/../../b`"]
        );
        assert!(entry_problems("k", &outside, false).is_empty());
    }
}
