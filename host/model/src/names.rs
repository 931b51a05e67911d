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
}

/// The longest name that is accepted, in bytes; a bound of ours, the reference names none.
const MAX_NAME_BYTES: usize = 255;

impl NameGrammar {
    /// Tells whether a text is a name of this grammar.
    #[must_use]
    pub fn accepts(self, name: &str) -> bool {
        let mut characters = name.chars();
        let first =
            characters.next().is_some_and(|c| c.is_alphabetic() || (self == Self::Machine && c.is_numeric()));
        let mut rest = characters.peekable();
        first && rest.peek().is_some() && name.len() <= MAX_NAME_BYTES && rest.all(|c| self.continues(c))
    }

    fn continues(self, c: char) -> bool {
        c.is_alphanumeric()
            || c.is_numeric()
            || matches!(c, ' ' | '-' | '_' | '.')
            || (self == Self::User && c == '@')
            || (self == Self::Param && c == '/')
    }
}

/// Returns the validation message for a name that breaks its grammar, prefixed by the object's key.
#[must_use]
pub fn name_problem(grammar: NameGrammar, key: &str, name: &str) -> Option<String> {
    (!grammar.accepts(name)).then(|| format!("{key}: Invalid Name `{name}`"))
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
    fn slash_belongs_to_params_only() {
        assert!(NameGrammar::Param.accepts("a/b"));
        assert!(!NameGrammar::Name.accepts("a/b"));
    }
}
