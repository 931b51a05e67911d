//! The power of the machine that the agent runs on.

use std::{io, path::Path, process::Command};

use nix::sys::reboot::{RebootMode, reboot};

use crate::{AgentError, AgentExit};

/// Exists while systemd is the first process.
const SYSTEMD: &str = "/run/systemd/system";

/// Reboots, powers off, or jumps into the kernel that is loaded; reboots when that fails. Where an init system runs it is asked, so that services end in order; else the kernel does it
/// at once, after the disks have been written.
///
/// # Errors
///
/// The operating system refuses, mostly for want of root.
pub(crate) fn switch(exit: AgentExit) -> Result<(), AgentError> {
    let (action, word, mode) = match exit {
        AgentExit::Reboot => ("reboot", "reboot", RebootMode::RB_AUTOBOOT),
        AgentExit::Kexec => ("jump into the loaded kernel of", "kexec", RebootMode::RB_KEXEC),
        AgentExit::Poweroff => ("power off", "poweroff", RebootMode::RB_POWER_OFF),
        AgentExit::Stop | AgentExit::Signal | AgentExit::Idle => return Ok(()),
    };
    let failed = |source| AgentError::Power { action, source };
    if !nix::unistd::geteuid().is_root() {
        let words = "not run as root\nhint: start the agent as root, or with `--no-power`";
        return Err(failed(io::Error::new(io::ErrorKind::PermissionDenied, words)));
    }
    if Path::new(SYSTEMD).exists() && Command::new("systemctl").arg(word).status().is_ok_and(|s| s.success())
    {
        return Ok(());
    }
    nix::unistd::sync();
    match reboot(mode) {
        Err(error) if exit == AgentExit::Kexec => {
            tracing::warn!(%error, "failed to jump into the loaded kernel, the machine is rebooted instead");
            switch(AgentExit::Reboot)
        }
        Err(error) => Err(failed(error.into())),
        Ok(never) => match never {},
    }
}

/// Makes a folder the root of this process and of all that it starts, for the entry `chroot:` of a task list.
///
/// # Errors
///
/// The operating system refuses.
pub(crate) fn change_root(folder: &str) -> io::Result<()> {
    std::os::unix::fs::chroot(folder)?;
    std::env::set_current_dir("/")
}
