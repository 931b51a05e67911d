//! Runs external programs; an error names the whole command and, where it was captured, its last words.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};

/// Runs `command` with the terminal's own output and fails on a non-zero exit.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("failed to start `{}`", line(command)))?;
    if status.success() { Ok(()) } else { bail!("`{}` ended with {status}", line(command)) }
}

/// Runs `command` in silence and returns its standard output without the white space around it.
///
/// # Errors
/// A non-zero exit, with the last line of the program's standard error.
pub(crate) fn stdout(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("failed to start `{}`", line(command)))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
    bail!("`{}` ended with {}: {}", line(command), output.status, last.trim())
}

/// Returns the first file called `name` in the folders of `PATH`, and in those of system programs, which
/// an ordinary user's `PATH` lacks on Debian.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(system).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Returns the Cargo that runs this program, else the one on `PATH`.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").as_deref().unwrap_or(OsStr::new("cargo")))
}

/// Returns the target triple of the compiler in use (`host:` of `rustc -vV`).
pub(crate) fn host_triple() -> Result<String> {
    let text = stdout(Command::new("rustc").arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| anyhow!("`rustc -vV` names no host"))
}

/// Returns whether this process runs as root. The owner of `/proc/self` is the effective user.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    Path::new("/proc/self").metadata().is_ok_and(|entry| entry.uid() == 0)
}

/// Returns `command` as one would type it, for messages.
pub(crate) fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_carries_the_last_words_of_the_program() {
        let error =
            stdout(Command::new("sh").args(["-c", "echo first >&2; echo last >&2; exit 3"])).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("exit status: 3") && text.ends_with("last"), "{text}");
    }

    #[test]
    fn program_that_does_not_exist_is_named() {
        let error = run(&mut Command::new("/nowhere/formwork-none")).unwrap_err();
        assert!(format!("{error:#}").contains("`/nowhere/formwork-none`"));
    }
}
