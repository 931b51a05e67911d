//! What a suite is asked to measure.

/// The cases that the arguments of a suite's program name; all when they name none.
#[derive(Clone, Debug)]
pub struct Chosen(Vec<String>);

impl Chosen {
    /// Reads the arguments of the program. Nothing comes of them without `--bench`, which Cargo gives to who asks for figures:
    /// `cargo test --benches` starts the program too, and wants none.
    #[must_use]
    pub fn from_arguments() -> Option<Self> {
        Self::of(std::env::args().skip(1))
    }

    fn of(arguments: impl Iterator<Item = String>) -> Option<Self> {
        let (flags, names): (Vec<_>, Vec<_>) = arguments.partition(|argument| argument.starts_with("--"));
        flags.iter().any(|flag| flag == "--bench").then_some(Self(names))
    }

    /// Tells whether a case is to be measured: none is named, or a part of its name is.
    #[must_use]
    pub fn has(&self, case: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|name| case.contains(name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(arguments: &[&str]) -> Option<Chosen> {
        Chosen::of(arguments.iter().map(ToString::to_string))
    }

    #[test]
    fn suite_measures_nothing_unless_it_is_asked_to() {
        assert!(chosen(&["lists", "--exact"]).is_none());
        assert!(chosen(&["--bench"]).unwrap().has("lists"));
    }

    #[test]
    fn cases_are_chosen_by_a_part_of_their_names() {
        let some = chosen(&["list", "--bench", "start"]).unwrap();
        assert!(some.has("lists") && some.has("start") && !some.has("events"));
    }
}
