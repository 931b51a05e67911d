//! Where the log goes: standard error, so that standard output is for results only.

use std::env;
use std::io::{self, IsTerminal as _};

use formwork_server::{LogLevels, LogRing};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is logged, as `warn` or `info,formwork_sandbox=debug`. The second is what other programs read, too.
const VARIABLES: [&str; 2] = ["FORMWORK_LOG", "RUST_LOG"];

/// Starts logging at a level, unless the environment says otherwise. `own` is the level of this program's own crates: what
/// the libraries below them do is told only to who asks for it.
pub(crate) fn start(default: LevelFilter, own: LevelFilter) {
    let usual = || Targets::new().with_default(default).with_target("formwork", own);
    let asked = asked(|name| env::var(name).ok());
    let (filter, unfit) = match asked {
        Some((_, Ok(filter))) => (filter, None),
        Some((name, Err(error))) => (usual(), Some((name, error))),
        None => (usual(), None),
    };
    let colours = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(io::stderr);
    // It fails only when somebody else has started logging already.
    tracing_subscriber::registry().with(lines).with(LogRing).with(LogLevels::new(filter)).try_init().ok();
    if let Some((name, error)) = unfit {
        tracing::warn!(variable = name, error, "what is to be logged is not understood, so it is the usual");
    }
}

/// What the environment asks for, by the first variable that is set.
fn asked(variable: impl Fn(&str) -> Option<String>) -> Option<(&'static str, Result<Targets, String>)> {
    let (name, text) = VARIABLES.into_iter().find_map(|name| Some((name, variable(name)?)))?;
    Some((name, text.parse::<Targets>().map_err(|error| error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_variable_comes_before_that_of_all_programs() {
        let both = |name: &str| Some(String::from(if name == "RUST_LOG" { "trace" } else { "warn,a=debug" }));
        let (name, filter) = asked(both).unwrap();
        assert_eq!(name, "FORMWORK_LOG");
        let filter = filter.unwrap();
        assert!(filter.would_enable("a::b", &tracing::Level::DEBUG));
        assert!(!filter.would_enable("b", &tracing::Level::INFO));
    }

    #[test]
    fn level_that_there_is_not_is_told() {
        let (name, filter) = asked(|name| (name == "RUST_LOG").then(|| String::from("a=loud"))).unwrap();
        assert_eq!(name, "RUST_LOG");
        assert!(filter.is_err());
    }
}
