//! `cargo xtask`: set-up, demo, tests and checks of the repository. Every command is a file of its name.

mod bench;
mod build;
mod check_layers;
mod check_licences;
mod conformance;
mod debian;
mod demo;
mod discovery;
#[cfg(test)]
mod feature_rows;
mod go;
mod golden;
mod guests;
mod lab;
mod product;
mod python;
mod report;
mod schemathesis;
mod setup;
mod shell;
mod test;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Set-up, demo, tests and checks of the repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the arrows between the packages and the entries of the root.
    CheckLayers,
    /// Check the licences of all packages against `.deny.toml`.
    CheckLicences,
    /// Install what a fresh machine lacks.
    Setup(setup::SetupArgs),
    /// Build the `formwork` program: endpoint, agent and command line in one static file.
    Build,
    /// Boot one machine, from power-on to the end of its workflow.
    Demo(demo::DemoArgs),
    /// Run every check of the repository.
    Test(test::TestArgs),
    /// Measure a part of the product beside its peers.
    Bench(bench::BenchArgs),
    /// Fill in what Go makes of the golden cases of templates.
    Golden(golden::GoldenArgs),
    /// Compare every operation of the API's clients with what is expected.
    Conformance(conformance::ConformanceArgs),
    /// Send requests that are made from the description of the API.
    Schemathesis(schemathesis::SchemathesisArgs),
    /// Build the plugins as components.
    Guests(guests::GuestsArgs),
    /// Put what an unknown machine boots into the data folder of an endpoint.
    Discovery(discovery::DiscoveryArgs),
}

fn main() -> ExitCode {
    match run(&Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<()> {
    match command {
        Command::CheckLayers => check_layers::run(),
        Command::CheckLicences => check_licences::run(),
        Command::Setup(args) => setup::run(args),
        Command::Build => build::run(),
        Command::Demo(args) => demo::run(args),
        Command::Test(args) => test::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Golden(args) => golden::run(args),
        Command::Conformance(args) => conformance::run(args),
        Command::Schemathesis(args) => schemathesis::run(args),
        Command::Guests(args) => guests::run(args),
        Command::Discovery(args) => discovery::run(args),
    }
}
