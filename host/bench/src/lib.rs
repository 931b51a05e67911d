//! What the suites of `cargo xtask bench` share: clocks, medians, and the form of a figure.
//!
//! A suite prints a [`Row`] a line, as JSON; `cargo xtask bench` shows them.

mod measure;
mod row;

pub use measure::{Samples, Stopwatch};
pub use row::{Row, Target};
