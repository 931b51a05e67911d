//! The grammars of names (drp-api.md 3.4). All names have at least two characters.

/// Which characters a name may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameGrammar {
    /// A letter, then letters, numbers, space, `-`, `_` and `.`.
    Name,
    /// As [`NameGrammar::Name`], but may begin with a number: machine names and template ids.
    Machine,
    /// As [`NameGrammar::Name`] with `@`.
    User,
    /// As [`NameGrammar::Name`] with `/`.
    Param,
    /// As [`NameGrammar::Machine`] with `:`.
    Endpoint,
    /// Anything but control characters, one character or more: ids whose grammar the reference leaves open. No part between
    /// slashes is `.` or `..`, which clients take out of a path before they send it (RFC 3986, section 5.2.4).
    Id,
}

/// The longest name that is accepted, in bytes; a bound of ours, the reference names none.
const MAX_NAME_BYTES: usize = 255;

impl NameGrammar {
    /// Tells whether a text is a name of this grammar.
    #[must_use]
    pub fn accepts(self, name: &str) -> bool {
        if self == Self::Id {
            let is_plain = !name.chars().any(char::is_control)
                && !name.split('/').any(|part| matches!(part, "." | ".."));
            return is_plain && (1..=MAX_NAME_BYTES).contains(&name.len());
        }
        let by_number = matches!(self, Self::Machine | Self::Endpoint);
        let mut characters = name.chars();
        let first = characters.next().is_some_and(|c| c.is_alphabetic() || (by_number && c.is_numeric()));
        let mut rest = characters.peekable();
        first && rest.peek().is_some() && name.len() <= MAX_NAME_BYTES && rest.all(|c| self.continues(c))
    }

    fn continues(self, c: char) -> bool {
        c.is_alphanumeric()
            || c.is_numeric()
            || matches!(c, ' ' | '-' | '_' | '.')
            || (self == Self::User && c == '@')
            || (self == Self::Param && c == '/')
            || (self == Self::Endpoint && c == ':')
    }
}

/// Returns the validation message for a name that breaks its grammar, prefixed by the object's key.
#[must_use]
pub fn name_problem(grammar: NameGrammar, key: &str, name: &str) -> Option<String> {
    (!grammar.accepts(name)).then(|| format!("{key}: Invalid Name `{name}`"))
}

/// Returns the validation message for a name of something else that a member may hold; an empty one names nothing.
pub(crate) fn other_problem(key: &str, word: &str, name: &str) -> Option<String> {
    (!name.is_empty() && !NameGrammar::Name.accepts(name)).then(|| format!("{key}: Invalid {word} `{name}`"))
}

/// Returns the validation messages for a list of names of other things.
pub(crate) fn list_problems(key: &str, word: &str, names: &[String]) -> Vec<String> {
    let broken = names.iter().filter(|name| !NameGrammar::Name.accepts(name));
    broken.map(|name| format!("{key}: Invalid {word} `{name}`")).collect()
}

/// Returns the validation message for a word that is not among those that a member knows.
pub(crate) fn word_problem(key: &str, member: &str, word: &str, known: &[&str]) -> Option<String> {
    (!known.contains(&word)).then(|| format!("{key}: Invalid {member} `{word}`"))
}

/// Returns the validation message for a UUID that a member must hold: lower case, with hyphens (drp-api.md 3.1).
pub(crate) fn uuid_problem(key: &str, member: &str, uuid: &str) -> Option<String> {
    (!is_uuid(uuid)).then(|| format!("{key}: Invalid {member} `{uuid}`"))
}

/// Tells whether a text is a UUID as objects have it: lower case, with hyphens (drp-api.md 3.1).
#[must_use]
pub fn is_uuid(text: &str) -> bool {
    let groups = text.split('-').map(str::len);
    let is_hex = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f' | b'-');
    groups.eq([8, 4, 4, 4, 12]) && text.bytes().all(is_hex)
}

/// Returns the validation message for the name of a parameter that a member may hold; an empty one names nothing.
pub(crate) fn param_name_problem(key: &str, member: &str, name: &str) -> Option<String> {
    (!name.is_empty() && !NameGrammar::Param.accepts(name))
        .then(|| format!("{key}: Invalid {member} `{name}`"))
}

/// Returns the validation messages for lists of required and optional param names.
pub(crate) fn param_problems(key: &str, required: &[String], optional: &[String]) -> Vec<String> {
    let named = [("Required", required), ("Optional", optional)];
    named
        .iter()
        .flat_map(|(word, names)| names.iter().map(move |name| (*word, name)))
        .filter(|(_, name)| !NameGrammar::Param.accepts(name))
        .map(|(word, name)| format!("{key}: Invalid {word} Param `{name}`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_needs_two_characters_and_a_letter_first() {
        assert!(NameGrammar::Name.accepts("ab"));
        assert!(!NameGrammar::Name.accepts("a"));
        assert!(!NameGrammar::Name.accepts(""));
        assert!(!NameGrammar::Name.accepts("1a"));
        assert!(NameGrammar::Machine.accepts("1a"));
    }

    #[test]
    fn endpoint_names_may_hold_colons_and_free_ids_anything_that_prints() {
        assert!(NameGrammar::Endpoint.accepts("52:54:00"));
        assert!(!NameGrammar::Machine.accepts("52:54:00"));
        assert!(NameGrammar::Id.accepts("u") && NameGrammar::Id.accepts("user++ann++menu/top"));
        assert!(!NameGrammar::Id.accepts("") && !NameGrammar::Id.accepts("a\0b"));
        assert!(!NameGrammar::Id.accepts(&"a".repeat(256)));
        assert!(NameGrammar::Id.accepts("..a/b..") && NameGrammar::Id.accepts("a//b"));
        for name in [".", "..", "../x", "a/./b", "a/.."] {
            assert!(!NameGrammar::Id.accepts(name), "{name}");
        }
    }

    #[test]
    fn uuid_is_lower_case_with_hyphens() {
        let problem = |uuid| uuid_problem("k1", "Machine", uuid);
        assert_eq!(problem("3fa85f64-5717-4562-b3fc-2c963f66afa6"), None);
        for wrong in
            ["", "3FA85F64-5717-4562-B3FC-2C963F66AFA6", "3fa85f6457174562b3fc2c963f66afa6", "é-a-a-a-a"]
        {
            assert_eq!(problem(wrong), Some(format!("k1: Invalid Machine `{wrong}`")));
        }
    }

    #[test]
    fn slash_belongs_to_params_only() {
        assert!(NameGrammar::Param.accepts("a/b"));
        assert!(!NameGrammar::Name.accepts("a/b"));
    }
}
