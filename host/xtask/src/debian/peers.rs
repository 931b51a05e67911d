//! Servers of the distribution that the endpoint is compared with.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::tool::with_libraries;

/// The packages of each, beside the libraries that they depend on. Some of them would not be installed together.
const PEERS: &[(&str, &[&str])] = &[
    ("kea", &["kea-dhcp4-server", "kea-common"]),
    ("isc-dhcpd", &["isc-dhcp-server"]),
    ("dnsmasq", &["dnsmasq-base"]),
    ("tftpd-hpa", &["tftpd-hpa"]),
    ("atftpd", &["atftpd"]),
    ("nginx", &["nginx"]),
    ("wrk", &["wrk"]),
];

/// Packages that belong to the running system: its loader would not take those of another.
const OF_THE_SYSTEM: &[&str] = &["libc6", "libgcc-s1", "libstdc++6"];

/// The peers, each unpacked in a folder of its own below [`Peers::folder`].
#[derive(Debug)]
pub(crate) struct Peers {
    /// Where they are.
    pub(crate) folder: PathBuf,
    /// Which are not, and why; empty when all are.
    pub(crate) missing: String,
}

/// Unpacks the peers below `cache`, those that are not there yet. Nothing is installed, and no service starts.
pub(crate) fn peers(cache: &Path) -> Result<Peers> {
    let folder = cache.join("peers");
    std::fs::create_dir_all(&folder).with_context(|| format!("failed to make `{}`", folder.display()))?;
    let mut missing = Vec::new();
    for (name, packages) in PEERS {
        let place = folder.join(name);
        if !place.is_dir()
            && let Err(error) = fetch(packages, &place)
        {
            missing.push(format!("{name}: {error:#}").replace('\n', "; "));
        }
    }
    Ok(Peers { folder, missing: missing.join("; ") })
}

fn fetch(packages: &[&str], place: &Path) -> Result<()> {
    let mut all = Vec::new();
    for package in packages {
        all.extend(with_libraries(package)?);
    }
    all.retain(|package| !OF_THE_SYSTEM.contains(&package.as_str()));
    all.sort();
    all.dedup();
    super::fetch(&all, place)
}
