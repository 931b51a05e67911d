//! Compiling, which never happens in the serving process: a child with limits does it and ends.
//!
//! The child is the same program under another subcommand. It reads the component from its standard input and writes the
//! compiled code to its standard output. What it knows is gone when it ends, and what it may use is bounded.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};
use std::os::unix::process::ExitStatusExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::inspect::{InspectError, inspect};
use crate::{engine, prescan};

/// Address space of the child. The largest components known need a sixth of it.
const MEMORY_BYTES: u64 = 2 << 30;

/// Processor time of the child, all threads together.
const CPU_SECONDS: u64 = 60;

/// Time of the child, which may have to share the processor.
const WALL_TIME: Duration = Duration::from_secs(180);

/// Most bytes of compiled code.
const MAX_CODE_BYTES: u64 = 256 << 20;

/// Most bytes of the child's words that are kept.
const MAX_WORDS_BYTES: u64 = 4096;

/// The program that compiles: one that calls [`compile_worker`] when it is started with these arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerCommand {
    /// The program's path, usually that of the running one.
    pub program: PathBuf,
    /// The arguments that make it call [`compile_worker`].
    pub args: Vec<String>,
}

/// A component could not be made ready.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// It is no component that can run here.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The compiler refused it.
    #[error("it does not compile: {words}")]
    Refused {
        /// The compiler's words.
        words: String,
    },
    /// Compiling it takes too much.
    #[error("compiling it exceeded the limit `{limit}` of {value}")]
    Limit {
        /// `compile-cpu-seconds`, `compile-memory-bytes`, `compile-wall-seconds` or `compile-code-bytes`.
        limit: &'static str,
        /// The limit.
        value: u64,
    },
    /// The child process did not run. Nothing is wrong with the component.
    #[error("failed to run the compiler `{program}`")]
    Worker {
        /// The program.
        program: PathBuf,
        /// The operating system's words.
        #[source]
        source: Arc<io::Error>,
    },
    /// The result could not be kept.
    #[error("failed to write `{path}`")]
    Cache {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        #[source]
        source: Arc<io::Error>,
    },
}

impl PrepareError {
    /// Whether another try with the same bytes would end in the same way.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Inspect(_) | Self::Refused { .. } | Self::Limit { .. })
    }
}

/// Compiles one component: reads it from standard input, writes the code to standard output, says what is wrong on
/// standard error.
///
/// A program's hidden subcommand calls this and nothing else. It lowers the limits of the whole process first.
pub fn compile_worker() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            // Nobody is left to tell when standard error is closed.
            writeln!(io::stderr(), "{words}").ok();
            ExitCode::FAILURE
        }
    }
}

/// The child's whole work.
fn work() -> Result<(), String> {
    for (resource, limit) in
        [(Resource::RLIMIT_AS, MEMORY_BYTES), (Resource::RLIMIT_CPU, CPU_SECONDS), (Resource::RLIMIT_CORE, 0)]
    {
        setrlimit(resource, limit, limit).map_err(|error| format!("failed to set a limit: {error}"))?;
    }
    let mut wasm = Vec::new();
    let most = prescan::MAX_BYTES as u64 + 1;
    io::stdin().take(most).read_to_end(&mut wasm).map_err(|error| format!("failed to read: {error}"))?;
    inspect(&wasm).map_err(|error| error.to_string())?;
    let code = engine::compiling()
        .and_then(|engine| engine.precompile_component(&wasm))
        .map_err(|error| format!("{error:#}"))?;
    io::stdout().write_all(&code).map_err(|error| format!("failed to write: {error}"))
}

/// Compiles a component in a child and returns the code.
pub(crate) async fn in_child(worker: &WorkerCommand, wasm: &[u8]) -> Result<Vec<u8>, PrepareError> {
    let failed = |source| PrepareError::Worker { program: worker.program.clone(), source: Arc::new(source) };
    let mut child = Command::new(&worker.program)
        .args(&worker.args)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let Ok(ended) = timeout(WALL_TIME, converse(&mut child, wasm)).await else {
        return Err(PrepareError::Limit { limit: "compile-wall-seconds", value: WALL_TIME.as_secs() });
    };
    let Ended { status, code, words } = ended.map_err(failed)?;
    if code.len() as u64 > MAX_CODE_BYTES {
        return Err(PrepareError::Limit { limit: "compile-code-bytes", value: MAX_CODE_BYTES });
    }
    if status.success() { Ok(code) } else { Err(explain(status, &words)) }
}

/// How a child ended.
struct Ended {
    status: ExitStatus,
    code: Vec<u8>,
    words: Vec<u8>,
}

/// Sends the component and takes what comes back, all at once, as a pipe holds only some pages.
async fn converse(child: &mut Child, wasm: &[u8]) -> io::Result<Ended> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let send = async {
        if let Some(mut stdin) = stdin {
            // A child that ends early closes the pipe; its status says why.
            stdin.write_all(wasm).await.ok();
        }
    };
    let ((), code, words) =
        tokio::join!(send, take(stdout, MAX_CODE_BYTES + 1), take(stderr, MAX_WORDS_BYTES));
    let (code, words) = (code?, words?);
    if code.len() as u64 > MAX_CODE_BYTES {
        child.start_kill()?;
    }
    Ok(Ended { status: child.wait().await?, code, words })
}

/// Reads a stream to its end or to the limit.
async fn take(stream: Option<impl AsyncRead + Unpin>, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(most).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// Says why a child failed.
fn explain(status: ExitStatus, words: &[u8]) -> PrepareError {
    match status.signal() {
        Some(libc::SIGXCPU | libc::SIGKILL) => {
            PrepareError::Limit { limit: "compile-cpu-seconds", value: CPU_SECONDS }
        }
        // Rust aborts when memory cannot be had.
        Some(libc::SIGABRT | libc::SIGSEGV) => {
            PrepareError::Limit { limit: "compile-memory-bytes", value: MEMORY_BYTES }
        }
        _ => {
            let words = String::from_utf8_lossy(words).trim().to_owned();
            PrepareError::Refused { words: if words.is_empty() { status.to_string() } else { words } }
        }
    }
}
