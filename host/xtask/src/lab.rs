//! `cargo xtask test --only boot-clients`: the endpoint and the DHCP and TFTP clients of Debian, each on a host of its own in
//! networks inside this machine.

mod dhcp;
mod networks;
mod others;
mod tftp;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::debian;
use crate::product;
use crate::report::{Stopwatch, say, table};
use crate::shell;
use crate::workspace::Workspace;

use networks::Networks;

/// What a client did, in words for the table.
type Outcome = Result<String>;

/// A client, what it is to do, and the function that makes it.
struct Case {
    client: &'static str,
    task: &'static str,
    run: fn(&Networks<'_>) -> Outcome,
}

/// Everything that is tried, in this order: what comes later finds leases of what came before.
const CASES: &[Case] = &[
    Case { client: "udhcpc", task: "an address, and the boot server of each network", run: dhcp::udhcpc },
    Case { client: "udhcpc", task: "two networks at once, ten machines in each", run: dhcp::two_networks },
    Case { client: "udhcpc", task: "a reserved address", run: dhcp::reservation },
    Case { client: "dhclient", task: "lease, the same again, renewal, release", run: dhcp::dhclient },
    Case { client: "dhcpcd", task: "lease, renewal, release", run: dhcp::dhcpcd },
    Case { client: "dhcrelay", task: "udhcpc and dhclient behind it, with option 82", run: others::relay },
    Case { client: "perfdhcp", task: "100 exchanges a second", run: others::perfdhcp },
    Case { client: "dnsmasq", task: "a second server answers the same clients", run: others::rogue },
    Case { client: "tftp-hpa", task: "5 MiB, and a file that is not there", run: tftp::hpa },
    Case { client: "atftp", task: "5 MiB in blocks of 512, 1468, 8192; no such file", run: tftp::atftp },
    Case { client: "curl", task: "5 MiB in blocks of 512, 1468, 8192; no such file", run: tftp::curl },
    Case {
        client: "busybox tftp",
        task: "5 MiB in blocks of 512, 1468, 8192; no such file",
        run: tftp::busybox,
    },
];

/// Runs all clients, also after a failure, and shows what each did.
///
/// # Errors
/// The networks could not be made, or a client failed.
///
/// # Returns
/// Why nothing could be tried here, or nothing when all went well.
pub(crate) fn check(workspace: &Workspace) -> Result<Option<String>> {
    if !shell::is_root() {
        return Ok(Some("networks inside this machine need root".to_owned()));
    }
    if let Err(error) = debian::install(debian::TO_LAB) {
        let reason = format!("{error:#}").replace('\n', "; ");
        // Where packages could be installed a missing one is a failure, so that CI cannot lose this step unseen.
        return if shell::find_program("apt-get").is_some() {
            Err(anyhow!(reason))
        } else {
            Ok(Some(reason))
        };
    }
    let program = product::build(workspace)?;
    let folder = Folder::make(&workspace.target.join("boot-clients"))?;
    formwork_lab::sweep();
    let hosts = networks::Hosts::make()?;
    let networks = hosts.serve(&program, &folder.0)?;
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for case in CASES {
        let clock = Stopwatch::start();
        let outcome = (case.run)(&networks);
        let words = match &outcome {
            Ok(words) => words.clone(),
            Err(error) => {
                failed.push(case.client);
                format!("FAILED: {error:#}").replace('\n', "; ")
            }
        };
        let time = format!("{:.1} s", clock.elapsed().as_secs_f64());
        rows.push(vec![case.client.to_owned(), case.task.to_owned(), time, words]);
    }
    say(&table(&rows));
    if failed.is_empty() {
        return Ok(None);
    }
    say(&format!("\nlast words of the endpoint:\n{}", networks.endpoint.daemon().tail(40)));
    bail!("{} of {} clients failed: {}", failed.len(), CASES.len(), failed.join(", "))
}

/// A folder that is empty at the start and gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn make(path: &Path) -> Result<Self> {
        let _ = fs::remove_dir_all(path);
        fs::create_dir_all(path).with_context(|| format!("failed to make `{}`", path.display()))?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
