//! SPDX licence expressions, as annex D of the SPDX 2.3 specification defines them, and the older `A/B` of Cargo
//! manifests, which means `A OR B`.

use std::iter::Peekable;
use std::vec::IntoIter;

use anyhow::{Result, bail};

/// How deep brackets may nest.
const MAX_DEPTH: usize = 16;

/// Returns whether `expression` can be met with the licences that `allowed` accepts.
///
/// A licence with an exception is asked for as one: `Apache-2.0 WITH LLVM-exception`.
///
/// # Errors
/// An expression that is malformed or nests more than 16 brackets.
pub(super) fn satisfied(expression: &str, allowed: impl Fn(&str) -> bool) -> Result<bool> {
    let mut parser = Parser { words: words(expression).into_iter().peekable(), allowed };
    let met = parser.any(0)?;
    match parser.words.next() {
        None => Ok(met),
        Some(word) => bail!("`{word}` is left over"),
    }
}

struct Parser<F> {
    words: Peekable<IntoIter<String>>,
    allowed: F,
}

impl<F: Fn(&str) -> bool> Parser<F> {
    fn any(&mut self, depth: usize) -> Result<bool> {
        let mut met = self.all(depth)?;
        while self.took("OR") || self.took("/") {
            met |= self.all(depth)?;
        }
        Ok(met)
    }

    fn all(&mut self, depth: usize) -> Result<bool> {
        let mut met = self.one(depth)?;
        while self.took("AND") {
            met &= self.one(depth)?;
        }
        Ok(met)
    }

    fn one(&mut self, depth: usize) -> Result<bool> {
        if self.took("(") {
            if depth == MAX_DEPTH {
                bail!("more than {MAX_DEPTH} brackets deep");
            }
            let met = self.any(depth + 1)?;
            if !self.took(")") {
                bail!("a bracket is not closed");
            }
            return Ok(met);
        }
        let licence = self.name()?;
        if !self.took("WITH") {
            return Ok((self.allowed)(&licence));
        }
        let exception = self.name()?;
        Ok((self.allowed)(&format!("{licence} WITH {exception}")))
    }

    fn name(&mut self) -> Result<String> {
        match self.words.next() {
            None => bail!("it ends too early"),
            Some(word) if ["AND", "OR", "WITH", "/", "(", ")"].contains(&word.as_str()) => {
                bail!("`{word}` stands where a licence should")
            }
            Some(word) => Ok(word),
        }
    }

    fn took(&mut self, word: &str) -> bool {
        self.words.next_if(|next| next == word).is_some()
    }
}

fn words(expression: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(expression.len() + 8);
    for letter in expression.chars() {
        if matches!(letter, '(' | ')' | '/') {
            spaced.extend([' ', letter, ' ']);
        } else {
            spaced.push(letter);
        }
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(expression: &str) -> bool {
        satisfied(expression, |name| ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].contains(&name))
            .unwrap()
    }

    #[test]
    fn one_side_of_or_is_enough_and_both_of_and_are_needed() {
        assert!(met("MIT OR GPL-2.0-only"));
        assert!(met("GPL-2.0-only/MIT"));
        assert!(met("MIT AND ISC"));
        assert!(!met("MIT AND GPL-2.0-only"));
        assert!(!met("GPL-2.0-only"));
    }

    #[test]
    fn and_binds_tighter_than_or_and_brackets_tighter_still() {
        assert!(met("MIT OR ISC AND GPL-2.0-only"));
        assert!(!met("(MIT OR ISC) AND GPL-2.0-only"));
        assert!(met("(GPL-2.0-only OR MIT) AND ISC"));
    }

    #[test]
    fn exception_belongs_to_its_licence() {
        assert!(met("Apache-2.0 WITH LLVM-exception"));
        assert!(!met("Apache-2.0"));
        assert!(!met("MIT WITH LLVM-exception"));
    }

    #[test]
    fn malformed_expression_is_an_error() {
        for text in ["", "MIT OR", "OR MIT", "(MIT", "MIT)", "MIT ISC", "MIT WITH", "MIT WITH (ISC)"] {
            assert!(satisfied(text, |_| true).is_err(), "{text}");
        }
        let deep = format!("{}MIT{}", "(".repeat(17), ")".repeat(17));
        assert!(satisfied(&deep, |_| true).is_err());
    }
}
