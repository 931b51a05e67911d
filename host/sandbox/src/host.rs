//! The one seam between this crate and whoever hosts it: every capability call of a guest, once its grants and limits are
//! checked, is one [`HostCall`], answered by one [`HostAnswer`].
//!
//! Whoever runs components for real implements [`Host`]; so do those who record calls, replay them, or only pretend.

use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

use crate::capabilities::{
    Blob, ExecCommand, ExecOutput, FileEntry, FilesCall, HttpRequest, HttpResponse, KvCall, LogLine,
    ParamsCall, ProgressReport, RandomCall, SecretsCall,
};

/// An answer that may take a while.
pub type HostFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the host does for a component. The guest sees plain calls that block; here they may wait.
pub trait Host: Send + Sync {
    /// Answers one call.
    ///
    /// Names, paths and addresses are already checked against the grants, all is of bounded size, and values are JSON
    /// text. The future is dropped, at any of its waits, when the call's time is over.
    fn call(&self, call: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>>;

    /// Takes note of a call that grants or limits refuse, so that [`Host::call`] never sees it. The guest goes on with
    /// the error. Most hosts need not know.
    fn refused(&self, _refusal: Refusal) {}
}

/// A call of a guest that was refused before it came to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Refusal {
    /// The capability and its function, `params.read`.
    pub call: String,
    /// Why; `not-granted` carries what was asked for.
    pub error: HostError,
}

/// One capability call of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum HostCall {
    /// A line of the log. Answered by [`HostAnswer::Done`].
    Log(LogLine),
    /// Parameters of the machine.
    Params(ParamsCall),
    /// A request to a web service. Answered by [`HostAnswer::Http`].
    Http(HttpRequest),
    /// The pack's store.
    Kv(KvCall),
    /// Files.
    Files(FilesCall),
    /// A program. Answered by [`HostAnswer::Exec`].
    Exec(ExecCommand),
    /// How far the work has come. Answered by [`HostAnswer::Done`].
    Progress(ProgressReport),
    /// A secret. Answered by [`HostAnswer::Text`].
    Secrets(SecretsCall),
    /// The time of day. Answered by [`HostAnswer::Time`].
    Clock,
    /// Random bytes. Answered by [`HostAnswer::Bytes`].
    Random(RandomCall),
}

/// What the host answers. Each call has one form of answer; another one stops the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum HostAnswer {
    /// It is done.
    Done,
    /// A value, if there is one.
    Text(Option<String>),
    /// Names or keys.
    Names(Vec<String>),
    /// Bytes.
    Bytes(Blob),
    /// The entries of a folder.
    Entries(Vec<FileEntry>),
    /// What a web service answered.
    Http(HttpResponse),
    /// What a program left.
    Exec(ExecOutput),
    /// Milliseconds since 1970-01-01 00:00 UTC.
    Time(u64),
}

/// The host could not do what a component asked. The guest gets the same words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum HostError {
    /// The host itself does not allow it, such as a link that leads out of a folder. Carries what it is about.
    #[error("`{0}` is not granted")]
    NotGranted(String),
    /// Nothing is there. Only for files.
    #[error("nothing is at `{0}`")]
    NotFound(String),
    /// It is not what the call is for. Only for files.
    #[error("`{0}` is of another kind")]
    WrongKind(String),
    /// The input does not fit, such as a value that its schema refuses.
    #[error("{0}")]
    Invalid(String),
    /// Nobody answered, or it cannot be had here; a later try may help.
    #[error("{0}")]
    Unavailable(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// The host answered in a form that does not belong to the call.
#[derive(Debug, thiserror::Error)]
#[error("the host answered {expected} with {found}")]
pub(crate) struct WrongAnswer {
    expected: &'static str,
    found: &'static str,
}

impl HostAnswer {
    fn name(&self) -> &'static str {
        match self {
            Self::Done => "`done`",
            Self::Text(_) => "`text`",
            Self::Names(_) => "`names`",
            Self::Bytes(_) => "`bytes`",
            Self::Entries(_) => "`entries`",
            Self::Http(_) => "`http`",
            Self::Exec(_) => "`exec`",
            Self::Time(_) => "`time`",
        }
    }
}

/// Takes an answer apart into the form that a call wants.
macro_rules! answers {
    ($($method:ident $variant:ident $words:literal -> $type:ty;)*) => {
        impl HostAnswer {
            $(
                pub(crate) fn $method(self) -> Result<$type, WrongAnswer> {
                    match self {
                        Self::$variant(value) => Ok(value),
                        other => Err(WrongAnswer { expected: $words, found: other.name() }),
                    }
                }
            )*

            pub(crate) fn done(self) -> Result<(), WrongAnswer> {
                match self {
                    Self::Done => Ok(()),
                    other => Err(WrongAnswer { expected: "a command", found: other.name() }),
                }
            }
        }
    };
}

answers! {
    text Text "a question for a text" -> Option<String>;
    names Names "a question for names" -> Vec<String>;
    bytes Bytes "a question for bytes" -> Blob;
    entries Entries "a question for entries" -> Vec<FileEntry>;
    http Http "a request" -> HttpResponse;
    exec Exec "a program" -> ExecOutput;
    time Time "a question for the time" -> u64;
}
