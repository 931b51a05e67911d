//! Reads the archive on its standard input; for the tests, which need a program that does nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    formwork_blobs::archive_worker()
}
