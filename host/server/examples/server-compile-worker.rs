//! The smallest program that compiles components for the endpoints of the tests. Its name differs from that of the sandbox, as
//! both are written to one folder.

use std::process::ExitCode;

fn main() -> ExitCode {
    formwork_sandbox::compile_worker()
}
