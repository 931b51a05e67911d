//! Tasks, track 0.1, and the capabilities of tracks 0.1 that they import.

use tokio::task::spawn_blocking;
use wasmtime::component::{HasSelf, Linker};

use crate::files::{self, EntryKind, FilesError};
use crate::state::{CallState, MAX_NAME_BYTES};
use crate::{Capability, Failure, Grants, HostError, Level, MachineInfo, Outcome};

#[expect(unreachable_pub, reason = "generated; the words are in the WIT files")]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: [
            "../../wit/log-0.1",
            "../../wit/params-0.1",
            "../../wit/files-0.1",
            "../../wit/machine-0.1",
            "../../wit/task-0.1",
        ],
        world: "formwork:task/task-component@0.1.0",
        imports: { default: async | trappable },
        exports: { default: async },
    });
}

use bindings::exports::formwork::task::task as guest;
use bindings::formwork::files::files as wit_files;
use bindings::formwork::log::log as wit_log;
use bindings::formwork::machine::machine as wit_machine;
use bindings::formwork::params::params as wit_params;

pub(crate) use bindings::{TaskComponent, TaskComponentPre};

/// Most bytes of a parameter's value.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// Links one capability; what was not granted is not linked.
pub(crate) fn link(linker: &mut Linker<CallState>, capability: Capability) -> wasmtime::Result<()> {
    match capability {
        Capability::Log => wit_log::add_to_linker::<_, HasSelf<_>>(linker, |state| state),
        Capability::Params => wit_params::add_to_linker::<_, HasSelf<_>>(linker, |state| state),
        Capability::Files => wit_files::add_to_linker::<_, HasSelf<_>>(linker, |state| state),
        Capability::Machine => wit_machine::add_to_linker::<_, HasSelf<_>>(linker, |state| state),
    }
}

impl wit_machine::Host for CallState {}

impl wit_log::Host for CallState {
    async fn write(&mut self, level: wit_log::Level, message: String) -> wasmtime::Result<()> {
        let (level, is_panic) = match level {
            wit_log::Level::Debug => (Level::Debug, false),
            wit_log::Level::Info => (Level::Info, false),
            wit_log::Level::Warn => (Level::Warn, false),
            wit_log::Level::Error => (Level::Error, false),
            wit_log::Level::Panic => (Level::Error, true),
        };
        Ok(self.log(level, is_panic, &message).await?)
    }
}

impl wit_params::Host for CallState {
    async fn read(&mut self, name: String) -> wasmtime::Result<Result<Option<String>, wit_params::Error>> {
        self.count_call()?;
        if !self.allowance.grants.may_read(&name) {
            return Ok(Err(wit_params::Error::NotGranted(name)));
        }
        let Some(host) = self.host.clone() else { return Ok(Err(no_machine())) };
        if name.len() > MAX_NAME_BYTES {
            return Ok(Err(wit_params::Error::Invalid("the name is too long".to_owned())));
        }
        Ok(host.param(&name).await.map_err(Into::into))
    }

    async fn write(&mut self, name: String, json: String) -> wasmtime::Result<Result<(), wit_params::Error>> {
        self.count_call()?;
        if !self.allowance.grants.may_write(&name) {
            return Ok(Err(wit_params::Error::NotGranted(name)));
        }
        let Some(host) = self.host.clone() else { return Ok(Err(no_machine())) };
        if let Err(words) = check_value(&name, &json) {
            return Ok(Err(wit_params::Error::Invalid(words)));
        }
        Ok(host.set_param(&name, &json).await.map_err(Into::into))
    }
}

/// The answer to a component that is called for no machine.
fn no_machine() -> wit_params::Error {
    wit_params::Error::Other("this call is for no machine".to_owned())
}

/// Checks what a guest wants to write before the host sees it.
fn check_value(name: &str, json: &str) -> Result<(), String> {
    if name.len() > MAX_NAME_BYTES {
        return Err("the name is too long".to_owned());
    }
    if json.len() > MAX_VALUE_BYTES {
        return Err(format!("the value has more than {MAX_VALUE_BYTES} bytes"));
    }
    serde_json::from_str::<serde::de::IgnoredAny>(json).map(drop).map_err(|error| error.to_string())
}

impl From<HostError> for wit_params::Error {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Invalid(words) => Self::Invalid(words),
            HostError::Unavailable(words) => Self::Unavailable(words),
            HostError::Other(words) => Self::Other(words),
        }
    }
}

impl CallState {
    /// Runs a function that may block on a disk, away from the threads that serve others.
    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Grants) -> Result<T, FilesError> + Send + 'static,
    ) -> wasmtime::Result<Result<T, wit_files::Error>> {
        self.count_call()?;
        let grants = self.allowance.grants.clone();
        Ok(spawn_blocking(move || work(&grants)).await?.map_err(Into::into))
    }
}

impl wit_files::Host for CallState {
    async fn read(
        &mut self,
        path: String,
        max_bytes: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, wit_files::Error>> {
        self.blocking(move |grants| files::read(grants, &path, max_bytes)).await
    }

    async fn list_folder(
        &mut self,
        path: String,
    ) -> wasmtime::Result<Result<Vec<wit_files::Entry>, wit_files::Error>> {
        let entries = self.blocking(move |grants| files::list(grants, &path)).await?;
        let entry = |(name, kind): (String, EntryKind)| wit_files::Entry { name, kind: kind.into() };
        Ok(entries.map(|entries| entries.into_iter().map(entry).collect()))
    }

    async fn read_link(&mut self, path: String) -> wasmtime::Result<Result<String, wit_files::Error>> {
        self.blocking(move |grants| files::read_link(grants, &path)).await
    }
}

impl From<EntryKind> for wit_files::Kind {
    fn from(kind: EntryKind) -> Self {
        match kind {
            EntryKind::File => Self::File,
            EntryKind::Folder => Self::Folder,
            EntryKind::Link => Self::Link,
            EntryKind::Other => Self::Other,
        }
    }
}

impl From<FilesError> for wit_files::Error {
    fn from(error: FilesError) -> Self {
        match error {
            FilesError::NotGranted(path) => Self::NotGranted(path),
            FilesError::NotFound(path) => Self::NotFound(path),
            FilesError::WrongKind(path) => Self::WrongKind(path),
            FilesError::Other(words) => Self::Other(words),
        }
    }
}

/// Calls `run`. An error that the guest did not expect fails the job as a refusal does.
pub(crate) async fn run(
    task: &TaskComponent,
    store: &mut wasmtime::Store<CallState>,
    machine: &MachineInfo,
    now_ms: u64,
) -> wasmtime::Result<Outcome> {
    let answer = task.formwork_task_task().call_run(store, &machine.into(), now_ms).await?;
    Ok(match answer {
        Ok(outcome) => outcome.into(),
        Err(failure) => Outcome::Failed(failure.into()),
    })
}

impl From<&MachineInfo> for wit_machine::Machine {
    fn from(machine: &MachineInfo) -> Self {
        let MachineInfo { uuid, name, context, workflow, stage, bootenv, task, job } = machine.clone();
        Self { uuid, name, context, workflow, stage, bootenv, task, job }
    }
}

impl From<guest::Outcome> for Outcome {
    fn from(outcome: guest::Outcome) -> Self {
        match outcome {
            guest::Outcome::Done => Self::Done,
            guest::Outcome::RetryAt(time) => Self::RetryAt(time),
            guest::Outcome::Failed(failure) => Self::Failed(failure.into()),
            guest::Outcome::Reboot => Self::Reboot,
            guest::Outcome::Poweroff => Self::Poweroff,
            guest::Outcome::Stop => Self::Stop,
        }
    }
}

impl From<guest::Failure> for Failure {
    fn from(failure: guest::Failure) -> Self {
        Self { code: failure.code, message: failure.message, hint: failure.hint }
    }
}
