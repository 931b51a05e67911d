//! What happens next, decided over a set of objects: no async, files, sockets, clock or random numbers here.
//!
//! Every function takes the objects at one revision and the time as arguments and returns what to save, or why
//! not. Who calls it saves the answer in one transaction and only then lets anybody see it (design, part 3).
//!
//! Invariants that hold whatever a component or a client says; `tests/engine` tries them with random operators, agents, crashes
//! and clocks:
//!
//! - every task of a list that came to its end was done there, each after those before it, unless a component or an order
//!   decided to pass over one that failed, or an operator sent the machine back;
//! - a task is handed out again only after it failed or was left incomplete, or after such a step back;
//! - the part of a task list that has begun never changes, and its place never goes back, unless the list begins anew or an
//!   error handler takes its place;
//! - a machine and a work order each have at most one job that is not final, and it is the current one;
//! - a job is acknowledged as finished once, and what is final stays as it is;
//! - who asks for a job and gets none is refused with a reason, is an agent of another context, or asks where all is done;
//! - once an operator makes a machine runnable, agents that do what they are asked bring its list to the end;
//! - no clock, wherever it jumps, keeps a machine waiting for longer than its pause;
//! - machine and job change together or not at all.

pub mod access;
pub mod availability;
pub mod batches;
pub mod boot;
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
mod staged;
pub mod subnets;
mod tasks;
pub mod triggers;
pub mod work_orders;

pub use refusal::Refusal;
pub use tasks::action_entry;
