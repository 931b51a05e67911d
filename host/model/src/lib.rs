//! The objects of Formwork: what they hold, what they are called and how they look as JSON.
//!
//! Every stored type is one file here with one [`Kind`]: its prefix, key, indexes, validation and references.
//! The generic handlers, the OpenAPI document, the command line and the events follow from that description,
//! so a new type is one new file and one line in [`KINDS`]. Types that somebody declares at run time are in `dynamic`.

mod activity;
mod alert;
mod arch;
mod batch;
mod blueprint;
mod bootenv;
mod canonical;
mod catalog_item;
mod cluster;
mod content;
mod context;
mod dhcp;
mod duration;
mod dynamic;
mod endpoint;
mod filter;
mod header;
mod identity_provider;
mod job;
mod kind;
mod lease;
mod machine;
mod names;
mod object;
mod object_key;
mod overlay;
mod pack;
mod param;
mod params;
mod pick;
mod pipeline;
mod plugin;
mod plugin_provider;
mod plugin_state;
mod pool;
mod preference;
mod profile;
mod publisher;
mod reference;
mod reservation;
mod resource_broker;
mod role;
mod scopes;
mod sort_key;
mod span;
mod stage;
mod store_object;
mod subnet;
mod task;
mod template;
mod tenant;
mod timestamp;
mod trigger;
mod trigger_provider;
mod user;
mod ux_option;
mod ux_setting;
mod ux_view;
mod version_set;
mod word;
mod work_order;
mod workflow;
mod zone;

pub use activity::Activity;
pub use alert::Alert;
pub use arch::{Arch, canonical_arch};
pub use batch::Batch;
pub use blueprint::Blueprint;
pub use bootenv::{ArchInfo, BootEnv, OsInfo};
pub use canonical::{canonical_numbers, strip_nulls};
pub use catalog_item::CatalogItem;
pub use cluster::Cluster;
pub use content::{
    ArtifactEntry, Artifacts, ComponentKind, ComponentRecord, Content, ContentMeta, ContentSummary,
    InstallSpec, InstalledContent,
};
pub use context::Context;
pub use dhcp::DhcpOption;
pub use duration::{NEVER, parse_duration};
pub use dynamic::{Declaration, DynamicObject, declaration, declared, declared_kind, kinds_of, type_of};
pub use endpoint::{ElementAction, Endpoint};
pub use filter::{Filter, Query};
pub use header::Header;
pub use identity_provider::IdentityProvider;
pub use job::{ExitState, Job, JobAction, JobState, NO_JOB};
pub use kind::{DeclareError, KINDS, Kind, Layers, Surface, built_in, declare, is_internal, kind_of, kinds};
pub use lease::Lease;
pub use machine::{Machine, MachineFingerprint, TaskStack};
pub use names::{NameGrammar, is_uuid, name_problem};
pub use object::{DecodeError, Object, Objects, ObjectsExt, Record};
pub use object_key::ObjectKey;
pub use overlay::overlaid;
pub use pack::{GrantUse, IncomingPack, InstalledPack, PackGrant, PackState, PackUse, PreviousPack};
pub use param::Param;
pub use params::Params;
pub use pick::Choice;
pub use pipeline::Pipeline;
pub use plugin::Plugin;
pub use plugin_provider::{AvailableAction, PLUGIN_PROTOCOL, PluginProvider};
pub use plugin_state::{DeadLetter, PackValue, PluginCursor};
pub use pool::{Pool, PoolAutoFill, PoolTransitionActions};
pub use preference::Preference;
pub use profile::Profile;
pub use publisher::Publisher;
pub use reference::{Missing, Reference};
pub use reservation::Reservation;
pub use resource_broker::ResourceBroker;
pub use role::{Claim, Role, contains_claims};
pub use scopes::{actions_of, bearer_actions};
pub use sort_key::{Native, SortKey};
pub use span::{Span, index_entries, scan};
pub use stage::Stage;
pub use store_object::StoreObject;
pub use subnet::Subnet;
pub use task::Task;
pub use template::{Template, TemplateInfo};
pub use tenant::Tenant;
pub use timestamp::Timestamp;
pub use trigger::Trigger;
pub use trigger_provider::TriggerProvider;
pub use user::User;
pub use ux_option::UxOption;
pub use ux_setting::UxSetting;
pub use ux_view::{Classifier, MenuGroup, MenuItem, UxView};
pub use version_set::{Element, FileData, VersionSet};
pub use work_order::{PipelinePhaseRecord, WorkOrder};
pub use workflow::Workflow;
pub use zone::{Zone, ZoneFilter, ZoneRecord};

/// Parameter values or other free JSON by name, in name order.
pub type Values = std::collections::BTreeMap<String, serde_json::Value>;

/// The meta map of an object: words by name, in name order.
pub type Meta = std::collections::BTreeMap<String, String>;
