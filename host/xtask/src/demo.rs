//! `cargo xtask demo`: one machine, from power-on through DHCP, TFTP and HTTP to the agent and a complete workflow.
//!
//! The demo drives the product from outside only: `formwork serve` is the endpoint, and what the demo knows of it
//! comes from the product's own command line.

mod endpoint;
mod journal;
mod machine;
mod network;
mod process;
mod progress;
mod session;
mod verdict;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::debian;
use crate::discovery;
use crate::product;
use crate::report::{Stopwatch, say};
use crate::setup;
use crate::workspace::Workspace;
pub(crate) use machine::{Firmware, Machine};
use session::{Outcome, Session};

/// How long a machine may take from power-on to the end of its workflow.
const TIME_LIMIT: Duration = Duration::from_secs(180);

/// How the demo runs.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DemoArgs {
    /// End with status 0 once the machine's workflow is complete with every job finished, else with the reason.
    #[arg(long)]
    check: bool,
    /// Boot a simulated firmware over the loopback even where QEMU could run.
    #[arg(long)]
    simulated: bool,
    /// The firmware of the virtual machine.
    #[arg(long, value_enum, default_value = "bios", conflicts_with = "simulated")]
    firmware: Firmware,
    /// A folder for the endpoint's data, absent or empty; it stays after the end.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Keep the data and the logs after a successful end too.
    #[arg(long)]
    keep: bool,
}

impl DemoArgs {
    /// Returns the arguments of a checked run of `machine`.
    pub(crate) fn checked(machine: Machine) -> Self {
        let (simulated, firmware) = match machine {
            Machine::Qemu(firmware) => (false, firmware),
            Machine::Simulated => (true, Firmware::Bios),
        };
        Self { check: true, simulated, firmware, data: None, keep: false }
    }
}

/// Sets up what is missing, builds, boots a machine, and shows what comes of it.
pub(crate) fn run(args: &DemoArgs) -> Result<()> {
    let workspace = Workspace::read()?;
    let clock = Stopwatch::start();
    clock.say("set-up");
    setup::to_build(&workspace)?;
    let machine = choose(args, &workspace);
    clock.say("build of the static program");
    let program = product::build(&workspace)?;
    boot(args, machine, &workspace, &program)
}

/// Boots `machine` against the built `program`.
pub(crate) fn boot(args: &DemoArgs, machine: Machine, workspace: &Workspace, program: &Path) -> Result<()> {
    let folders = Folders::make(args, workspace)?;
    let plan = Plan { machine, program, workspace, folders: &folders, stay: !args.check, limit: TIME_LIMIT };
    let outcome = Session::run(&plan);
    if matches!(outcome, Ok(Outcome::Complete | Outcome::Interrupted)) && args.data.is_none() && !args.keep {
        let _ = fs::remove_dir_all(&folders.root);
    } else {
        say(&format!("data and logs stay in {}", folders.root.display()));
    }
    match outcome? {
        Outcome::Complete => Ok(()),
        Outcome::Interrupted if args.check => bail!("interrupted"),
        Outcome::Interrupted => Ok(()),
    }
}

/// Returns what to boot: a virtual machine where that is possible, and says why where it is not.
fn choose(args: &DemoArgs, workspace: &Workspace) -> Machine {
    if args.simulated {
        return Machine::Simulated;
    }
    let prepared = setup::to_boot(workspace).map(drop);
    match prepared.err().map(|error| format!("{error:#}")).or_else(Machine::obstacle) {
        None => Machine::Qemu(args.firmware),
        Some(reason) => {
            say(&format!("no virtual machine: {reason}\nso a simulated firmware boots over the loopback"));
            Machine::Simulated
        }
    }
}

/// One run.
#[derive(Debug)]
struct Plan<'a> {
    machine: Machine,
    program: &'a Path,
    workspace: &'a Workspace,
    folders: &'a Folders,
    /// Whether to go on, once the machine is done, until an interruption.
    stay: bool,
    /// The time from power-on to the end of the workflow.
    limit: Duration,
}

/// The folders of one run.
#[derive(Debug)]
struct Folders {
    root: PathBuf,
    data: PathBuf,
    logs: PathBuf,
    journal: PathBuf,
}

impl Folders {
    fn make(args: &DemoArgs, workspace: &Workspace) -> Result<Self> {
        let cache = workspace.cache();
        let root = match &args.data {
            Some(folder) if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) => {
                bail!("`{}` is not empty\nhint: the demo starts with fresh data", folder.display())
            }
            Some(folder) => std::path::absolute(folder).context("failed to find the working folder")?,
            None => cache.join("demo"),
        };
        let folders = Self {
            data: root.join("data"),
            logs: root.join("logs"),
            journal: cache.join("demo-journal.json"),
            root,
        };
        for folder in [&cache, &folders.root] {
            fs::create_dir_all(folder).with_context(|| format!("failed to make `{}`", folder.display()))?;
        }
        Ok(folders)
    }

    /// Makes the folders of data and logs anew. Called when no other demo can be using them.
    fn clear(&self) -> Result<()> {
        for folder in [&self.data, &self.logs] {
            let _ = fs::remove_dir_all(folder);
            fs::create_dir_all(folder).with_context(|| format!("failed to make `{}`", folder.display()))?;
        }
        Ok(())
    }
}

/// Puts what the machine boots below the endpoint's data folder.
fn prepare_files(plan: &Plan<'_>) -> Result<()> {
    if plan.machine.needs_network() {
        let kernel = setup::to_boot(plan.workspace)?;
        let loaders = debian::loaders(&plan.workspace.cache())?;
        let install = discovery::boot_files(&plan.folders.data, plan.program, Some(&loaders))?;
        discovery::make(&kernel, plan.program, &plan.workspace.cache(), &install)?;
        return Ok(());
    }
    let install = discovery::boot_files(&plan.folders.data, plan.program, None)?;
    // A simulated firmware loads files and runs none: what it runs as the agent is the program itself.
    let image = install.join("vmlinuz");
    fs::write(&image, vec![0; 1 << 20]).with_context(|| format!("failed to write `{}`", image.display()))?;
    let initramfs = install.join("initrd.img");
    fs::copy(plan.program, &initramfs)
        .with_context(|| format!("failed to write `{}`", initramfs.display()))?;
    Ok(())
}
