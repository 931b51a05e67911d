//! What happens next, decided over a set of objects: no async, files, sockets, clock or random numbers here.
//!
//! Every function takes the objects at one revision and the time as arguments and returns what to save, or why
//! not. Who calls it saves the answer in one transaction and only then lets anybody see it (design, part 3).
//!
//! Invariants that hold whatever a component or a client says:
//!
//! - a task of a list is handed out in order, and again only after it failed or was left incomplete;
//! - the part of a task list that has begun never changes;
//! - a machine has at most one job that is not final, and it is the machine's current job;
//! - machine and job change together or not at all.

pub mod availability;
pub mod batches;
pub mod declared;
pub mod jobs;
pub mod machine;
pub mod params;
pub mod plan;
pub mod plugins;
pub mod pools;
pub mod preferences;
mod refusal;
pub mod secure;
pub mod subnets;
mod tasks;
pub mod triggers;
pub mod work_orders;

pub use refusal::Refusal;
pub use tasks::action_entry;
