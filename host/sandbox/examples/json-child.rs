//! The peer of a small task: a program that is started for one call and speaks JSON on its pipes, a value a line.
//!
//! It does what the guest `guest-bench` does: takes the call, asks for a parameter, writes to the log, gives its outcome.
//! With the argument `confined` it first takes from itself what the compiling child does, so that it is as little trusted
//! as a guest.

use std::io::{self, BufRead, Write};

use formwork_confine::{Confinement, confine};
use serde_json::{Value, json};

/// What the compiling child keeps.
const KEEPS: Confinement = Confinement { memory_bytes: 2 << 30, cpu_seconds: 60, nice: 0 };

fn main() -> io::Result<()> {
    if std::env::args().nth(1).is_some_and(|word| word == "confined") {
        confine(KEEPS).map_err(io::Error::other)?;
    }
    let mut lines = io::stdin().lock().lines();
    let mut output = io::stdout().lock();
    let mut next = || -> io::Result<Value> {
        let line = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
        Ok(serde_json::from_str(&line)?)
    };
    let call = next()?;
    if call.get("machine").is_none() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    writeln!(output, "{}", json!({ "read": "bench/flag" }))?;
    if next()?.get("value") == Some(&Value::Bool(true)) {
        writeln!(output, "{}", json!({ "log": "the flag is set" }))?;
    }
    writeln!(output, "{}", json!({ "outcome": "done" }))
}
