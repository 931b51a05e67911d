//! Simulated machines: many in one process, with invented hardware, and the real agent on each.
//!
//! | module | holds |
//! |---|---|
//! | `profile`, `amount`, `ends` | what a fleet is made of, as a YAML file says it; `README.md` beside this crate explains the file |
//! | `chance` | the decisions that a seed leads to: functions without a memory |
//! | `hardware` | what a machine tells of itself |
//! | `world` | the machine around an agent: no program runs, tasks take their time and end as the profile says |
//! | `machine` | a machine's life: boots, crashes, reboots, and the operator who lets it go on |
//! | `fleet` | all of them, from the first boot to the last word |
//! | `tally` | what is counted |
//!
//! A decision depends on the seed, the number of the machine, the task and how often that task ran on that machine, and on
//! nothing else: neither the clock nor the order in which machines come to it changes what happens to one.

mod amount;
mod chance;
mod ends;
mod fleet;
mod hardware;
mod machine;
mod profile;
mod tally;
mod world;

pub use fleet::{Fleet, FleetOptions, Streams, WhenComplete};
pub use profile::{Profile, ProfileError};
pub use tally::{Counts, Progress, Summary};
