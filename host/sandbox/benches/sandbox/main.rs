//! The figures of the sandbox, each beside a peer that does the same work in the same run.
//!
//! `cargo xtask bench sandbox` runs this and prints a table. What is printed here is one JSON object a line ([`formwork_bench::Row`]).

#![expect(clippy::expect_used, reason = "a program that measures ends where a step fails, as a test does")]

mod calls;
mod compute;
mod peers;
mod stage;
mod start;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The name of this suite.
const SUITE: &str = "sandbox";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` starts this too, and wants no figures.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    // Names of groups, to take only their figures.
    let chosen = |group: &str| {
        let mut names = arguments.iter().filter(|argument| !argument.starts_with("--")).peekable();
        names.peek().is_none() || names.any(|name| name == group)
    };
    // Tracing as the server has it: every span and event of the level is written, and thrown away.
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::io::sink);
    tracing_subscriber::registry().with(lines).with(Targets::new().with_default(LevelFilter::INFO)).init();
    let stage = stage::Stage::set();
    if chosen("calls") {
        calls::run(&stage);
    }
    if chosen("peers") {
        peers::run(&stage);
    }
    if chosen("compute") {
        compute::run();
    }
    if chosen("start") {
        start::run(&stage);
    }
    if chosen("worst") {
        start::worst(&stage);
    }
}
