//! Write Formwork components in Rust.
//!
//! A component is a library crate of type `cdylib` with one type in it:
//!
//! ```
//! use formwork_sdk::{Call, Failure, Outcome, Task, log, params};
//!
//! struct Greet;
//!
//! impl Task for Greet {
//!     fn run(call: &Call) -> Result<Outcome, Failure> {
//!         let name = params::read::<String>("greet/name")?.unwrap_or_else(|| call.machine.name.clone());
//!         log::info!("hello {name}");
//!         params::write("greet/message", &format!("hello {name}"))?;
//!         Ok(Outcome::Done)
//!     }
//! }
//!
//! formwork_sdk::export_task!(Greet);
//! # fn main() {}
//! ```
//!
//! `?` works on every error. What the crate does not call, the component does not import, so the operator is asked for
//! no more than is used.
//!
//! Lines of the [`log`] facade reach the host's log, those of libraries as well, `trace` as `debug`; one line of more than
//! 64 KiB is cut. [`log::set_max_level`] within a call says that less is wanted, and the features `release_max_level_*`
//! of the `log` crate leave out the code as well. A panic reaches the log before the component stops.
//!
//! A plain `cargo test` runs the code natively against the host of [`testing`].

#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
mod allocator;
mod bindings;
pub mod clock;
pub mod exec;
mod failure;
pub mod files;
mod host;
mod host_error;
pub mod http;
pub mod kv;
mod logger;
pub mod migration;
pub mod params;
pub mod plugin;
pub mod progress;
pub mod random;
pub mod secrets;
mod task;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod upgrade;
mod workflow;

pub use ::log;
pub use failure::Failure;
pub use host_error::HostError;
pub use migration::MigrationPolicy;
pub use plugin::Plugin;
pub use task::{Call, Machine, Outcome, Task, Timestamp};
pub use upgrade::UpgradeStep;
pub use workflow::{Decision, JobReport, JobState, PlanRequest, Stage, TaskInfo, Workflow, WorkflowMachine};

/// What the export macros need; no part of the interface.
#[doc(hidden)]
pub mod private {
    pub use crate::bindings::{plugin_world, policy_world, step_world, task_world, workflow_world};
    pub use crate::migration::PolicyComponent;
    pub use crate::plugin::PluginComponent;
    pub use crate::task::TaskComponent;
    pub use crate::upgrade::StepComponent;
    pub use crate::workflow::WorkflowComponent;
}

/// Makes a type that is a [`Task`] the task of this component.
#[macro_export]
macro_rules! export_task {
    ($task:ty) => {
        const _: () = {
            type Component = $crate::private::TaskComponent<$task>;
    $crate::private::task_world::export_world!(Component with_types_in $crate::private::task_world);
        };
    };
}

/// Makes a type that is a [`Workflow`] the workflow of this component.
#[macro_export]
macro_rules! export_workflow {
    ($workflow:ty) => {
        const _: () = {
            type Component = $crate::private::WorkflowComponent<$workflow>;
            $crate::private::workflow_world::export_world!(Component with_types_in $crate::private::workflow_world);
        };
    };
}

/// Makes a type that is a [`Plugin`] the plugin of this component.
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty) => {
        const _: () = {
            type Component = $crate::private::PluginComponent<$plugin>;
            $crate::private::plugin_world::export_world!(Component with_types_in $crate::private::plugin_world);
        };
    };
}

/// Makes a type that is a [`MigrationPolicy`] the migration policy of this component.
#[macro_export]
macro_rules! export_migration_policy {
    ($exported:ty) => {
        const _: () = {
            type Component = $crate::private::PolicyComponent<$exported>;
            $crate::private::policy_world::export_world!(Component with_types_in $crate::private::policy_world);
        };
    };
}

/// Makes a type that is an [`UpgradeStep`] the upgrade step of this component.
#[macro_export]
macro_rules! export_upgrade_step {
    ($exported:ty) => {
        const _: () = {
            type Component = $crate::private::StepComponent<$exported>;
    $crate::private::step_world::export_world!(Component with_types_in $crate::private::step_world);
        };
    };
}
