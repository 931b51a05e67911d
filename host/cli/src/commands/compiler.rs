//! `formwork compile-worker`: the child that compiles components. `main` runs it before anything else; this entry only
//! keeps the word out of the hands of other subcommands.

use clap::Command;

/// The word that makes the program compile one component and end.
pub(crate) const COMPILE_WORKER: &str = "compile-worker";

pub(super) fn command() -> Command {
    Command::new(COMPILE_WORKER).about("Compiles a component from standard input").hide(true)
}
