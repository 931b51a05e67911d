//! What went wrong, as an operator reads it.

use std::error::Error;
use std::fmt;

/// Why a component did not do its work.
///
/// Every error turns into one by `?`, with the code `error` and the words of all its causes. It is no error itself, as
/// that conversion would then be ambiguous.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable and kebab-case, for programs.
    pub code: String,
    /// One sentence, lower case, without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// Makes a failure with a code for programs and a sentence for people.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), hint: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            message.push_str(": ");
            message.push_str(&next.to_string());
            cause = next.source();
        }
        Self::new("error", message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("no number of disks")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn an_error_becomes_a_failure_with_the_words_of_its_causes() {
        let parse = || -> Result<u8, Failure> { Ok("x".parse().map_err(Outer)?) };
        let failure = parse().unwrap_err();
        assert_eq!(failure.code, "error");
        assert_eq!(failure.message, "no number of disks: invalid digit found in string");
    }
}
