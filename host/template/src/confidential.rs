//! What no message may quote, such as the values of secure params (drp-behaviour.md 8).
//!
//! The caller tells the values while a render reads them. Then every text that an error is made of goes through
//! [`Confidential::concealed`]:
//!
//! - A value of 6 bytes or more is found by its pieces: whatever in the text is 6 bytes or longer and a part of the
//!   value gives way to a placeholder, upper and lower case being the same. So a value that was cut, split or changed
//!   in case is found too. A piece that is shorter stays.
//! - A value of 4 or 5 bytes is found as a whole, within words as well.
//! - A shorter value is found where it is a word. Taking it out would tear the text up and tell the value by the gaps,
//!   so then the whole text is withheld.
//!
//! A value is looked for as it is, and as Go quotes it, in JSON, HTML, JavaScript and URLs, in base64 (inside of a longer
//! text too) and in hexadecimal. Members of lists and maps, and the names of these, count for themselves. What is computed
//! from a value in other ways, such as a checksum, is not found.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::Value as Json;

use crate::quote;

/// The bytes of a piece of a value that is found.
const PIECE: usize = 6;

/// The bytes of the shortest value that is found within words.
const SHORTEST: usize = 4;

/// How many values are kept, and how many bytes of them as JSON. With more, every message is withheld.
const VALUES: usize = 1000;
const BYTES: usize = 256 << 10;

/// The values that no message of a render may quote. Shared by the render and those that tell of its end.
#[derive(Default)]
pub struct Confidential(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Each with the placeholder that stands for it.
    values: Vec<(Arc<str>, Json)>,
    bytes: usize,
    overflows: bool,
}

impl Confidential {
    /// Adds a value; `what` says in a placeholder what it is, such as `secure param "bmc/password"`. An empty value and
    /// null are no secrets. At most 1000 values with 256 KiB of JSON are kept; with more, every message is withheld.
    pub fn add(&self, what: &str, value: &Json) {
        let mut known = self.known();
        let placeholder = format!("<{what}>");
        if known.overflows || known.values.iter().any(|(told, kept)| **told == placeholder && kept == value) {
            return;
        }
        known.bytes = known.bytes.saturating_add(value.to_string().len());
        known.overflows = known.values.len() >= VALUES || known.bytes > BYTES;
        if !known.overflows {
            known.values.push((placeholder.into(), value.clone()));
        }
    }

    /// Tells whether no value was added.
    pub fn is_empty(&self) -> bool {
        let known = self.known();
        known.values.is_empty() && !known.overflows
    }

    /// Returns a text with placeholders for all that it quotes, or words in its place; `None` when it quotes nothing.
    pub fn concealed(&self, text: &str) -> Option<String> {
        let known = self.known();
        if known.overflows && !text.is_empty() {
            return Some(withheld("more secrets than can be looked for"));
        }
        let mut search = Search::new(text, &known.values);
        for (at, (placeholder, value)) in known.values.iter().enumerate() {
            let mut leaves = BTreeSet::new();
            collect(value, &mut leaves);
            if leaves.iter().any(|leaf| leaf.len() < SHORTEST && search.has_word(leaf)) {
                return Some(withheld(placeholder));
            }
            let forms: BTreeSet<String> = leaves
                .iter()
                .filter(|leaf| leaf.len() >= SHORTEST)
                .flat_map(|leaf| forms(leaf))
                .chain(encoded(&value.to_string()))
                .collect();
            forms.iter().for_each(|form| search.mark(at, form));
        }
        search.finish(&known.values)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Confidential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Confidential").field("values", &self.known().values.len()).finish_non_exhaustive()
    }
}

/// What stands in place of a text that cannot be shown.
pub(crate) fn withheld(what: &str) -> String {
    format!("withheld, as it quotes {what}")
}

/// Collects the texts, numbers and truth values of a value, and the names of its members.
fn collect(value: &Json, leaves: &mut BTreeSet<String>) {
    match value {
        Json::Null => {}
        Json::String(text) => drop(leaves.insert(text.clone())),
        Json::Bool(_) | Json::Number(_) => drop(leaves.insert(value.to_string())),
        Json::Array(items) => items.iter().for_each(|item| collect(item, leaves)),
        Json::Object(members) => members.iter().for_each(|(name, member)| {
            leaves.insert(name.clone());
            collect(member, leaves);
        }),
    }
    leaves.remove("");
}

/// Returns a text as the functions and messages of templates write it.
fn forms(text: &str) -> Vec<String> {
    let inner = |quoted: String| {
        let chars = quoted.get(1..quoted.len().saturating_sub(1));
        chars.map(str::to_owned).unwrap_or_default()
    };
    let mut forms = vec![
        text.to_owned(),
        inner(quote::go(text, '"', false)),
        inner(quote::go(text, '"', true)),
        inner(quote::json(text, false)),
        inner(quote::json(text, true)),
        quote::html(text),
        quote::javascript(text),
        quote::query(text),
    ];
    forms.extend(encoded(text));
    forms
}

/// Returns a text in base64 and in hexadecimal. In base64 there are three forms: by how many bytes stand before it.
fn encoded(text: &str) -> Vec<String> {
    let mut forms = vec![text.bytes().map(|byte| format!("{byte:02x}")).collect()];
    for (before, skipped) in [(0, 0), (1, 2), (2, 3)] {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(text.as_bytes());
        // The last character may hold bits of what comes behind.
        let whole = skipped..bytes.len() * 8 / 6;
        for engine in [STANDARD, URL_SAFE] {
            forms.extend(engine.encode(&bytes).get(whole.clone()).map(str::to_owned));
        }
    }
    forms
}

/// A text in which values are looked for.
struct Search<'t> {
    text: &'t str,
    /// The same without upper case.
    lower: String,
    /// Where each piece of the text begins.
    pieces: HashMap<Vec<u8>, Vec<usize>>,
    /// Which value each byte belongs to.
    marks: Vec<Option<usize>>,
    /// Placeholders that are in the text already.
    kept: Vec<Range<usize>>,
}

impl<'t> Search<'t> {
    fn new(text: &'t str, values: &[(Arc<str>, Json)]) -> Self {
        let lower = text.to_ascii_lowercase();
        let found = |placeholder: &Arc<str>| -> Vec<Range<usize>> {
            text.match_indices(&**placeholder).map(|(at, found)| at..at + found.len()).collect()
        };
        let kept: Vec<Range<usize>> = values.iter().flat_map(|(placeholder, _)| found(placeholder)).collect();
        let mut pieces: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        for (at, piece) in lower.as_bytes().windows(PIECE).enumerate() {
            pieces.entry(piece.to_vec()).or_default().push(at);
        }
        Self { text, marks: vec![None; lower.len()], lower, pieces, kept }
    }

    /// Marks all that is a part of `form`.
    fn mark(&mut self, value: usize, form: &str) {
        let form = form.to_ascii_lowercase();
        if form.len() < SHORTEST {
            return;
        }
        let mut found: Vec<Range<usize>> = Vec::new();
        if form.len() < PIECE {
            found.extend(self.lower.match_indices(&form).map(|(at, found)| at..at + found.len()));
        }
        for piece in form.as_bytes().windows(PIECE) {
            found.extend(self.pieces.get(piece).into_iter().flatten().map(|at| *at..*at + PIECE));
        }
        for range in found {
            if self.is_kept(&range) {
                continue;
            }
            for mark in self.marks.get_mut(range).into_iter().flatten() {
                *mark = mark.or(Some(value));
            }
        }
    }

    /// Tells whether a word is in the text.
    fn has_word(&self, word: &str) -> bool {
        self.text.match_indices(word).any(|(at, found)| {
            let range = at..at + found.len();
            let before = self.text.get(..range.start).and_then(|text| text.chars().next_back());
            let after = self.text.get(range.end..).and_then(|text| text.chars().next());
            let is_alone = |next: Option<char>| !next.is_some_and(char::is_alphanumeric);
            is_alone(before) && is_alone(after) && !self.is_kept(&range)
        })
    }

    fn is_kept(&self, range: &Range<usize>) -> bool {
        self.kept.iter().any(|kept| kept.start < range.end && range.start < kept.end)
    }

    fn finish(self, values: &[(Arc<str>, Json)]) -> Option<String> {
        if self.marks.iter().all(Option::is_none) {
            return None;
        }
        let mut out = String::with_capacity(self.text.len());
        let mut marked = false;
        for (at, character) in self.text.char_indices() {
            let bytes = self.marks.get(at..at + character.len_utf8()).unwrap_or_default();
            let mark = bytes.iter().find_map(|mark| *mark);
            match mark.and_then(|value| values.get(value)) {
                Some((placeholder, _)) if !marked => out.push_str(placeholder),
                Some(_) => {}
                None => out.push(character),
            }
            marked = mark.is_some();
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const VALUE: &str = "p\"w<d> rocket\\skates";

    fn knowing(value: Json) -> Confidential {
        let known = Confidential::default();
        known.add("pin", &value);
        known
    }

    fn told(value: Json, text: &str) -> String {
        knowing(value).concealed(text).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn value_gives_way_to_its_name_in_whatever_way_it_is_written() {
        for form in forms(VALUE).iter().chain([&VALUE.to_uppercase(), &String::from("rocket\\ska")]) {
            let said = told(json!(VALUE), &format!("wrong=[{form}], go"));
            assert!(said.starts_with("wrong=[<pin>") && said.ends_with("], go"), "{form}: {said}");
            // The padding of base64 may stay.
            assert!(said.len() <= "wrong=[<pin>==], go".len(), "{form}: {said}");
        }
        let among = STANDARD.encode(format!("root:{VALUE}"));
        assert!(!told(json!(VALUE), &among).contains(&among[8..16]), "{among}");
    }

    #[test]
    fn members_and_their_names_count_for_themselves() {
        let value = json!({"password": ["rocket", 123456.5], "note": null, "on": true});
        let said = told(value.clone(), "no rocket nor 123456.5 by password");
        assert_eq!(said, "no <pin> nor <pin> by <pin>");
        assert!(told(value.clone(), &STANDARD.encode(value.to_string())).starts_with("<pin>"));
    }

    #[test]
    fn value_of_four_bytes_is_found_within_words_and_a_shorter_one_withholds_what_has_it_as_a_word() {
        assert_eq!(told(json!("r0ot"), "xr0ot, r0o"), "x<pin>, r0o");
        for (value, quotes) in [(json!("z"), "range over z."), (json!(5), "of 5 bytes"), (json!("é"), "é")]
        {
            assert_eq!(told(value, quotes), "withheld, as it quotes <pin>");
        }
        let other = "zero or 51 in \u{e9}t\u{e9}";
        for value in [json!("z"), json!(5), json!("t"), json!(""), json!(null), json!([])] {
            assert_eq!(told(value, other), other);
        }
    }

    #[test]
    fn text_is_concealed_once_even_if_its_placeholder_looks_like_the_value() {
        let known = Confidential::default();
        known.add("secure param \"bmc/password\"", &json!("password1"));
        let once = known.concealed("no template `password1`").unwrap();
        assert_eq!(once, "no template `<secure param \"bmc/password\">`");
        assert_eq!(known.concealed(&once), None);
    }

    #[test]
    fn characters_stay_whole() {
        assert_eq!(
            told(json!("\u{e4}\u{f6}\u{fc}x"), "\u{e9}\u{e4}\u{f6}\u{fc}x\u{e9}"),
            "\u{e9}<pin>\u{e9}"
        );
        // The last byte of one character and the first ones of the next are a piece by chance.
        assert_eq!(told(json!("\u{a4}xyzab"), "\u{e4}xyzab\u{e4}"), "<pin>\u{e4}");
    }

    #[test]
    fn with_too_many_values_nothing_is_shown() {
        let long = knowing(json!("x".repeat(BYTES)));
        assert_eq!(
            long.concealed("a").unwrap(),
            "withheld, as it quotes more secrets than can be looked for"
        );
        assert_eq!(long.concealed(""), None);
        let many = Confidential::default();
        (0..VALUES + 1).for_each(|number| many.add("pin", &json!(number + 1000)));
        assert!(many.concealed("a").is_some());
        let same = Confidential::default();
        (0..VALUES + 1).for_each(|_| same.add("pin", &json!(1000)));
        assert_eq!(same.concealed("a"), None, "the same value counts once");
    }
}
