//! Commands and conditions with an end.

use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use formwork_bench::Stopwatch;

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Looks at a condition until it gives a value.
///
/// # Errors
/// The condition's own, or `limit` passed, which names `what` was waited for.
pub fn until<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let clock = Stopwatch::start();
    loop {
        if let Some(value) = look()? {
            return Ok(value);
        }
        if clock.elapsed() > limit {
            bail!("{what} did not happen within {} s", limit.as_secs_f64());
        }
        thread::sleep(LOOK);
    }
}

/// Runs a command to its end and returns its standard output.
///
/// # Errors
/// The command could not start, or ended with a failure; the error has its last words.
pub fn output(command: &mut Command) -> Result<String> {
    let name = format!("{command:?}").replace('"', "");
    let Output { status, stdout, stderr } =
        command.output().with_context(|| format!("failed to start `{name}`"))?;
    let text = String::from_utf8_lossy(&stdout).into_owned();
    if status.success() {
        return Ok(text);
    }
    let words = String::from_utf8_lossy(&stderr);
    let last = |text: &str| {
        let tail: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        tail.get(tail.len().saturating_sub(3)..).unwrap_or_default().join(" / ")
    };
    let last = if words.trim().is_empty() { last(&text) } else { last(&words) };
    bail!("`{name}` ended with {status}: {last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_happens_is_named() {
        let never = until(Duration::ZERO, "the end of the world", || Ok(None::<()>));
        assert!(never.unwrap_err().to_string().starts_with("the end of the world"));
    }

    #[test]
    fn failed_command_is_told_with_its_last_words_wherever_they_are() {
        let failed = |script: &str| output(Command::new("sh").args(["-c", script])).unwrap_err().to_string();
        assert!(failed("echo out; echo err >&2; exit 3").ends_with("err"));
        assert!(failed("echo out; exit 3").ends_with("out"));
    }
}
