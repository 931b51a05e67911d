//! The capabilities: one file for each, with what a guest may ask, how it is granted, and how it is bound.

use std::fmt;

use serde::{Deserialize, Serialize};
use wasmtime::component::{HasSelf, Linker};

use crate::host::WrongAnswer;
use crate::state::CallState;
use crate::tracks::{files_v0_1, params_v0_1};
use crate::{HostAnswer, HostError};

pub(crate) mod blob;
pub(crate) mod clock;
pub(crate) mod exec;
pub(crate) mod files;
pub(crate) mod http;
pub(crate) mod kv;
pub(crate) mod log;
pub(crate) mod params;
pub(crate) mod progress;
pub(crate) mod random;
pub(crate) mod secrets;

pub use blob::Blob;
pub use exec::{ExecCommand, ExecOutput, ExecStatus};
pub use files::{EntryKind, FileEntry, FilesCall};
pub use http::{HttpMethod, HttpRequest, HttpResponse};
pub use kv::KvCall;
pub use log::{Level, LogLine};
pub use params::ParamsCall;
pub use progress::ProgressReport;
pub use random::RandomCall;
pub use secrets::SecretsCall;

pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        inline: "
            package formwork:host;
            world capabilities {
                import formwork:log/log@0.1.0;
                import formwork:params/params@0.2.0;
                import formwork:machine/machine@0.1.0;
                import formwork:http/http@0.1.0;
                import formwork:kv/kv@0.1.0;
                import formwork:files/files@0.2.0;
                import formwork:exec/exec@0.1.0;
                import formwork:progress/progress@0.1.0;
                import formwork:secrets/secrets@0.1.0;
                import formwork:clock/clock@0.1.0;
                import formwork:random/random@0.1.0;
            }
        ",
        path: [
            "../../wit/log-0.1",
            "../../wit/params-0.2",
            "../../wit/machine-0.1",
            "../../wit/http-0.1",
            "../../wit/kv-0.1",
            "../../wit/files-0.2",
            "../../wit/exec-0.1",
            "../../wit/progress-0.1",
            "../../wit/secrets-0.1",
            "../../wit/clock-0.1",
            "../../wit/random-0.1",
        ],
        world: "formwork:host/capabilities",
        imports: { default: async | trappable },
    });
}

/// A package that a component may import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Capability {
    /// `formwork:log`.
    Log,
    /// `formwork:params`.
    Params,
    /// `formwork:http`.
    Http,
    /// `formwork:kv`.
    Kv,
    /// `formwork:files`.
    Files,
    /// `formwork:exec`.
    Exec,
    /// `formwork:progress`.
    Progress,
    /// `formwork:secrets`.
    Secrets,
    /// `formwork:clock`.
    Clock,
    /// `formwork:random`.
    Random,
    /// `formwork:machine`: types only, no authority.
    Machine,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Log,
        Self::Params,
        Self::Http,
        Self::Kv,
        Self::Files,
        Self::Exec,
        Self::Progress,
        Self::Secrets,
        Self::Clock,
        Self::Random,
        Self::Machine,
    ];

    /// The word for it in manifests and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Params => "params",
            Self::Http => "http",
            Self::Kv => "kv",
            Self::Files => "files",
            Self::Exec => "exec",
            Self::Progress => "progress",
            Self::Secrets => "secrets",
            Self::Clock => "clock",
            Self::Random => "random",
            Self::Machine => "machine",
        }
    }

    /// Whether an operator has to grant it; the others every component may have that its kind allows.
    pub fn needs_grant(self) -> bool {
        match self {
            Self::Params | Self::Http | Self::Kv | Self::Files | Self::Exec | Self::Secrets => true,
            Self::Log | Self::Progress | Self::Clock | Self::Random | Self::Machine => false,
        }
    }

    /// What a line of a manifest that grants it looks like; empty where none is needed.
    pub fn grant_example(self) -> &'static str {
        match self {
            Self::Params => "params: read NAME` or `params: write NAME",
            Self::Http => "http: https://HOST/PATH*",
            Self::Kv => "kv: ro` or `kv: rw",
            Self::Files => "files: ROOT ro` or `files: ROOT rw",
            Self::Exec => "exec: PROGRAM",
            Self::Secrets => "secrets: NAME",
            Self::Log | Self::Progress | Self::Clock | Self::Random | Self::Machine => "",
        }
    }

    /// The capability that an interface belongs to, whatever its track: that of `formwork:kv/kv`.
    pub(crate) fn of_interface(interface: &str) -> Option<Self> {
        let (package, name) = interface.strip_prefix("formwork:")?.split_once('/')?;
        Self::ALL.into_iter().find(|capability| capability.as_str() == package && package == name)
    }

    /// Links all tracks of it; what was not granted is not linked.
    pub(crate) fn link(self, linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
        use bindings::formwork as wit;
        match self {
            Self::Log => wit::log::log::add_to_linker::<_, HasSelf<_>>(linker, same),
            Self::Params => {
                params_v0_1::link(linker)?;
                wit::params::params::add_to_linker::<_, HasSelf<_>>(linker, same)
            }
            Self::Http => wit::http::http::add_to_linker::<_, HasSelf<_>>(linker, same),
            Self::Kv => wit::kv::kv::add_to_linker::<_, HasSelf<_>>(linker, same),
            Self::Files => {
                files_v0_1::link(linker)?;
                wit::files::files::add_to_linker::<_, HasSelf<_>>(linker, same)
            }
            Self::Exec => wit::exec::exec::add_to_linker::<_, HasSelf<_>>(linker, same),
            Self::Progress => wit::progress::progress::add_to_linker::<_, HasSelf<_>>(linker, same),
            Self::Secrets => wit::secrets::secrets::add_to_linker::<_, HasSelf<_>>(linker, same),
            Self::Clock => wit::clock::clock::add_to_linker::<_, HasSelf<_>>(linker, same),
            Self::Random => wit::random::random::add_to_linker::<_, HasSelf<_>>(linker, same),
            Self::Machine => wit::machine::machine::add_to_linker::<_, HasSelf<_>>(linker, same),
        }
    }
}

/// A set of capabilities: what a component is linked with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct CapabilitySet(u16);

impl CapabilitySet {
    /// Whether a capability is in it.
    pub(crate) fn contains(self, capability: Capability) -> bool {
        self.0 & Self::bit(capability) != 0
    }

    /// What is in it, in the order of [`Capability::ALL`].
    pub(crate) fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(move |&capability| self.contains(capability))
    }

    fn bit(capability: Capability) -> u16 {
        1 << capability as u16
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<T: IntoIterator<Item = Capability>>(capabilities: T) -> Self {
        Self(capabilities.into_iter().fold(0, |set, capability| set | Self::bit(capability)))
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl bindings::formwork::machine::machine::Host for CallState {}

/// The state of a call is what all interfaces work on.
pub(crate) fn same(state: &mut CallState) -> &mut CallState {
    state
}

/// Turns what the host said into what the guest gets: the answer in its own form, or the error in the interface's words.
pub(crate) fn answer<T, E: From<HostError>>(
    answered: Result<HostAnswer, HostError>,
    form: impl FnOnce(HostAnswer) -> Result<T, WrongAnswer>,
) -> wasmtime::Result<Result<T, E>> {
    match answered {
        Ok(answer) => Ok(Ok(form(answer)?)),
        Err(error) => Ok(Err(error.into())),
    }
}

/// Turns the host's errors into those of an interface that knows these four.
macro_rules! host_errors {
    ($error:ty) => {
        impl From<crate::HostError> for $error {
            fn from(error: crate::HostError) -> Self {
                match error {
                    crate::HostError::NotGranted(what) => Self::NotGranted(what),
                    crate::HostError::Invalid(words) => Self::Invalid(words),
                    crate::HostError::Unavailable(words) => Self::Unavailable(words),
                    other => Self::Other(other.to_string()),
                }
            }
        }
    };
}
pub(crate) use host_errors;
