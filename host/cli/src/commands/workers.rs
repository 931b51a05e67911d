//! The children that this program starts of itself to read hostile bytes: `formwork compile-worker` compiles components,
//! `formwork archive-worker` reads archives. `main` runs them before anything else; the entries here only keep the words
//! out of the hands of other subcommands.

use std::{ffi::OsStr, process::ExitCode};

use clap::Command;
use formwork_blobs::ArchiveWorker;

/// The word that makes the program compile one component and end.
pub(crate) const COMPILE_WORKER: &str = "compile-worker";

/// Returns what the child that a word stands for does.
pub(crate) fn worker(word: &OsStr) -> Option<fn() -> ExitCode> {
    match word.to_str()? {
        COMPILE_WORKER => Some(formwork_sandbox::compile_worker),
        ArchiveWorker::WORD => Some(formwork_blobs::archive_worker),
        _ => None,
    }
}

pub(super) fn commands() -> [Command; 2] {
    [
        Command::new(COMPILE_WORKER).about("Compiles a component from standard input").hide(true),
        Command::new(ArchiveWorker::WORD).about("Reads an archive from standard input").hide(true),
    ]
}
