//! What a child that reads hostile bytes takes from itself before it looks at the first of them.
//!
//! A compiler, or a reader of archives, is a large program, and what it is fed may have been made to break it. So the child
//! keeps three open descriptors, some memory and some time, and nothing else.
//!
//! | means | takes away | where it is not allowed |
//! |---|---|---|
//! | `RLIMIT_AS`, `RLIMIT_CPU`, `RLIMIT_CORE` | memory, time, core files | always allowed |
//! | all descriptors but 0 to 2 closed, `RLIMIT_NOFILE` 3, `RLIMIT_FSIZE` 0 | files and sockets: there is no number left for a new one | always allowed |
//! | user and network namespace | the network; all privileges outside, that of raising limits included | the row above holds alone |
//! | `chroot` into an empty folder | paths, for calls that need no descriptor | file permissions hold alone |
//! | `PR_SET_NO_NEW_PRIVS`, `PR_SET_DUMPABLE` | set-user-id programs, debuggers | always allowed |
//!
//! It is not tied to its parent's life: the signal that does so comes when the parent's *thread* ends, and threads of a pool
//! come and go. A child whose parent is gone ends at its limits or at its broken pipe.

use std::{
    fs,
    io::{self, Write as _},
    process::ExitCode,
};

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{chdir, chroot};

/// Time from the signal that tells the reason to the one that cannot be caught.
const CPU_GRACE_SECONDS: u64 = 5;

/// Descriptors of the child: its standard input, output and error.
const DESCRIPTORS: u32 = 3;

/// An empty folder that every system has and that is gone when the child is.
const EMPTY_FOLDER: &str = "/proc/self/fdinfo";

/// What a child keeps besides its three descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// Address space beyond what it has already, in bytes. Allocators reserve some before they need it, in places that a limit
    /// on the whole would make useless or not as chance will have it.
    pub memory_bytes: u64,
    /// Processor time, all threads together, in seconds.
    pub cpu_seconds: u64,
    /// How far it stands back behind other programs, 0 to 19.
    pub nice: u8,
}

/// Takes from this process all that a child which only computes does not need. Call it before any thread is started.
///
/// A child that needs more memory than it keeps ends with words about memory, one that needs more time by `SIGXCPU`.
///
/// # Errors
///
/// Fails when a limit that is always allowed cannot be set, with words for the operator.
pub fn confine(keeps: Confinement) -> Result<(), String> {
    let failed = |what: &str, error: nix::Error| format!("failed to give up {what}: {error}");
    let memory_bytes = address_space().saturating_add(keeps.memory_bytes);
    close_descriptors().map_err(|error| failed("its open files", error))?;
    lower_priority(keeps.nice.min(19));
    // Only a process of one thread may do this, and only where the system lets users make namespaces.
    if unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET).is_ok() {
        chroot(EMPTY_FOLDER).ok();
    }
    chdir("/").ok();
    for (resource, soft, hard) in [
        (Resource::RLIMIT_AS, memory_bytes, memory_bytes),
        (Resource::RLIMIT_CPU, keeps.cpu_seconds, keeps.cpu_seconds.saturating_add(CPU_GRACE_SECONDS)),
        (Resource::RLIMIT_CORE, 0, 0),
        (Resource::RLIMIT_FSIZE, 0, 0),
        (Resource::RLIMIT_NOFILE, u64::from(DESCRIPTORS), u64::from(DESCRIPTORS)),
    ] {
        setrlimit(resource, soft, hard).map_err(|error| failed("what is above a limit", error))?;
    }
    prctl::set_no_new_privs().map_err(|error| failed("new privileges", error))?;
    prctl::set_dumpable(false).map_err(|error| failed("being debugged", error))
}

/// Makes the exit code of a child out of what came of its work; what is wrong goes to standard error.
#[must_use]
pub fn end_of_child(work: Result<(), String>) -> ExitCode {
    match work {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            // Nobody is left to tell when standard error is closed.
            writeln!(io::stderr(), "{words}").ok();
            ExitCode::FAILURE
        }
    }
}

/// Returns the address space of this process in bytes; 0 where the system does not tell.
fn address_space() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let size = status
        .lines()
        .find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB")?.parse().ok());
    size.map_or(0, |kib: u64| kib.saturating_mul(1024))
}

/// Closes what a careless parent left open.
#[expect(unsafe_code, reason = "the system call has no safe wrapper")]
fn close_descriptors() -> nix::Result<()> {
    // SAFETY: this process has opened nothing yet, so nothing in it owns one of these descriptors.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, DESCRIPTORS, u32::MAX, 0) };
    nix::Error::result(closed).map(drop)
}

/// Gives way to others. Where that fails the work is done all the same.
#[expect(unsafe_code, reason = "the system call has no safe wrapper")]
fn lower_priority(nice: u8) {
    // SAFETY: the call takes three numbers and touches no memory.
    unsafe { libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, libc::c_int::from(nice)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_space_grows_with_what_is_reserved() {
        const MANY: usize = 256 << 20;
        let before = address_space();
        let reserved = std::hint::black_box(Vec::<u8>::with_capacity(MANY));
        assert!(address_space() >= before + MANY as u64, "{before} and {}", address_space());
        drop(reserved);
    }
}
