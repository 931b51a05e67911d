//! The machine that the agent runs on.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use formwork_api::Whoami;
use formwork_model::{ExitState, Job, JobAction, JobState, Machine};
use formwork_sandbox::SandboxConfig;

use crate::{
    ActionEnd, AgentError, AgentExit, AgentOptions, Identity, JobPlace, KernelPlan, PowerMode, Step, Verdict,
    World, WorldFuture,
    component::Components,
    identify::{describe, host_name, local_address, names},
    loader::{self, Loader},
    power,
    script::{ScriptEnd, Workshop},
};

/// The file in the state folder that remembers the machine's UUID.
pub(crate) const ID_FILE: &str = "machine-id";

/// The file in the state folder that remembers which boot environment this boot of the machine is running.
const BOOT_FILE: &str = "boot";

/// The member of a job's meta with how often it has rebooted the machine.
const REBOOTS: &str = "reboots";

/// The file with functions for scripts in the folder of each job (drp-behaviour.md 3.8).
const HELPER: (&str, &str) = ("helper", include_str!("helper.sh"));

/// A file of this name in the folder of a job has the meaning of the task's feature flag (drp-api.md 9.6).
const SANE_FILE: &str = ".sane-exit-codes";

/// The machine that the agent runs on.
pub(crate) struct LocalMachine {
    identity: Identity,
    power: PowerMode,
    state_dir: PathBuf,
    components: Components,
    /// The folders that the caller named.
    task_dir: Option<PathBuf>,
    runner_dir: Option<PathBuf>,
    /// The folder that others are below.
    base: OnceLock<PathBuf>,
}

impl std::fmt::Debug for LocalMachine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LocalMachine").field("state_dir", &self.state_dir).finish_non_exhaustive()
    }
}

impl LocalMachine {
    /// Makes the folder that the agent keeps its state in.
    ///
    /// # Errors
    ///
    /// [`AgentError::State`].
    pub(crate) fn new(options: AgentOptions) -> Result<Self, AgentError> {
        let state_dir = options.state_dir;
        fs::create_dir_all(&state_dir)
            .map_err(|source| AgentError::State { path: state_dir.clone(), source })?;
        let components = Components::new(SandboxConfig {
            recordings: options.record_calls,
            ..SandboxConfig::new(state_dir.join("components"), options.compile_worker)
        });
        let (identity, power) = (options.identity, options.power);
        let (task_dir, runner_dir) = (options.task_dir, options.runner_dir);
        Ok(Self { identity, power, state_dir, components, task_dir, runner_dir, base: OnceLock::new() })
    }

    fn folder(&self, named: Option<&PathBuf>, name: &str) -> PathBuf {
        named.cloned().unwrap_or_else(|| self.base.get().unwrap_or(&self.state_dir).join(name))
    }

    /// Returns the folder of a job, below that of all jobs.
    fn folder_of(&self, job: &Job) -> PathBuf {
        self.folder(self.task_dir.as_ref(), "jobs").join(&job.uuid)
    }

    /// Returns the folder that all jobs share.
    fn runner(&self) -> PathBuf {
        self.folder(self.runner_dir.as_ref(), "runner")
    }

    fn workshop(&self, place: &JobPlace) -> Workshop {
        let client = place.session.client();
        let token = if place.job.token.is_empty() { client.token().unwrap_or("") } else { &place.job.token };
        let home = std::env::var_os("HOME").unwrap_or_else(|| OsString::from("/root"));
        let folder = self.folder_of(&place.job);
        let reboots = place.job.header.meta.get(REBOOTS).map_or("0", String::as_str);
        let mut variables = vec![
            ("RS_UUID", OsString::from(&place.machine.uuid)),
            ("RS_JOB_UUID", OsString::from(&place.job.uuid)),
            ("RS_JOB_REBOOTS", OsString::from(reboots)),
            ("RS_ENDPOINT", OsString::from(client.endpoint())),
            ("RS_TOKEN", OsString::from(token)),
            ("RS_MC_TYPE", OsString::from(place.session.kind.prefix)),
            ("RS_TASK_DIR", folder.clone().into()),
            ("RS_RUNNER_DIR", self.runner().into()),
            ("TMPDIR", folder.clone().into()),
            ("TMP", folder.clone().into()),
            ("HOME", home),
        ];
        // Without the path of its own program a script may still have one in its PATH.
        variables.extend(std::env::current_exe().ok().map(|program| ("RS_CLI", program.into())));
        variables.extend(client.socket().map(|socket| ("RS_LOCAL_PROXY", socket.into())));
        Workshop { folder, variables }
    }

    async fn script(&self, step: Step<'_>) -> ActionEnd {
        let (log, action) = (&step.place.log, step.action);
        log.line(&format!("script `{}`", action.name)).await;
        match self.workshop(step.place).run(step.index, action, log, step.stop).await {
            Ok(ScriptEnd::Code(code)) => ActionEnd::Code(code),
            Ok(ScriptEnd::Stopped) => ActionEnd::Stopped,
            Err(error) => {
                log.line(&format!("error: script `{}` did not start: {error}", action.name)).await;
                ActionEnd::Code(None)
            }
        }
    }

    async fn file(&self, step: Step<'_>) -> ActionEnd {
        let (log, action) = (&step.place.log, step.action);
        let (line, verdict) = match self.workshop(step.place).write_file(action) {
            Ok(path) => (format!("file `{}`", path.display()), Verdict::DONE),
            Err(error) => (format!("error: failed to write `{}`: {error}", action.path), Verdict::FAILED),
        };
        log.line(&line).await;
        ActionEnd::Verdict(verdict)
    }
}

impl World for LocalMachine {
    fn whoami(&self) -> Whoami {
        describe(&self.identity, &self.state_dir)
    }

    fn names(&self, uuid: &str) -> Vec<String> {
        names(&self.identity, host_name().as_deref(), &self.whoami().mac_addrs, uuid)
    }

    fn address(&self, endpoint: &str) -> Option<String> {
        local_address(endpoint)
    }

    fn identified<'a>(&'a self, uuid: &'a str) -> WorldFuture<'a, ()> {
        if self.identity.simulation.is_none() {
            // Only a convenience for the next time; a state folder that cannot be written shows itself elsewhere.
            fs::write(self.state_dir.join(ID_FILE), uuid).ok();
        }
        Box::pin(std::future::ready(()))
    }

    fn running_boot_env(&self, present: &str) -> String {
        running_boot_env(&self.state_dir.join(BOOT_FILE), present)
    }

    fn forget_boot_env(&self) {
        fs::remove_file(self.state_dir.join(BOOT_FILE)).ok();
    }

    fn run_jobs_in(&self, folder: Option<&Path>) {
        // It is told once.
        self.base.set(folder.unwrap_or(&self.state_dir).to_owned()).ok();
    }

    /// Makes the folder of a job. One that is run again starts from an empty folder.
    fn open(&self, place: &JobPlace) -> Result<(), String> {
        let folder = self.folder_of(&place.job);
        fs::remove_dir_all(&folder).ok();
        let made = fs::create_dir_all(&folder)
            .and_then(|()| fs::create_dir_all(self.runner()))
            .and_then(|()| fs::write(folder.join(HELPER.0), HELPER.1));
        made.map_err(|error| format!("failed to use `{}`: {error}", folder.display()))
    }

    fn act<'a>(&'a self, step: Step<'a>) -> WorldFuture<'a, Result<ActionEnd, AgentError>> {
        Box::pin(async move {
            if is_component(step.action) {
                self.components.run(step.action, step.place).await
            } else if step.action.path.is_empty() {
                Ok(self.script(step).await)
            } else {
                Ok(self.file(step).await)
            }
        })
    }

    fn has_sane_codes(&self, place: &JobPlace) -> bool {
        self.folder_of(&place.job).join(SANE_FILE).exists()
    }

    fn close(&self, job: &Job, end: Option<(JobState, ExitState)>) {
        if matches!(end, Some((JobState::Finished | JobState::Incomplete, _))) {
            // What a failed job left is for whoever looks for the reason.
            fs::remove_dir_all(self.folder_of(job)).ok();
        }
    }

    fn waits(&self, _: &Machine) {}

    fn change_root(&self, folder: &str) -> std::io::Result<()> {
        match self.power {
            PowerMode::Machine => power::change_root(folder),
            PowerMode::Exit => Err(std::io::Error::other("an agent without power has no other root")),
        }
    }

    fn boot_card(&self) -> Option<String> {
        loader::boot_card(&fs::read_to_string("/proc/cmdline").unwrap_or_default()).map(str::to_owned)
    }

    fn load_kernel<'a>(&'a self, plan: &'a KernelPlan) -> WorldFuture<'a, Result<(), String>> {
        Box::pin(async move {
            match self.power {
                PowerMode::Machine if nix::unistd::geteuid().is_root() => {
                    let loader = Loader { folder: &self.state_dir, tool: loader::TOOL.as_ref() };
                    loader.load(plan).await
                }
                PowerMode::Machine => Err(String::from("the agent does not run as root")),
                PowerMode::Exit => Err(String::from("the agent leaves the power to whoever started it")),
            }
        })
    }

    fn switch(&self, exit: AgentExit) -> Result<(), AgentError> {
        match self.power {
            PowerMode::Machine => power::switch(exit),
            PowerMode::Exit => Ok(()),
        }
    }
}

fn is_component(action: &JobAction) -> bool {
    action.meta.contains_key("component")
}

/// Returns the boot environment that is running: the machine's, unless an agent of this same boot has noted another.
fn running_boot_env(file: &Path, present: &str) -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let noted = fs::read_to_string(file).unwrap_or_default();
    if let Some((noted_boot, boot_env)) = noted.split_once('\n')
        && noted_boot == boot.trim()
    {
        return boot_env.trim().to_owned();
    }
    // Without the note a restart of the agent may miss a change of the boot environment; nothing else is lost.
    fs::write(file, format!("{}\n{present}\n", boot.trim())).ok();
    present.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restart_in_the_same_boot_still_knows_what_is_running() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(BOOT_FILE);
        assert_eq!(running_boot_env(&file, "discovery"), "discovery");
        assert_eq!(running_boot_env(&file, "local"), "discovery");
        fs::write(&file, "another boot\ndiscovery\n").unwrap();
        assert_eq!(running_boot_env(&file, "local"), "local");
    }
}
