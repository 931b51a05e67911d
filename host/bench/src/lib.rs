//! What the suites of `cargo xtask bench` share: what they are asked for, clocks, medians, and the form of a figure.
//!
//! A suite prints a [`Row`] a line, as JSON; `cargo xtask bench` shows them.

mod chosen;
mod measure;
mod process;
mod row;

pub use chosen::Chosen;
pub use measure::{Samples, Stopwatch};
pub use process::busy_seconds;
pub use row::{Row, Target};
