//! How an agent ends.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done, stopped by a task or told to end: leave the machine as it is |
//! | 1 | the agent could not go on ([`AgentError::code`](crate::AgentError::code)) |
//! | 4 | with `once`: a job failed or stays incomplete, and the machine waits for an operator |
//! | 32 | power the machine off |
//! | 64 | reboot the machine |

/// Why an agent ended. Where the agent itself switches the power, it does not live to say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentExit {
    /// A task asked for it, or an installer is in charge.
    Stop,
    /// The machine is to be rebooted.
    Reboot,
    /// A kernel is loaded, and the machine is to jump into it instead of a reboot.
    Kexec,
    /// The machine is to be powered off.
    Poweroff,
    /// The agent was told to end; a running job can be resumed.
    Signal,
    /// There is nothing left to do, and the agent was not to wait.
    Idle,
}

impl AgentExit {
    /// Returns the exit code of the program: those of tasks (drp-api.md 9.6) for reboot and power-off, else 0, which
    /// the discovery system takes for "leave the machine as it is".
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Stop | Self::Signal | Self::Idle => 0,
            Self::Poweroff => 32,
            Self::Reboot | Self::Kexec => 64,
        }
    }
}
