//! `cargo xtask test`: every check of the repository, one after the other, with a table of times at the end.

use anyhow::{Result, anyhow, bail};

use crate::demo::{self, DemoArgs, Firmware, Machine};
use crate::report::{Stopwatch, say, table};
use crate::workspace::Workspace;
use crate::{
    check_layers, check_licences, conformance, debian, golden, lab, product, schemathesis, setup, shell,
};

/// Which checks to run.
#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    /// Run this step alone; may be given more than once.
    #[arg(long, value_enum, value_name = "STEP")]
    only: Vec<Step>,
}

/// One step, in the order in which they run: what fails in seconds comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Step {
    /// The format of the sources.
    Format,
    /// The arrows between the packages.
    Layers,
    /// The licences of all packages.
    Licences,
    /// What Go makes of the golden cases of templates.
    Golden,
    /// Warnings of the compiler and of clippy.
    Clippy,
    /// The static release program.
    Build,
    /// The tests of all packages.
    Tests,
    /// Every operation of the API's clients.
    Conformance,
    /// Requests made from the description of the API.
    Schemathesis,
    /// A simulated firmware, the real endpoint, the real agent.
    DemoSimulated,
    /// The DHCP and TFTP clients of Debian.
    BootClients,
    /// A virtual machine with BIOS.
    DemoBios,
    /// A virtual machine with UEFI.
    DemoUefi,
}

impl Step {
    fn name(self) -> String {
        use clap::ValueEnum as _;
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn run(self, workspace: &Workspace) -> Result<Ending> {
        let cargo = |arguments: &[&str]| shell::run(workspace.cargo().args(arguments));
        match self {
            Self::Format => cargo(&["fmt", "--all", "--check"])?,
            Self::Layers => check_layers::run()?,
            Self::Licences => check_licences::run()?,
            Self::Golden => {
                let reason = golden::check(workspace)?;
                return Ok(reason.map_or(Ending::Passed, Ending::Skipped));
            }
            Self::Clippy => {
                // As the program is built, so that what runs at build time is built once for both.
                let mut clippy = workspace.cargo();
                clippy.args(["clippy", "--workspace", "--all-targets", "--release", "--locked"]);
                product::make_static(&mut clippy, &shell::host_triple()?);
                shell::run(clippy.args(["--", "-D", "warnings"]))?;
            }
            Self::Build => drop(product::build(workspace)?),
            Self::Tests => {
                debian::install(debian::TO_TEST)?;
                let mut tests = workspace.cargo();
                tests.args(["test", "--workspace", "--release", "--locked", "--no-fail-fast"]);
                shell::run(product::make_static(&mut tests, &shell::host_triple()?))?;
            }
            Self::Conformance => {
                let reason = conformance::check(workspace, &product::build(workspace)?, false)?;
                return Ok(reason.map_or(Ending::Passed, Ending::Skipped));
            }
            Self::Schemathesis => {
                let reason = schemathesis::check(workspace, &product::build(workspace)?)?;
                return Ok(reason.map_or(Ending::Passed, Ending::Skipped));
            }
            Self::DemoSimulated => demo(Machine::Simulated, workspace)?,
            Self::BootClients => {
                let reason = lab::check(workspace)?;
                return Ok(reason.map_or(Ending::Passed, Ending::Skipped));
            }
            Self::DemoBios => return virtual_machine(Firmware::Bios, workspace),
            Self::DemoUefi => return virtual_machine(Firmware::Uefi, workspace),
        }
        Ok(Ending::Passed)
    }
}

/// How a step ended that did not fail.
#[derive(Debug)]
enum Ending {
    Passed,
    Skipped(String),
}

/// Runs the steps, all of them also after a failure, and ends with the line that CI reads.
pub(crate) fn run(args: &TestArgs) -> Result<()> {
    use clap::ValueEnum as _;
    let workspace = Workspace::read()?;
    let total = Stopwatch::start();
    setup::to_build(&workspace)?;
    let chosen = |step: &&Step| args.only.is_empty() || args.only.contains(step);
    let mut summary = Summary::default();
    for step in Step::value_variants().iter().filter(chosen) {
        say(&format!("\n== {}", step.name()));
        let clock = Stopwatch::start();
        let ending = step.run(&workspace);
        if let Err(error) = &ending {
            eprintln!("error: {error:#}");
        }
        summary.add(&step.name(), clock, ending);
    }
    say(&format!(
        "\n{}\n\nall steps: {:.0} s\n{}",
        table(&summary.rows),
        total.elapsed().as_secs_f64(),
        summary.line()
    ));
    if summary.failed > 0 { bail!("{} of the steps failed", summary.failed) } else { Ok(()) }
}

#[derive(Debug, Default)]
struct Summary {
    rows: Vec<Vec<String>>,
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Summary {
    fn add(&mut self, name: &str, clock: Stopwatch, ending: Result<Ending>) {
        let words = match ending {
            Ok(Ending::Passed) => {
                self.passed += 1;
                "passed".to_owned()
            }
            Ok(Ending::Skipped(reason)) => {
                self.skipped += 1;
                format!("skipped: {reason}")
            }
            Err(_) => {
                self.failed += 1;
                "FAILED".to_owned()
            }
        };
        self.rows.push(vec![name.to_owned(), format!("{:.1} s", clock.elapsed().as_secs_f64()), words]);
    }

    fn line(&self) -> String {
        let skipped = if self.skipped > 0 { format!(", {} skipped", self.skipped) } else { String::new() };
        format!("{} passed, {} failed{skipped}", self.passed, self.failed)
    }
}

fn demo(machine: Machine, workspace: &Workspace) -> Result<()> {
    let program = product::build(workspace)?;
    demo::boot(&DemoArgs::checked(machine), machine, workspace, &program)
}

fn virtual_machine(firmware: Firmware, workspace: &Workspace) -> Result<Ending> {
    let missing = setup::to_boot(workspace).err().map(|error| format!("{error:#}").replace('\n', "; "));
    match missing.or_else(Machine::obstacle) {
        // Where packages could be installed a missing one is a failure, so that CI cannot lose this step unseen.
        Some(reason) if Machine::could_be_prepared() => Err(anyhow!("{reason}")),
        Some(reason) => Ok(Ending::Skipped(reason)),
        None => demo(Machine::Qemu(firmware), workspace).map(|()| Ending::Passed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_line_counts_the_steps_as_ci_reads_it() {
        let mut summary = Summary::default();
        summary.add("one", Stopwatch::start(), Ok(Ending::Passed));
        assert_eq!(summary.line(), "1 passed, 0 failed");
        summary.add("two", Stopwatch::start(), Err(anyhow!("broken")));
        summary.add("three", Stopwatch::start(), Ok(Ending::Skipped("no root".to_owned())));
        assert_eq!(summary.line(), "1 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn every_step_can_be_named_on_the_command_line() {
        use clap::ValueEnum as _;
        let names: Vec<String> = Step::value_variants().iter().map(|step| step.name()).collect();
        assert!(names.contains(&"demo-simulated".to_owned()) && names.iter().all(|name| !name.is_empty()));
    }
}
