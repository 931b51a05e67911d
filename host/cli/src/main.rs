//! The `formwork` program: the endpoint, the agent, and the operator's commands, a file each.

mod app;
mod commands;
mod firmware;
mod output;
mod session;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Compiling must not share anything with the rest: it is the part that a hostile component sees first.
    if std::env::args().nth(1).as_deref() == Some("compile-worker") {
        return formwork_sandbox::compile_worker();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::failed(&anyhow::anyhow!(error).context("failed to start the runtime")),
    };
    match runtime.block_on(app::run(std::env::args_os().collect())) {
        Ok(code) => code,
        Err(error) => output::failed(&error),
    }
}
