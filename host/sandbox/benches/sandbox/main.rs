//! The figures of the sandbox, each beside a peer that does the same work in the same run.
//!
//! `cargo xtask bench sandbox` runs this and prints a table. What is printed here is one JSON object a line ([`formwork_bench::Row`]).

#![expect(clippy::expect_used, reason = "a program that measures ends where a step fails, as a test does")]

mod calls;
mod compute;
mod peers;
mod stage;
mod start;

use formwork_bench::Chosen;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The name of this suite.
const SUITE: &str = "sandbox";

fn main() {
    let Some(chosen) = Chosen::from_arguments() else { return };
    // Tracing as the server has it: every span and event of the level is written, and thrown away.
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::io::sink);
    tracing_subscriber::registry().with(lines).with(Targets::new().with_default(LevelFilter::INFO)).init();
    let stage = stage::Stage::set();
    if chosen.has("calls") {
        calls::run(&stage);
    }
    if chosen.has("peers") {
        peers::run(&stage);
    }
    if chosen.has("compute") {
        compute::run();
    }
    if chosen.has("start") {
        start::run(&stage);
    }
    if chosen.has("worst") {
        start::worst(&stage);
    }
}
