//! Compiling, which never happens in the serving process: a child with limits does it and ends.
//!
//! The child is the same program under another subcommand. It reads what to do and the component from its standard input
//! and writes the compiled code to its standard output. What it knows is gone when it ends, and what it may use is bounded
//! ([`formwork_confine`]).

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use formwork_confine::{Confinement, confine, end_of_child};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::engine::Tier;
use crate::inspect::{InspectError, inspect};
use crate::{engine, prescan};

/// Address space of the child. The largest components known need a sixth of it.
const MEMORY_BYTES: u64 = 2 << 30;

/// Processor time of the child, all threads together.
const CPU_SECONDS: u64 = 60;

/// Time of the child where nothing else is said; it may have to share the processor.
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
    /// The time in which it must have ended, told in whole seconds. A component that takes longer may be tried again: the
    /// machine can have been busy.
    pub wall_time: Duration,
}

impl WorkerCommand {
    /// Makes a command whose time is three times that of the processor that the child may use.
    pub fn new(program: PathBuf, args: impl IntoIterator<Item = String>) -> Self {
        Self { program, args: args.into_iter().collect(), wall_time: WALL_TIME }
    }
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

/// Why a component cannot be compiled, as it is remembered on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// The compiler refused it, in these words.
    Refused(String),
    /// It needs more than so many seconds of a processor.
    CpuSeconds(u64),
    /// It needs more than so many bytes of memory.
    MemoryBytes(u64),
    /// Its code has more than so many bytes.
    CodeBytes(u64),
}

impl Verdict {
    /// What another try with the same bytes, on another day, would end with too. A look at the bytes is cheap and needs no
    /// memory of its own, and a busy host can make anything exceed its wall time.
    pub(crate) fn of(error: &PrepareError) -> Option<Self> {
        match error {
            PrepareError::Refused { words } => Some(Self::Refused(words.clone())),
            PrepareError::Limit { limit: CPU_LIMIT, value } => Some(Self::CpuSeconds(*value)),
            PrepareError::Limit { limit: MEMORY_LIMIT, value } => Some(Self::MemoryBytes(*value)),
            PrepareError::Limit { limit: CODE_LIMIT, value } => Some(Self::CodeBytes(*value)),
            _ => None,
        }
    }

    /// Whether it still holds: limits may have been raised since.
    pub(crate) fn holds(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::CpuSeconds(value) => *value >= CPU_SECONDS,
            Self::MemoryBytes(value) => *value >= MEMORY_BYTES,
            Self::CodeBytes(value) => *value >= MAX_CODE_BYTES,
        }
    }
}

impl From<Verdict> for PrepareError {
    fn from(verdict: Verdict) -> Self {
        let limit = |limit, value| Self::Limit { limit, value };
        match verdict {
            Verdict::Refused(words) => Self::Refused { words },
            Verdict::CpuSeconds(value) => limit(CPU_LIMIT, value),
            Verdict::MemoryBytes(value) => limit(MEMORY_LIMIT, value),
            Verdict::CodeBytes(value) => limit(CODE_LIMIT, value),
        }
    }
}

const CPU_LIMIT: &str = "compile-cpu-seconds";
const MEMORY_LIMIT: &str = "compile-memory-bytes";
const CODE_LIMIT: &str = "compile-code-bytes";
const WALL_LIMIT: &str = "compile-wall-seconds";

/// What a child is asked to do: two bytes before the component.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    /// How well to compile.
    pub(crate) tier: Tier,
    /// How far to stand back behind other programs, 0 to 19.
    pub(crate) nice: u8,
}

impl Order {
    /// For somebody who waits. The serving process itself still goes first.
    pub(crate) fn urgent(tier: Tier) -> Self {
        Self { tier, nice: 5 }
    }

    /// For nobody in particular.
    pub(crate) fn patient(tier: Tier) -> Self {
        Self { tier, nice: 19 }
    }

    fn to_bytes(self) -> [u8; 2] {
        [if self.tier == Tier::Optimised { b'o' } else { b'b' }, self.nice]
    }

    fn of_bytes([tier, nice]: [u8; 2]) -> Option<Self> {
        let tier = match tier {
            b'o' => Tier::Optimised,
            b'b' => Tier::Baseline,
            _ => return None,
        };
        Some(Self { tier, nice: nice.min(19) })
    }
}

/// Compiles one component: reads it from standard input, writes the code to standard output, says what is wrong on
/// standard error.
///
/// A program's hidden subcommand calls this and nothing else, and before it starts any thread: the whole process gives up
/// what a compiler does not need first.
pub fn compile_worker() -> ExitCode {
    end_of_child(work())
}

/// The child's whole work.
fn work() -> Result<(), String> {
    let mut order = [0; 2];
    let mut input = io::stdin().lock();
    input.read_exact(&mut order).map_err(|error| format!("failed to read: {error}"))?;
    let order = Order::of_bytes(order).ok_or("there is no such order")?;
    confine(Confinement { memory_bytes: MEMORY_BYTES, cpu_seconds: CPU_SECONDS, nice: order.nice })?;
    let mut wasm = Vec::new();
    let most = prescan::MAX_BYTES as u64 + 1;
    input.take(most).read_to_end(&mut wasm).map_err(|error| format!("failed to read: {error}"))?;
    inspect(&wasm).map_err(|error| error.to_string())?;
    let code = engine::compiling(order.tier)
        .and_then(|engine| engine.precompile_component(&wasm))
        .map_err(|error| format!("{error:#}"))?;
    io::stdout().write_all(&code).map_err(|error| format!("failed to write: {error}"))
}

/// Compiles a component in a child and returns the code. Dropping the future ends the child.
pub(crate) async fn in_child(
    worker: &WorkerCommand,
    order: Order,
    wasm: &[u8],
) -> Result<Vec<u8>, PrepareError> {
    let failed = |source| PrepareError::Worker { program: worker.program.clone(), source: Arc::new(source) };
    let mut child = Command::new(&worker.program)
        .args(&worker.args)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let Ok(ended) = timeout(worker.wall_time, converse(&mut child, order, wasm)).await else {
        return Err(PrepareError::Limit { limit: WALL_LIMIT, value: worker.wall_time.as_secs() });
    };
    let Ended { status, code, words } = ended.map_err(failed)?;
    if code.len() as u64 > MAX_CODE_BYTES {
        return Err(PrepareError::Limit { limit: CODE_LIMIT, value: MAX_CODE_BYTES });
    }
    if status.success() { Ok(code) } else { Err(explain(status, &words, failed)) }
}

/// How a child ended.
struct Ended {
    status: ExitStatus,
    code: Vec<u8>,
    words: Vec<u8>,
}

/// Sends the component and takes what comes back, all at once, as a pipe holds only some pages.
async fn converse(child: &mut Child, order: Order, wasm: &[u8]) -> io::Result<Ended> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let send = async {
        if let Some(mut stdin) = stdin {
            // A child that ends early closes the pipe; its status says why.
            if stdin.write_all(&order.to_bytes()).await.is_ok() {
                stdin.write_all(wasm).await.ok();
            }
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
fn explain(status: ExitStatus, words: &[u8], worker: impl Fn(io::Error) -> PrepareError) -> PrepareError {
    let words = String::from_utf8_lossy(words).trim().to_owned();
    // Rust's words when memory cannot be had, and the system's.
    let lacks_memory =
        ["memory allocation of", "Cannot allocate memory"].iter().any(|had| words.contains(had));
    match status.signal() {
        Some(libc::SIGXCPU) => PrepareError::Limit { limit: CPU_LIMIT, value: CPU_SECONDS },
        // Somebody else ended it: an operator, or a system that is short of memory.
        Some(libc::SIGKILL | libc::SIGTERM | libc::SIGINT) => worker(io::Error::other(status.to_string())),
        _ if lacks_memory => PrepareError::Limit { limit: MEMORY_LIMIT, value: MEMORY_BYTES },
        Some(_) => PrepareError::Refused { words: format!("the compiler crashed ({status}) {words}") },
        None => PrepareError::Refused { words: if words.is_empty() { status.to_string() } else { words } },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_remembered_only_if_it_will_come_again() {
        let refused = PrepareError::Refused { words: "no good".to_owned() };
        let cpu = PrepareError::Limit { limit: CPU_LIMIT, value: CPU_SECONDS };
        for error in [refused, cpu] {
            let verdict = Verdict::of(&error).unwrap();
            let written = serde_json::to_vec(&verdict).unwrap();
            let read: Verdict = serde_json::from_slice(&written).unwrap();
            assert!(read.holds());
            assert_eq!(PrepareError::from(read).to_string(), error.to_string());
        }
        let slow = PrepareError::Limit { limit: WALL_LIMIT, value: 180 };
        assert_eq!(Verdict::of(&slow), None);
        assert!(!Verdict::CpuSeconds(CPU_SECONDS - 1).holds(), "the limit was raised since");
    }

    #[test]
    fn a_child_that_somebody_ended_says_nothing_about_the_component() {
        let worker = |source| PrepareError::Worker { program: PathBuf::from("c"), source: Arc::new(source) };
        let killed = explain(ExitStatus::from_raw(libc::SIGKILL), b"", worker);
        assert!(matches!(killed, PrepareError::Worker { .. }), "{killed:?}");
        let abort = ExitStatus::from_raw(libc::SIGABRT);
        let greedy = explain(abort, b"memory allocation of 99 bytes failed", worker);
        assert!(matches!(greedy, PrepareError::Limit { limit: MEMORY_LIMIT, .. }), "{greedy:?}");
        let crashed = explain(abort, b"thread has overflowed its stack", worker);
        assert!(matches!(crashed, PrepareError::Refused { .. }), "{crashed:?}");
    }
}
