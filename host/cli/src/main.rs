//! The `formwork` program: the endpoint, the agent and the command line in one file.
//!
//! A file a subcommand is below `commands`; each reads its arguments, calls a crate of the house and shows the answer.
//! Started under the name `dr-provision`, the program serves; under one
//! that ends in `jq`, it filters JSON.

mod arguments;
mod commands;
mod demo;
mod failure;
mod input;
mod jq;
mod logging;
mod output;
mod progress;
mod settings;
mod shutdown;
mod token_cache;
mod verbs;

use std::{env, ffi::OsString, path::Path, process::ExitCode};

/// Of the time that a change or a list takes, the allocator of the C library, which the program has linked statically, took a
/// third.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().collect();
    // Before anything else is set up: such a child lowers its own limits.
    if let Some(work) = arguments.get(1).and_then(|word| commands::worker(word)) {
        return work();
    }
    if let Some(words) = jq::arguments(&arguments) {
        return jq::program(words);
    }
    let named = arguments.first().and_then(|path| Path::new(path).file_name());
    let as_server = named.is_some_and(|name| name == commands::serve::SERVER_NAME);
    let arguments = if as_server { commands::serve::arguments_of_server(arguments) } else { arguments };
    let matches = commands::command(as_server).get_matches_from(arguments);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&anyhow::Error::from(error).context("failed to start")),
    };
    match runtime.block_on(commands::run(&matches)) {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}
