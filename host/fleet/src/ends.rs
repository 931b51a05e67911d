//! How a simulated task ends.

use std::collections::BTreeMap;

use formwork_agent::{ActionEnd, Verdict};
use formwork_model::ExitState;
use serde::{Deserialize, Deserializer};

/// The words for ends beside exit codes.
const WORDS: [(&str, ActionEnd); 10] = [
    ("complete", ActionEnd::Verdict(Verdict::DONE)),
    ("failed", ActionEnd::Verdict(Verdict::FAILED)),
    ("killed", ActionEnd::Code(None)),
    ("stop", ActionEnd::Verdict(Verdict::done_and(ExitState::Stop))),
    ("poweroff", ActionEnd::Verdict(Verdict::done_and(ExitState::Poweroff))),
    ("reboot", ActionEnd::Verdict(Verdict::done_and(ExitState::Reboot))),
    ("incomplete", ActionEnd::Verdict(Verdict::incomplete_and(ExitState::Complete))),
    ("incomplete-stop", ActionEnd::Verdict(Verdict::incomplete_and(ExitState::Stop))),
    ("incomplete-poweroff", ActionEnd::Verdict(Verdict::incomplete_and(ExitState::Poweroff))),
    ("incomplete-reboot", ActionEnd::Verdict(Verdict::incomplete_and(ExitState::Reboot))),
];

/// How a task can end, each with its weight, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends(pub(crate) Vec<(ActionEnd, u32)>);

/// Reads one of the words, or an exit code from 0 to 255.
fn end(name: &str) -> Option<ActionEnd> {
    let word = WORDS.into_iter().find(|(word, _)| *word == name);
    word.map(|(_, end)| end).or_else(|| Some(ActionEnd::Code(Some(i32::from(name.parse::<u8>().ok()?)))))
}

impl<'de> Deserialize<'de> for Ends {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let named = BTreeMap::<String, u32>::deserialize(deserializer)?;
        let wrong = |name: &str| {
            let words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
            format!("no task ends with `{name}`\nhint: an exit code from 0 to 255, or {}", words.join(", "))
        };
        let read = |(name, weight): (String, u32)| match end(&name) {
            Some(end) => Ok((end, weight)),
            None => Err(serde::de::Error::custom(wrong(&name))),
        };
        named.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_words_or_exit_codes() {
        let ends: Ends = serde_saphyr::from_str("{complete: 9, 64: 1, killed: 2}").unwrap();
        assert_eq!(
            ends.0,
            [
                (ActionEnd::Code(Some(64)), 1),
                (ActionEnd::Verdict(Verdict::DONE), 9),
                (ActionEnd::Code(None), 2)
            ]
        );
        for wrong in ["{256: 1}", "{exploded: 1}", "{complete: -1}", "[complete]"] {
            assert!(serde_saphyr::from_str::<Ends>(wrong).is_err(), "{wrong}");
        }
    }
}
