//! Where the log goes: standard error, so that standard output is for results only.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

/// What is logged, in the syntax of `RUST_LOG`.
const VARIABLE: &str = "FORMWORK_LOG";

/// Starts logging. `default` is what is logged unless the environment says otherwise, such as `info`.
pub(crate) fn start(default: &str) {
    let filter = EnvFilter::try_from_env(VARIABLE)
        .or_else(|_| EnvFilter::try_from_default_env())
        .unwrap_or_else(|_| EnvFilter::new(default));
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // It fails only when somebody else has started logging already.
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(io::stderr)
        .try_init()
        .ok();
}
