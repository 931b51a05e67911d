//! Runs programs: found on the path, in a clean environment, with bounded output, and never longer than they may.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{AccessFlags, Pid, access};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::{Blob, ExecCommand, ExecOutput, ExecStatus, HostError};

/// Most bytes that are kept of what a program writes.
const MAX_STDOUT_BYTES: usize = 512 << 10;

/// Most bytes that are kept of its complaints.
const MAX_STDERR_BYTES: usize = 64 << 10;

/// Where programs are that the own search path may lack, as that of a program started at boot.
const PLACES: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long the rest of its output may take after a program has ended and its children are killed.
const REST: Duration = Duration::from_secs(1);

/// Runs one program to its end. When the future is dropped, the program and its children are killed.
///
/// # Errors
///
/// [`HostError::Unavailable`] when there is no such program, [`HostError::Other`] when it cannot be started.
pub async fn exec(command: ExecCommand) -> Result<ExecOutput, HostError> {
    let program = &command.program;
    let path = find(program)
        .ok_or_else(|| HostError::Unavailable(format!("there is no program `{program}` on this machine")))?;
    let failed = |error: io::Error| HostError::Other(format!("failed to run `{program}`: {error}"));
    let mut child = Command::new(path)
        .args(&command.args)
        .env_clear()
        .env("PATH", PLACES)
        .env("LANG", "C")
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let group = Group::of(&child);
    let time = Duration::from_millis(u64::from(command.timeout_ms));
    let mut output = Output::default();
    let ended = timeout(time, converse(&mut child, &command.stdin.0, &group, &mut output)).await;
    let status = match ended {
        Ok(status) => told(status.map_err(failed)?),
        Err(_) => {
            group.kill();
            child.wait().await.map_err(failed)?;
            ExecStatus::TimedOut
        }
    };
    let Output { stdout, stderr } = output;
    let truncated = stdout.truncated || stderr.truncated;
    Ok(ExecOutput { status, stdout: Blob(stdout.bytes), stderr: Blob(stderr.bytes), truncated })
}

/// Finds a program that can be run.
fn find(program: &str) -> Option<PathBuf> {
    let runs = |path: &Path| path.is_file() && access(path, AccessFlags::X_OK).is_ok();
    if program.starts_with('/') {
        let path = PathBuf::from(program);
        return runs(&path).then_some(path);
    }
    let own = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&own).chain(env::split_paths(OsStr::new(PLACES)));
    // An empty place would be the current folder.
    places.filter(|place| place.is_absolute()).map(|place| place.join(program)).find(|path| runs(path))
}

/// The processes of a program, as far as they stay together.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    fn kill(&self) {
        if let Some(group) = self.0 {
            // Nobody is left to be killed, mostly.
            killpg(group, Signal::SIGKILL).ok();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a program wrote so far.
#[derive(Default)]
struct Output {
    stdout: Stream,
    stderr: Stream,
}

#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    truncated: bool,
}

/// Sends a program its input and takes what it writes, all at once, as a pipe holds only some pages.
async fn converse(
    child: &mut Child,
    input: &[u8],
    group: &Group,
    output: &mut Output,
) -> io::Result<ExitStatus> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let send = async {
        if let Some(mut stdin) = stdin {
            // A program that does not read to the end closes the pipe.
            stdin.write_all(input).await.ok();
        }
    };
    let read = async {
        tokio::join!(
            output.stdout.fill(stdout, MAX_STDOUT_BYTES),
            output.stderr.fill(stderr, MAX_STDERR_BYTES)
        )
    };
    tokio::pin!(read);
    let talk = async { tokio::join!(send, &mut read) };
    let status = tokio::select! {
        // Both ends closed: the program ends soon, or its time does.
        _ = talk => child.wait().await?,
        status = child.wait() => {
            let status = status?;
            // A child that it left behind would hold the pipe open.
            group.kill();
            timeout(REST, &mut read).await.ok();
            status
        }
    };
    Ok(status)
}

impl Stream {
    /// Reads to the end and keeps the first bytes, so that a program that writes much is not held up.
    async fn fill(&mut self, stream: Option<impl AsyncRead + Unpin>, most: usize) {
        let Some(mut stream) = stream else { return };
        let mut chunk = vec![0; 16 << 10];
        while let Ok(count @ 1..) = stream.read(&mut chunk).await {
            let read = chunk.get(..count).unwrap_or_default();
            let kept = read.len().min(most.saturating_sub(self.bytes.len()));
            self.bytes.extend(read.iter().take(kept));
            self.truncated |= kept < read.len();
        }
    }
}

fn told(status: ExitStatus) -> ExecStatus {
    let byte = |number: i32| u8::try_from(number & 0xff).unwrap_or(u8::MAX);
    match (status.code(), status.signal()) {
        (Some(code), _) => ExecStatus::Exited(byte(code)),
        (None, signal) => ExecStatus::Signalled(byte(signal.unwrap_or(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> ExecCommand {
        ExecCommand {
            program: "sh".to_owned(),
            args: vec!["-c".to_owned(), script.to_owned()],
            env: Vec::new(),
            stdin: Blob::default(),
            timeout_ms: 60_000,
        }
    }

    #[tokio::test]
    async fn a_program_gets_its_input_and_nothing_of_our_environment() {
        let mut command = shell("cat; env | sort; echo sorry >&2; exit 3");
        command.stdin = Blob(b"input\n".to_vec());
        command.env = vec![("MINE".to_owned(), "1".to_owned())];
        let output = exec(command).await.unwrap();
        assert_eq!(output.status, ExecStatus::Exited(3));
        assert_eq!(output.stderr, Blob(b"sorry\n".to_vec()));
        let text = String::from_utf8(output.stdout.0).unwrap();
        let names: Vec<_> = text.lines().map(|line| line.split('=').next().unwrap()).collect();
        // The shell itself adds `PWD`, and some of them `OLDPWD` and `SHLVL` and `_`.
        let added = ["PWD", "OLDPWD", "SHLVL", "_"];
        let names: Vec<_> = names.into_iter().filter(|name| !added.contains(name)).collect();
        assert_eq!(names, ["input", "LANG", "MINE", "PATH"]);
    }

    #[tokio::test]
    async fn what_a_program_writes_is_cut_and_it_is_not_held_up() {
        let output = exec(shell("head -c 3000000 /dev/zero; echo done >&2")).await.unwrap();
        assert_eq!((output.status, output.truncated), (ExecStatus::Exited(0), true));
        assert_eq!(output.stdout.0.len(), MAX_STDOUT_BYTES);
        assert_eq!(output.stderr, Blob(b"done\n".to_vec()));
    }

    #[tokio::test]
    async fn a_program_ends_with_its_time_and_its_children_with_it() {
        let mut command = shell("sleep 600 & echo $!; wait");
        command.timeout_ms = 300;
        let output = exec(command).await.unwrap();
        assert_eq!(output.status, ExecStatus::TimedOut);
        let child: i32 = String::from_utf8(output.stdout.0).unwrap().trim().parse().unwrap();
        assert!(gone(child).await);
    }

    #[tokio::test]
    async fn a_program_does_not_outlive_its_call() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let call = exec(shell(&format!("echo $$ > {}; sleep 600", file.display())));
        tokio::select! {
            _ = call => panic!("it ended"),
            // Renamed into place would be exact; the line break stands at the end of the number.
            () = async { while !std::fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n')) { tokio::task::yield_now().await } } => {}
        }
        let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        assert!(gone(pid).await);
    }

    #[tokio::test]
    async fn a_child_that_is_left_behind_holds_nothing_up() {
        let output = exec(shell("sleep 600 & echo $!")).await.unwrap();
        assert_eq!(output.status, ExecStatus::Exited(0));
        let child: i32 = String::from_utf8(output.stdout.0).unwrap().trim().parse().unwrap();
        assert!(gone(child).await);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_unavailable() {
        for program in ["no-such-program", "/no/such/program", "/etc/passwd"] {
            let command = ExecCommand { program: program.to_owned(), ..shell("") };
            assert!(matches!(exec(command).await, Err(HostError::Unavailable(_))), "{program}");
        }
    }

    /// Waits until a process is no more, or is dead and only waits for whoever has to bury it.
    async fn gone(pid: i32) -> bool {
        let dead = || match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')),
            Err(_) => true,
        };
        timeout(Duration::from_secs(20), async {
            while !dead() {
                tokio::task::yield_now().await
            }
        })
        .await
        .is_ok()
    }
}
