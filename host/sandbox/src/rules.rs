//! The rules that an answer must keep before anybody acts on it: a component decides, the host keeps the rules.

use std::collections::HashSet;

use serde::de::IgnoredAny;

use crate::workflow::MAX_PLAN_ENTRIES;
use crate::{Answer, Change, LimitName, PluginDescription, Question, Resolution};

/// Most actions of a plugin, and most patterns of events.
const MAX_DESCRIBED: usize = 100;

/// Most findings of an upgrade step.
const MAX_FINDINGS: usize = 100;

/// Longest name of a plugin, an action or a parameter.
const MAX_NAME_BYTES: usize = 128;

/// An answer broke a rule.
pub(crate) enum Broken {
    /// It is larger than it may be.
    Limit(LimitName),
    /// It is none of the answers that there are, in words.
    Rule(String),
}

impl From<String> for Broken {
    fn from(words: String) -> Self {
        Self::Rule(words)
    }
}

/// Checks an answer against its question.
pub(crate) fn check(question: &Question, answer: &Answer) -> Result<(), Broken> {
    match (question, answer) {
        (_, Answer::Plan(Ok(list))) if list.len() > MAX_PLAN_ENTRIES => {
            Err(Broken::Limit(LimitName::PlanEntries))
        }
        (Question::Rank(_, targets), Answer::Choices(Ok(choices))) => {
            let listed: HashSet<_> = targets.iter().map(|target| target.name.as_str()).collect();
            let mut seen = HashSet::new();
            for choice in choices {
                let target = choice.target.as_str();
                if !listed.contains(target) || !seen.insert(target) {
                    return Err(
                        format!("target `{}` was not listed, or is chosen twice", short(target)).into()
                    );
                }
            }
            Ok(())
        }
        (_, Answer::Resolution(Resolution::Merge(json)))
        | (_, Answer::Object(Ok(Some(json))))
        | (_, Answer::Change(Ok(Change::Replace(json)))) => object(json),
        (_, Answer::Acted(Ok(json))) => value(json),
        (_, Answer::Findings(findings)) if findings.len() > MAX_FINDINGS => {
            Err(format!("there are more than {MAX_FINDINGS} findings").into())
        }
        (_, Answer::Description(description)) => described(description),
        _ => Ok(()),
    }
}

/// Checks that a text is JSON.
fn value(json: &str) -> Result<(), Broken> {
    serde_json::from_str::<IgnoredAny>(json)
        .map(drop)
        .map_err(|error| format!("it is not JSON: {error}").into())
}

/// Checks that a text is a JSON object.
fn object(json: &str) -> Result<(), Broken> {
    value(json)?;
    if json.trim_start().starts_with('{') { Ok(()) } else { Err("it is not a JSON object".to_owned().into()) }
}

/// Checks what a plugin says of itself.
fn described(description: &PluginDescription) -> Result<(), Broken> {
    let PluginDescription { name, actions, events, .. } = description;
    if actions.len() > MAX_DESCRIBED || events.len() > MAX_DESCRIBED {
        return Err(format!("there are more than {MAX_DESCRIBED} actions or events").into());
    }
    let names = actions.iter().map(|action| &action.name);
    if let Some(name) = names.chain([name]).find(|name| !is_name(name)) {
        return Err(format!("`{}` is no name: it takes lower case, digits and hyphens", short(name)).into());
    }
    let mut seen = HashSet::new();
    if let Some(action) = actions.iter().find(|action| !seen.insert((&action.name, &action.model))) {
        return Err(format!("action `{}` is there twice for `{}`", action.name, short(&action.model)).into());
    }
    match events.iter().find(|event| event.splitn(3, '.').filter(|part| !part.is_empty()).count() != 3) {
        Some(event) => Err(format!("event `{}` is not `TYPE.ACTION.KEY`", short(event)).into()),
        None => Ok(()),
    }
}

/// Whether a name can be used in paths and in messages.
fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(fits)
}

/// The beginning of a text that somebody else wrote.
fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Choice, PluginAction, Subject, Target};

    fn words(question: &Question, answer: &Answer) -> String {
        match check(question, answer) {
            Ok(()) => String::new(),
            Err(Broken::Rule(words)) => words,
            Err(Broken::Limit(limit)) => limit.to_string(),
        }
    }

    #[test]
    fn a_policy_chooses_among_the_listed_targets_each_once() {
        let targets = ["a", "b"].map(|name| Target { name: name.to_owned(), ..Target::default() });
        let question = Question::Rank(Subject::default(), targets.to_vec());
        let answer = |names: &[&str]| {
            let choice = |name: &&str| Choice { target: (*name).to_owned(), reason: String::new() };
            Answer::Choices(Ok(names.iter().map(choice).collect()))
        };
        assert_eq!(words(&question, &answer(&["b", "a"])), "");
        assert!(words(&question, &answer(&["c"])).contains("`c`"));
        assert!(words(&question, &answer(&["a", "a"])).contains("`a`"));
    }

    #[test]
    fn objects_and_results_are_json() {
        let question = Question::Forward { prefix: "machines".to_owned(), object: "{}".to_owned() };
        let replaced = |json: &str| Answer::Change(Ok(Change::Replace(json.to_owned())));
        assert_eq!(words(&question, &replaced(r#"{"Name":"n"}"#)), "");
        assert_eq!(words(&question, &replaced("[1]")), "it is not a JSON object");
        assert!(words(&question, &replaced("{")).starts_with("it is not JSON"));
        let acted = |json: &str| Answer::Acted(Ok(json.to_owned()));
        assert_eq!(words(&Question::Describe, &acted("\"on\"")), "");
        assert!(words(&Question::Describe, &acted("on")).starts_with("it is not JSON"));
    }

    #[test]
    fn a_plugin_names_itself_its_actions_and_its_events_in_order() {
        let plugin = PluginDescription {
            name: "redfish".to_owned(),
            actions: vec![PluginAction { name: "power-on".to_owned(), ..PluginAction::default() }],
            events: vec!["machines.*.*".to_owned()],
            ..PluginDescription::default()
        };
        let told = |plugin: PluginDescription| words(&Question::Describe, &Answer::Description(plugin));
        assert_eq!(told(plugin.clone()), "");
        assert!(
            told(PluginDescription { name: "Red Fish".to_owned(), ..plugin.clone() }).contains("Red Fish")
        );
        let twice = [plugin.actions.clone(), plugin.actions.clone()].concat();
        assert!(told(PluginDescription { actions: twice, ..plugin.clone() }).contains("twice"));
        let events = vec!["machines.update".to_owned()];
        assert!(told(PluginDescription { events, ..plugin }).contains("TYPE.ACTION.KEY"));
    }
}
