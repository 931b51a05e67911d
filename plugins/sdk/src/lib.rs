//! Write Formwork components in Rust.
//!
//! A component is a library crate of type `cdylib` with one type in it:
//!
//! ```
//! use formwork_sdk::{Failure, Machine, Outcome, Task, Timestamp, log, params};
//!
//! struct Greet;
//!
//! impl Task for Greet {
//!     fn run(machine: &Machine, _now: Timestamp) -> Result<Outcome, Failure> {
//!         let name = params::read::<String>("greet/name")?.unwrap_or_else(|| machine.name.clone());
//!         log::info(format_args!("hello {name}"));
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
//! no more than is used. A panic reaches the log before the component stops. Logic that takes its input as arguments is
//! tested by a plain `cargo test`; the capabilities themselves work only in a component.

mod bindings;
mod failure;
pub mod files;
pub mod log;
pub mod params;
mod task;
mod workflow;

pub use failure::Failure;
pub use task::{Machine, Outcome, Task, Timestamp};
pub use workflow::{Decision, JobReport, JobState, PlanRequest, Stage, TaskInfo, Workflow, WorkflowMachine};

/// What the export macros need; no part of the interface.
#[doc(hidden)]
pub mod private {
    pub use crate::bindings::{task_world, workflow_world};
    pub use crate::task::TaskComponent;
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
