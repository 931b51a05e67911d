//! The peer of a small task: a program that is started for one call and speaks JSON on its pipes, a value a line.
//!
//! It does what the guest `guest-bench` does: takes the call, asks for a parameter, writes to the log, gives its outcome.

use std::io::{self, BufRead, Write};

use serde_json::{Value, json};

fn main() -> io::Result<()> {
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
