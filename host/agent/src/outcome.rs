//! What an exit code, or a component's answer, means for the job (drp-api.md 9.6).

use formwork_model::{ExitState, JobState};

/// How to read exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCodes {
    /// Bits: 16 stop, 32 power off, 64 reboot, 128 incomplete.
    Sane,
    /// 1 reboot, 2 incomplete, 3 both.
    Original,
}

/// What one action of a job comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    state: JobState,
    exit: ExitState,
}

/// What follows an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// The next action.
    GoOn,
    /// The job ends so.
    End(JobState, ExitState),
}

impl Verdict {
    /// Done, and nothing else.
    pub const DONE: Self = Self { state: JobState::Finished, exit: ExitState::Complete };
    /// Failed.
    pub const FAILED: Self = Self { state: JobState::Failed, exit: ExitState::Failed };

    /// Done, with something to happen to the machine or the agent.
    #[must_use]
    pub const fn done_and(exit: ExitState) -> Self {
        Self { exit, ..Self::DONE }
    }

    /// To be done once more, with something to happen to the machine or the agent before that; `Complete` for nothing.
    #[must_use]
    pub const fn incomplete_and(exit: ExitState) -> Self {
        Self { state: JobState::Incomplete, exit }
    }

    /// Reads an exit code; `None` is a process that a signal ended.
    pub(crate) fn of_code(code: Option<i32>, codes: ExitCodes) -> Self {
        let Some(code) = code else { return Self::FAILED };
        let (state, exit) = match (codes, code) {
            (_, 0) => (JobState::Finished, ExitState::Complete),
            (ExitCodes::Sane, 16) => (JobState::Finished, ExitState::Stop),
            (ExitCodes::Sane, 32) => (JobState::Finished, ExitState::Poweroff),
            (ExitCodes::Sane, 64) | (ExitCodes::Original, 1) => (JobState::Finished, ExitState::Reboot),
            (ExitCodes::Sane, 128) | (ExitCodes::Original, 2) => (JobState::Incomplete, ExitState::Complete),
            (ExitCodes::Sane, 144) => (JobState::Incomplete, ExitState::Stop),
            (ExitCodes::Sane, 160) => (JobState::Incomplete, ExitState::Poweroff),
            (ExitCodes::Sane, 192) | (ExitCodes::Original, 3) => (JobState::Incomplete, ExitState::Reboot),
            _ => return Self::FAILED,
        };
        Self { state, exit }
    }

    /// Returns what follows, which depends on whether more actions would come (drp-behaviour.md 3.8): whoever interrupts
    /// the machine is called again from the first action, and a plain "incomplete" before the last is an early end.
    pub(crate) fn course(self, last: bool) -> Course {
        match (self.state, self.exit, last) {
            (JobState::Finished, ExitState::Complete, false) => Course::GoOn,
            (JobState::Finished, exit, false) => Course::End(JobState::Incomplete, exit),
            (JobState::Incomplete, ExitState::Complete, false) => {
                Course::End(JobState::Finished, ExitState::Complete)
            }
            (state, exit, _) => Course::End(state, exit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(codes: ExitCodes, code: i32, last: bool) -> Course {
        Verdict::of_code(Some(code), codes).course(last)
    }

    #[test]
    fn sane_codes_of_the_last_action() {
        use {ExitState as E, JobState as J};
        let table = [
            (0, J::Finished, E::Complete),
            (16, J::Finished, E::Stop),
            (32, J::Finished, E::Poweroff),
            (64, J::Finished, E::Reboot),
            (128, J::Incomplete, E::Complete),
            (144, J::Incomplete, E::Stop),
            (160, J::Incomplete, E::Poweroff),
            (192, J::Incomplete, E::Reboot),
            (1, J::Failed, E::Failed),
            (2, J::Failed, E::Failed),
            (255, J::Failed, E::Failed),
        ];
        for (code, state, exit) in table {
            assert_eq!(course(ExitCodes::Sane, code, true), Course::End(state, exit), "{code}");
        }
    }

    #[test]
    fn original_codes_of_the_last_action() {
        use {ExitState as E, JobState as J};
        let table = [
            (0, J::Finished, E::Complete),
            (1, J::Finished, E::Reboot),
            (2, J::Incomplete, E::Complete),
            (3, J::Incomplete, E::Reboot),
            (4, J::Failed, E::Failed),
            (64, J::Failed, E::Failed),
        ];
        for (code, state, exit) in table {
            assert_eq!(course(ExitCodes::Original, code, true), Course::End(state, exit), "{code}");
        }
    }

    #[test]
    fn reboot_before_the_last_action_makes_the_job_incomplete() {
        assert_eq!(course(ExitCodes::Sane, 64, false), Course::End(JobState::Incomplete, ExitState::Reboot));
        assert_eq!(
            course(ExitCodes::Original, 1, false),
            Course::End(JobState::Incomplete, ExitState::Reboot)
        );
    }

    #[test]
    fn plain_incomplete_before_the_last_action_ends_the_job_early() {
        assert_eq!(course(ExitCodes::Sane, 128, false), Course::End(JobState::Finished, ExitState::Complete));
        assert_eq!(course(ExitCodes::Sane, 192, false), Course::End(JobState::Incomplete, ExitState::Reboot));
    }

    #[test]
    fn success_goes_on_and_a_failure_or_a_signal_never_does() {
        assert_eq!(course(ExitCodes::Sane, 0, false), Course::GoOn);
        assert_eq!(course(ExitCodes::Sane, 5, false), Course::End(JobState::Failed, ExitState::Failed));
        let killed = Verdict::of_code(None, ExitCodes::Sane).course(true);
        assert_eq!(killed, Course::End(JobState::Failed, ExitState::Failed));
    }
}
