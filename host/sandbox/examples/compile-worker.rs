//! The smallest program that compiles components for a sandbox; the tests use it.

use std::process::ExitCode;

fn main() -> ExitCode {
    formwork_sandbox::compile_worker()
}
