//! `cargo xtask bench`: the figures of a part of the product, each beside a peer that does the same work in the same run.
//!
//! A suite is a program of its own, built in release and run alone. It prints a [`Row`] a line, as JSON; this shows them as
//! a table while they come, or as they are. Later suites need a line in [`Suite`] and nothing else here.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use formwork_bench::Row;

use crate::debian::{self, Peers};
use crate::go;
use crate::product;
use crate::python;
use crate::report::{say, table};
use crate::shell;
use crate::workspace::Workspace;

/// Which figures to take.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// The suite.
    #[arg(value_enum)]
    suite: Suite,
    /// Print one JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
    /// Measure only the cases whose names have this in them; may be given more than once.
    #[arg(long, value_name = "NAME")]
    case: Vec<String>,
    /// Fail when a figure misses its target.
    #[arg(long)]
    check: bool,
}

/// A program that measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Suite {
    /// Calls of components: speed, limits, memory, compilation.
    Sandbox,
    /// The API's latency while hostile packs are refused.
    Uploads,
    /// Templates, beside Go's own engine.
    Templates,
    /// The API with many machines, writers and listeners, beside Ironic.
    Api,
    /// Machines that run workflows, and machines that wait; and the templates of their tasks.
    Workflow,
    /// DHCP, TFTP and HTTP of the boot network, beside the servers of Debian.
    Boot,
}

impl Suite {
    /// The suites whose programs run, one after the other.
    fn parts(self) -> Vec<Self> {
        match self {
            Self::Workflow => vec![Self::Workflow, Self::Templates],
            Self::Sandbox | Self::Uploads | Self::Templates | Self::Api | Self::Boot => vec![self],
        }
    }

    /// The package that the program belongs to.
    fn package(self) -> &'static str {
        match self {
            Self::Sandbox => "formwork-sandbox",
            Self::Templates => "formwork-template",
            Self::Uploads | Self::Api | Self::Workflow => "formwork-cli",
            Self::Boot => "formwork-lab",
        }
    }

    /// The name of the package's bench target.
    fn target(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Uploads => "uploads",
            Self::Templates => "templates",
            Self::Api => "api",
            Self::Workflow => "workflow",
            Self::Boot => "boot",
        }
    }

    /// Makes ready what the program is compared with; without it the program says so.
    ///
    /// # Errors
    /// What is measured cannot be had.
    fn prepare(self, workspace: &Workspace, command: &mut Command) -> Result<()> {
        match self {
            Self::Sandbox | Self::Uploads | Self::Workflow => {}
            Self::Templates => {
                match go::oracle(workspace) {
                    Ok(program) => command.env("FORMWORK_GO_ORACLE", program),
                    // A cell of a table is one line.
                    Err(error) => {
                        command.env("FORMWORK_GO_MISSING", format!("{error:#}").replace('\n', "; "))
                    }
                };
            }
            Self::Api => {
                let (folder, place) =
                    (workspace.root.join("tests/peers/ironic"), workspace.target.join("peers/ironic"));
                match python::environment(&folder, &place) {
                    Ok(python) => command.env("FORMWORK_IRONIC_PYTHON", python),
                    Err(error) => command.env("FORMWORK_IRONIC_MISSING", format!("{error:#}")),
                };
            }
            Self::Boot => {
                if !shell::is_root() {
                    bail!("networks inside this machine need root");
                }
                debian::install(debian::TO_MEASURE_BOOT)?;
                let Peers { folder, missing } = debian::peers(&workspace.cache())?;
                command.env("FORMWORK_PROGRAM", product::build(workspace)?);
                command.env("FORMWORK_PEERS", folder).env("FORMWORK_BENCH_FOLDER", &workspace.target);
                if !missing.is_empty() {
                    command.env("FORMWORK_PEERS_MISSING", missing);
                }
            }
        }
        Ok(())
    }
}

/// Builds a suite and runs it.
pub(crate) fn run(args: &BenchArgs) -> Result<()> {
    let workspace = Workspace::read()?;
    let triple = shell::host_triple()?;
    let mut programs = Vec::new();
    for suite in args.suite.parts() {
        // The programs that a suite starts, such as its peers, are examples of its package. All is built as what ships is.
        let mut examples = workspace.cargo();
        examples.args(["build", "--release", "--locked", "--package", suite.package(), "--examples"]);
        shell::run(product::make_static(&mut examples, &triple))?;
        let mut command = workspace.cargo();
        command.args(["bench", "--locked", "--package", suite.package(), "--bench", suite.target()]);
        product::make_static(&mut command, &triple);
        command.arg("--").args(&args.case);
        suite.prepare(&workspace, &mut command)?;
        programs.push(command);
    }
    if !args.json {
        say(&format!("load before: {}", load()));
    }
    let mut rows = Vec::new();
    for program in &mut programs {
        rows.extend(take(program, args.json)?);
    }
    if !args.json {
        say(&format!("\n{}\n\nload after: {}", render(&rows), load()));
    }
    let missed: Vec<&str> =
        rows.iter().filter(|row| row.met == Some(false)).map(|row| row.case.as_str()).collect();
    if args.check && !missed.is_empty() {
        bail!("missed: {}", missed.join("; "));
    }
    Ok(())
}

/// Runs the program and collects its rows, shown as they come.
fn take(command: &mut Command, json: bool) -> Result<Vec<Row>> {
    let line = shell::line(command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("failed to start `{line}`"))?;
    let mut rows = Vec::new();
    if let Some(output) = child.stdout.take() {
        for text in BufReader::new(output).lines() {
            let text = text.with_context(|| format!("failed to read from `{line}`"))?;
            let row: Row = serde_json::from_str(&text)
                .with_context(|| format!("`{line}` printed what is no row: {text}"))?;
            say(if json { &text } else { &row.case });
            rows.push(row);
        }
    }
    let status = child.wait().with_context(|| format!("failed to wait for `{line}`"))?;
    if status.success() { Ok(rows) } else { bail!("`{line}` ended with {status}") }
}

/// Returns rows as a table.
fn render(rows: &[Row]) -> String {
    let head = ["bench", "case", "value", "unit", "peer", "peer value", "ratio", "target", "met"];
    let lines = rows.iter().map(Row::cells);
    table(&std::iter::once(head.map(str::to_owned).to_vec()).chain(lines).collect::<Vec<_>>())
}

/// How busy the host is: processes that want to run, on average over 1, 5 and 15 minutes. Figures of a busy host are worth
/// little.
fn load() -> String {
    let words = std::fs::read_to_string(Path::new("/proc/loadavg")).unwrap_or_default();
    words.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
