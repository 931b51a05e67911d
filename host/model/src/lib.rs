//! The objects of Formwork: what they hold, what they are called and how they look as JSON.
//!
//! Every stored type is one file here with one [`Kind`]: its prefix, key, indexes, validation and references.
//! The generic handlers, the OpenAPI document, the command line and the events follow from that description,
//! so a new type is one new file and one line in [`KINDS`].

mod arch;
mod bootenv;
mod content;
mod header;
mod job;
mod lease;
mod machine;
mod names;
mod object;
mod pack;
mod param;
mod plugin;
mod plugin_provider;
mod plugin_state;
mod preference;
mod profile;
mod publisher;
mod reference;
mod role;
mod stage;
mod task;
mod template;
mod timestamp;
mod user;
mod workflow;

pub use arch::{Arch, canonical_arch};
pub use bootenv::{ArchInfo, BootEnv, OsInfo};
pub use content::{ComponentKind, ComponentRecord, Content, ContentMeta, ContentSummary, InstalledContent};
pub use header::Header;
pub use job::{ExitState, Job, JobAction, JobState, NO_JOB};
pub use lease::Lease;
pub use machine::{Machine, MachineFingerprint, TaskStack};
pub use names::{NameGrammar, name_problem};
pub use object::{DecodeError, KINDS, Kind, Object, Objects, ObjectsExt, Record, is_internal, kind_of};
pub use pack::{GrantUse, IncomingPack, InstalledPack, PackGrant, PackState, PackUse, PreviousPack};
pub use param::Param;
pub use plugin::Plugin;
pub use plugin_provider::{AvailableAction, PLUGIN_PROTOCOL, PluginProvider};
pub use plugin_state::{DeadLetter, PackValue, PluginCursor};
pub use preference::Preference;
pub use profile::Profile;
pub use publisher::Publisher;
pub use reference::{Missing, Reference};
pub use role::{Claim, Role};
pub use stage::Stage;
pub use task::Task;
pub use template::{Template, TemplateInfo};
pub use timestamp::Timestamp;
pub use user::User;
pub use workflow::Workflow;

/// Parameter values or other free JSON by name, in name order.
pub type Values = std::collections::BTreeMap<String, serde_json::Value>;

/// The meta map of an object: words by name, in name order.
pub type Meta = std::collections::BTreeMap<String, String>;
