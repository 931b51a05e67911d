//! A task as it was written for track 0.1, with its own bindings: it must run beside those of later tracks for ever.

mod bindings {
    wit_bindgen::generate!({
        path: [
            "../../../wit/log-0.1",
            "../../../wit/params-0.1",
            "../../../wit/files-0.1",
            "../../../wit/machine-0.1",
            "../../../wit/task-0.1",
        ],
        world: "formwork:task/task-component@0.1.0",
        generate_all,
    });
}

use bindings::exports::formwork::task::task::{Failure, Guest, Outcome};
use bindings::formwork::files::files;
use bindings::formwork::log::log::{Level, write};
use bindings::formwork::machine::machine::Machine;
use bindings::formwork::params::params;

struct OldTrack;

impl Guest for OldTrack {
    fn run(machine: Machine, now_ms: u64) -> Result<Outcome, Failure> {
        let failed = |error: params::Error| Failure {
            code: "param".to_owned(),
            message: format!("{error:?}"),
            hint: None,
        };
        let greeting = params::read("old/greeting").map_err(failed)?.unwrap_or_default();
        params::write("old/machine", &format!("\"{}\"", machine.name)).map_err(failed)?;
        let bytes = files::read("/granted/file", 4);
        write(Level::Info, &format!("{greeting} {bytes:?} {:?}", files::read("granted/file", 4)));
        Ok(Outcome::RetryAt(now_ms + 1))
    }
}

#[expect(unsafe_code, reason = "generated; these are the functions across the border")]
mod exported {
    super::bindings::export!(OldTrack with_types_in super::bindings);

    use super::OldTrack;
}
