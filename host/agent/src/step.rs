//! What an agent does next (drp-behaviour.md 3.10): a function of the machine and of what was seen before.
//!
//! Nothing here waits or asks. The agent reads the machine, asks [`Stepper::next`], does what it says, tells it how
//! that went, and begins again.

use formwork_model::{ExitState, Job, JobState, Machine, Timestamp};

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Wait until something about the machine changes. True when all work that there was is done.
    Wait {
        /// True when the machine could run a job and has none.
        idle: bool,
    },
    /// Ask for a job.
    AskForJob,
    /// Move the machine to another stage, there being no workflow that would.
    ChangeStage(&'static str),
    /// Reboot: the machine has another boot environment than the running one.
    Reboot,
    /// End.
    Exit,
}

/// The members of a machine whose change is a reason to ask for a job again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    current_task: i64,
    tasks: Vec<String>,
    runnable: bool,
    boot_env: String,
    stage: String,
    context: String,
    workflow: String,
}

impl Seen {
    fn of(machine: &Machine) -> Self {
        Self {
            current_task: machine.current_task,
            tasks: machine.tasks.clone(),
            runnable: machine.runnable,
            boot_env: machine.boot_env.clone(),
            stage: machine.stage.clone(),
            context: machine.context.clone(),
            workflow: machine.workflow.clone(),
        }
    }
}

/// Decides what an agent does next.
#[derive(Clone, Debug)]
pub(crate) struct Stepper {
    /// The context whose jobs are run.
    context: String,
    /// The boot environment that the machine is running in.
    boot_env: String,
    /// The machine as it was when there was nothing to do.
    nothing: Option<Seen>,
}

impl Stepper {
    /// Starts in a context and in the boot environment that is running.
    pub(crate) fn new(context: &str, boot_env: &str) -> Self {
        Self { context: context.to_owned(), boot_env: boot_env.to_owned(), nothing: None }
    }

    /// Returns what to do about a machine as it is now.
    pub(crate) fn next(&mut self, machine: &Machine) -> Next {
        if self.context.is_empty() && machine.boot_env != self.boot_env {
            // The installer of the running environment decides when it is done.
            if self.installs() {
                return Next::Exit;
            }
            // Not before the new environment can be booted. `Runnable` does not matter: the endpoint takes it away
            // together with the old environment.
            return if machine.header.available { Next::Reboot } else { Next::Wait { idle: false } };
        }
        // Work orders have contexts of their own.
        let is_elsewhere = machine.context != self.context && !machine.work_order_mode;
        if !machine.header.available || !machine.runnable || is_elsewhere {
            self.nothing = None;
            return Next::Wait { idle: machine.workflow_complete };
        }
        match &self.nothing {
            // Work orders come, and are held and let go, without a change of the machine: after each wait they are asked for.
            Some(_) if machine.work_order_mode => {
                self.nothing = None;
                Next::Wait { idle: true }
            }
            Some(seen) if *seen == Seen::of(machine) => {
                if machine.workflow.is_empty() && self.context.is_empty() && self.installs() {
                    return Next::ChangeStage("local");
                }
                Next::Wait { idle: true }
            }
            _ => {
                self.nothing = None;
                Next::AskForJob
            }
        }
    }

    /// Takes note that the endpoint had no job for the machine as it was before the question.
    pub(crate) fn nothing_for(&mut self, machine: &Machine) {
        self.nothing = Some(Seen::of(machine));
    }

    /// Returns what follows a job that ended with an exit state.
    pub(crate) fn after(&self, exit: ExitState) -> After {
        match exit {
            ExitState::Stop => After::Stop,
            // A context is not the machine, and an installer reboots by itself.
            ExitState::Reboot | ExitState::Poweroff if !self.context.is_empty() => After::Stop,
            ExitState::Reboot if self.installs() => After::Stop,
            ExitState::Reboot => After::Reboot,
            ExitState::Poweroff => After::Poweroff,
            ExitState::None | ExitState::Complete | ExitState::Failed => After::GoOn,
        }
    }

    fn installs(&self) -> bool {
        self.boot_env.ends_with("-install")
    }
}

/// What follows a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    GoOn,
    Stop,
    Reboot,
    Poweroff,
}

/// Tells whether a job that an agent of this context left behind has to be failed before anything else: it was handed
/// out or under way, and whoever ran it is gone.
pub(crate) fn is_orphan(job_context: &str, state: JobState, context: &str) -> bool {
    job_context == context && matches!(state, JobState::Created | JobState::Running)
}

/// Tells whether a machine that is not runnable after this job waits for an operator: it failed without another try to
/// come, or it is incomplete and asks for nothing that would bring the machine here again.
#[must_use]
pub fn is_dead_end(job: &Job) -> bool {
    match job.state {
        JobState::Failed => job.retry_at == Timestamp::default(),
        JobState::Incomplete => matches!(job.exit_state, ExitState::None | ExitState::Complete),
        JobState::Created | JobState::Running | JobState::Finished => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        let mut machine = Machine {
            boot_env: "discovery".into(),
            workflow: "discover".into(),
            tasks: vec!["a".into()],
            ..Machine::default()
        };
        machine.header.available = true;
        machine
    }

    fn stepper() -> Stepper {
        Stepper::new("", "discovery")
    }

    #[test]
    fn work_orders_are_asked_for_again_after_each_wait() {
        let mut stepper = stepper();
        let machine = Machine { work_order_mode: true, ..machine() };
        for _ in 0..2 {
            assert_eq!(stepper.next(&machine), Next::AskForJob);
            stepper.nothing_for(&machine);
            assert_eq!(stepper.next(&machine), Next::Wait { idle: true });
        }
    }

    #[test]
    fn runnable_machine_asks_for_a_job() {
        assert_eq!(stepper().next(&machine()), Next::AskForJob);
    }

    #[test]
    fn machine_that_is_paused_unavailable_or_elsewhere_waits() {
        let mut unavailable = machine();
        unavailable.header.available = false;
        let paused = Machine { runnable: false, ..machine() };
        let elsewhere = Machine { context: "host".into(), ..machine() };
        for machine in [unavailable, paused, elsewhere] {
            assert_eq!(stepper().next(&machine), Next::Wait { idle: false });
        }
    }

    #[test]
    fn after_nothing_to_do_only_a_change_asks_again() {
        let mut stepper = stepper();
        let machine = machine();
        stepper.nothing_for(&machine);
        assert_eq!(stepper.next(&machine), Next::Wait { idle: true });
        let described = Machine { description: "x".into(), ..machine.clone() };
        assert_eq!(stepper.next(&described), Next::Wait { idle: true });
        let advanced = Machine { current_task: 0, ..machine };
        assert_eq!(stepper.next(&advanced), Next::AskForJob);
    }

    #[test]
    fn pause_in_between_is_a_change() {
        let mut stepper = stepper();
        stepper.nothing_for(&machine());
        assert!(matches!(stepper.next(&Machine { runnable: false, ..machine() }), Next::Wait { .. }));
        assert_eq!(stepper.next(&machine()), Next::AskForJob);
    }

    #[test]
    fn other_boot_environment_reboots_once_it_is_available_whether_runnable_or_not() {
        let mut other = Machine { boot_env: "local".into(), runnable: false, ..machine() };
        assert_eq!(stepper().next(&other), Next::Reboot);
        other.header.available = false;
        assert_eq!(stepper().next(&other), Next::Wait { idle: false });
    }

    #[test]
    fn other_boot_environment_ends_the_agent_of_an_installer_and_is_nothing_to_a_context() {
        let other = Machine { boot_env: "local".into(), ..machine() };
        assert_eq!(Stepper::new("", "debian-install").next(&other), Next::Exit);
        let in_context = Machine { context: "box".into(), ..other };
        assert_eq!(Stepper::new("box", "discovery").next(&in_context), Next::AskForJob);
    }

    #[test]
    fn installer_without_a_workflow_goes_to_local_when_all_is_done() {
        let mut stepper = Stepper::new("", "debian-install");
        let machine = Machine { workflow: String::new(), boot_env: "debian-install".into(), ..machine() };
        assert_eq!(stepper.next(&machine), Next::AskForJob);
        stepper.nothing_for(&machine);
        assert_eq!(stepper.next(&machine), Next::ChangeStage("local"));
    }

    #[test]
    fn power_belongs_to_the_machine_itself_and_not_to_installers_or_contexts() {
        assert_eq!(stepper().after(ExitState::Reboot), After::Reboot);
        assert_eq!(stepper().after(ExitState::Poweroff), After::Poweroff);
        assert_eq!(stepper().after(ExitState::Failed), After::GoOn);
        assert_eq!(Stepper::new("", "x-install").after(ExitState::Reboot), After::Stop);
        assert_eq!(Stepper::new("box", "x").after(ExitState::Poweroff), After::Stop);
    }

    #[test]
    fn orphans_are_unfinished_jobs_of_the_own_context() {
        assert!(is_orphan("", JobState::Running, ""));
        assert!(is_orphan("", JobState::Created, ""));
        assert!(!is_orphan("", JobState::Incomplete, ""));
        assert!(!is_orphan("host", JobState::Running, ""));
    }

    #[test]
    fn dead_end_is_what_only_an_operator_can_go_on_from() {
        let job = |state| Job { state, ..Job::default() };
        assert!(is_dead_end(&job(JobState::Failed)) && is_dead_end(&job(JobState::Incomplete)));
        let rebooting = Job { exit_state: ExitState::Reboot, ..job(JobState::Incomplete) };
        assert!(!is_dead_end(&rebooting));
        let tried_again = Job { retry_at: Timestamp::from_millis(1), ..job(JobState::Failed) };
        assert!(!is_dead_end(&tried_again));
        for state in [JobState::Created, JobState::Running, JobState::Finished] {
            assert!(!is_dead_end(&job(state)), "{state:?}");
        }
    }
}
