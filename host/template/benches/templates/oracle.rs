//! Go's side: a program that does as it is told and says how long it took.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// A template that is parsed already is rendered.
    Render,
    /// A template is parsed and rendered.
    Both,
}

impl Work {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Render => "render",
            Self::Both => "parse and render",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Render => "render",
            Self::Both => "both",
        }
    }
}

/// The running program of Go (`tests/golden/bench.go`). Ends with its input.
pub(crate) struct Oracle {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Oracle {
    /// Starts the program that `cargo xtask bench` has built, or says why there is none.
    pub(crate) fn start() -> Result<Self, String> {
        let Some(program) = std::env::var_os("FORMWORK_GO_ORACLE") else {
            let reason = std::env::var("FORMWORK_GO_MISSING");
            return Err(
                reason.unwrap_or_else(|_| "`cargo xtask bench templates` builds Go's side".to_owned())
            );
        };
        let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/cases");
        let mut child = Command::new(program)
            .args(["bench", cases])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("Go's side did not start: {error}"))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Ok(Self { child, input, output })
    }

    /// Reads how many templates it times, which it says first.
    pub(crate) fn count(&mut self) -> usize {
        self.answer().parse().expect("it says a number")
    }

    /// Does the work `count` times and returns the microseconds of one.
    pub(crate) fn take(&mut self, work: Work, index: usize, count: usize) -> f64 {
        let input = self.input.as_mut().expect("it is piped");
        writeln!(input, "{} {index} {count}", work.word()).expect("Go's side reads");
        let nanos: f64 = self.answer().parse().expect("it says a number");
        super::per(nanos / 1000.0, count)
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("Go's side answers");
        line.trim().to_owned()
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.child.wait());
    }
}
