//! Files and scripts of a job (drp-behaviour.md 3.8).

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use formwork_model::JobAction;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe,
    process::{Child, Command},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::log::LogWriter;

/// How much output is read at once.
const READ: usize = 16 << 10;

/// How long a script may take to end by itself when the agent ends.
const POLITENESS: Duration = Duration::from_secs(3);

/// How long output is read after a script ended: what it left in the background may hold the pipe for ever.
const AFTERMATH: Duration = Duration::from_secs(2);

/// What runs a script that does not name an interpreter.
const SHELL: &str = "/bin/sh";

/// What runs a script whose name ends so and that names no interpreter.
const POWERSHELL: &str = "pwsh";

/// How the names of PowerShell's scripts end.
const POWERSHELL_END: &str = ".ps1";

/// What PowerShell is told before the script.
const POWERSHELL_FLAGS: &[&str] =
    &["-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File"];

/// The folder of a job and the variables that its scripts see.
#[derive(Clone, Debug)]
pub(crate) struct Workshop {
    /// The folder.
    pub(crate) folder: PathBuf,
    /// Variables beside the agent's own.
    pub(crate) variables: Vec<(&'static str, OsString)>,
}

/// How a script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScriptEnd {
    /// By itself, with an exit code; `None` by a signal.
    Code(Option<i32>),
    /// The agent ended it because it was told to end.
    Stopped,
}

impl Workshop {
    /// Writes a file of a job: below the folder unless its path is absolute.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub(crate) fn write_file(&self, action: &JobAction) -> io::Result<PathBuf> {
        // An absolute path replaces the folder.
        let path = self.folder.join(&action.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, &action.content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
        Ok(path)
    }

    /// Runs a script and sends what it says to the log, errors and output in the order in which they were written.
    ///
    /// # Errors
    ///
    /// The script cannot be written or started.
    pub(crate) async fn run(
        &self,
        index: usize,
        action: &JobAction,
        log: &LogWriter,
        stop: &CancellationToken,
    ) -> io::Result<ScriptEnd> {
        let interpreter = interpreter(action);
        let path = self.folder.join(file_name(index, &action.name, is_powershell(&interpreter)));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o700);
        options.open(&path)?.write_all(action.content.as_bytes())?;
        let (reader, writer) = io::pipe()?;
        let mut child = self.spawn(&interpreter, &path, writer)?;
        let output = copy(pipe::Receiver::from_owned_fd(reader.into())?, log.clone());
        tokio::pin!(output);
        let mut open = true;
        let status: ExitStatus = loop {
            tokio::select! {
                ended = child.wait() => break ended?,
                () = &mut output, if open => open = false,
                () = stop.cancelled() => {
                    end(&mut child).await?;
                    if open {
                        timeout(AFTERMATH, output).await.ok();
                    }
                    return Ok(ScriptEnd::Stopped);
                }
            }
        };
        if open {
            timeout(AFTERMATH, output).await.ok();
        }
        Ok(ScriptEnd::Code(status.code()))
    }

    fn spawn(&self, interpreter: &[OsString], path: &Path, writer: io::PipeWriter) -> io::Result<Child> {
        let (program, arguments) =
            interpreter.split_first().ok_or_else(|| io::Error::other("no interpreter"))?;
        // The command keeps its ends of the pipe until it is dropped, which is here.
        Command::new(program)
            .args(arguments)
            .arg(path)
            .current_dir(&self.folder)
            .envs(self.variables.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0)
            .spawn()
    }
}

/// Returns what runs a script: what its meta map says, what its first line says, else PowerShell by its name, else the shell.
/// The first line is read here and not by the kernel, so that scripts also run where files cannot be executed.
fn interpreter(action: &JobAction) -> Vec<OsString> {
    let mut words = named_interpreter(action);
    if is_powershell(&words) {
        // It asks nobody, takes scripts that nobody signed, and takes what follows for the script.
        words.extend(POWERSHELL_FLAGS.iter().map(OsString::from));
    }
    words
}

/// Tells whether an interpreter is PowerShell, which takes only scripts whose names end in `.ps1`.
fn is_powershell(interpreter: &[OsString]) -> bool {
    interpreter.iter().any(|word| {
        let name = Path::new(word).file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        matches!(name.to_ascii_lowercase().as_str(), "pwsh" | "powershell")
    })
}

fn named_interpreter(action: &JobAction) -> Vec<OsString> {
    if let Some(named) = action.meta.get("Interpreter").filter(|named| !named.trim().is_empty()) {
        return named.split_whitespace().map(OsString::from).collect();
    }
    let first = action.content.lines().next().unwrap_or_default();
    let Some(line) = first.strip_prefix("#!").map(str::trim).filter(|line| !line.is_empty()) else {
        let is_powershell = action.name.to_ascii_lowercase().ends_with(POWERSHELL_END);
        return vec![if is_powershell { POWERSHELL } else { SHELL }.into()];
    };
    // As the kernel does it: all behind the first word is one argument.
    match line.split_once(char::is_whitespace) {
        Some((program, argument)) => vec![program.into(), argument.trim().into()],
        None => vec![line.into()],
    }
}

/// Returns a name for a script's file that is unique in the job and cannot leave its folder.
fn file_name(index: usize, name: &str, is_powershell: bool) -> String {
    let plain: String = name
        .chars()
        .take(64)
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' })
        .collect();
    let end = if is_powershell && !plain.ends_with(POWERSHELL_END) { POWERSHELL_END } else { "" };
    format!("{index:03}-{plain}{end}")
}

async fn copy(mut from: pipe::Receiver, log: LogWriter) {
    let mut buffer = vec![0; READ];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        log.write(buffer.get(..length).unwrap_or_default()).await;
    }
}

/// Ends a script with all that it started.
async fn end(child: &mut Child) -> io::Result<()> {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        if let Some(group) = group {
            // It fails when the group is gone, which is what is wanted.
            killpg(group, signal).ok();
        }
        if timeout(POLITENESS, child.wait()).await.is_ok() && signal == Signal::SIGTERM {
            // The script is gone; what it started gets no more time than that.
            if let Some(group) = group {
                killpg(group, Signal::SIGKILL).ok();
            }
            return Ok(());
        }
    }
    child.wait().await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Lab {
        folder: tempfile::TempDir,
        stop: CancellationToken,
    }

    impl Lab {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap(), stop: CancellationToken::new() }
        }

        fn workshop(&self) -> Workshop {
            Workshop { folder: self.folder.path().to_owned(), variables: vec![("RS_UUID", "u1".into())] }
        }

        /// Runs a script and returns its end and what it said.
        async fn run(&self, content: &str) -> (ScriptEnd, String) {
            let (log, mut pieces) = LogWriter::collecting();
            let action =
                JobAction { name: "a script/..".into(), content: content.into(), ..JobAction::default() };
            let end = self.workshop().run(0, &action, &log, &self.stop).await.unwrap();
            drop(log);
            let mut said = Vec::new();
            while let Some(piece) = pieces.recv().await {
                said.extend_from_slice(&piece);
            }
            (end, String::from_utf8(said).unwrap())
        }
    }

    #[tokio::test]
    async fn output_and_errors_keep_their_order_and_variables_are_there() {
        let (end, said) = Lab::new().run("echo $RS_UUID; echo e >&2; echo o; pwd >/dev/null; exit 16").await;
        assert_eq!(end, ScriptEnd::Code(Some(16)));
        assert_eq!(said, "u1\ne\no\n");
    }

    #[tokio::test]
    async fn first_line_names_the_interpreter() {
        let (end, said) = Lab::new().run("#!/usr/bin/env sh\necho $0").await;
        assert_eq!(end, ScriptEnd::Code(Some(0)));
        assert!(said.trim_end().ends_with("/000-a_script_.."), "{said}");
    }

    #[tokio::test]
    async fn signal_leaves_no_code_and_a_background_process_does_not_hold_the_job() {
        assert_eq!(Lab::new().run("kill -9 $$").await.0, ScriptEnd::Code(None));
        let (end, said) = Lab::new().run("sleep 600 & echo $!").await;
        assert_eq!(end, ScriptEnd::Code(Some(0)));
        let left: i32 = said.trim().parse().unwrap();
        nix::sys::signal::kill(Pid::from_raw(left), Signal::SIGKILL).unwrap();
    }

    #[tokio::test]
    async fn stop_ends_the_script_with_all_that_it_started() {
        let lab = Lab::new();
        let mark = lab.folder.path().join("pid");
        let content = format!("sleep 600 & echo $! >{0}.new; mv {0}.new {0}; wait", mark.display());
        let stop = lab.stop.clone();
        let stopper = tokio::spawn(async move {
            let pid = loop {
                if let Ok(text) = fs::read_to_string(&mark) {
                    break text.trim().parse::<i32>().unwrap();
                }
                tokio::task::yield_now().await;
            };
            stop.cancel();
            pid
        });
        assert_eq!(lab.run(&content).await.0, ScriptEnd::Stopped);
        let pid = stopper.await.unwrap();
        // A killed process takes its time to go, and one that nobody has waited for yet is dead and still listed.
        let gone = async {
            while fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|state| !state.contains(") Z ")) {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_mins(1), gone).await.expect("the signal reached it");
    }

    #[test]
    fn files_are_written_below_the_folder_and_made_readable() {
        let lab = Lab::new();
        let action = JobAction { path: "a/b.conf".into(), content: "x".into(), ..JobAction::default() };
        let path = lab.workshop().write_file(&action).unwrap();
        assert_eq!(path, lab.folder.path().join("a/b.conf"));
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o644);
    }

    #[test]
    fn powershell_gets_a_file_that_it_takes_and_asks_nobody() {
        let action = |name: &str, content: &str| JobAction {
            name: name.into(),
            content: content.into(),
            ..JobAction::default()
        };
        for (script, program) in [
            (action("Setup.PS1", "Get-Date"), "pwsh"),
            (action("setup", "#!/usr/bin/env pwsh\nGet-Date"), "/usr/bin/env"),
        ] {
            let words = interpreter(&script);
            assert_eq!(
                (&words[0], words.last().unwrap()),
                (&OsString::from(program), &OsString::from("-File"))
            );
            assert!(file_name(0, &script.name, is_powershell(&words)).to_lowercase().ends_with(".ps1"));
        }
        assert_eq!(file_name(2, "setup", is_powershell(&interpreter(&action("setup", "echo")))), "002-setup");
    }

    #[test]
    fn interpreter_of_the_meta_map_wins() {
        let meta = [("Interpreter".to_owned(), "/bin/sh -e".to_owned())].into();
        let action = JobAction { content: "#!/bin/false\n".into(), meta, ..JobAction::default() };
        assert_eq!(interpreter(&action), ["/bin/sh", "-e"]);
    }
}
