//! The machine that the demo boots: a virtual one with real firmware, or a simulated firmware.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::endpoint::{Endpoint, Ports};
use super::network::{self, Network};
use crate::debian;
use crate::shell;

/// The address of the machine's network card.
pub(super) const MAC: &str = "52:54:00:77:00:01";

/// The identity of the machine, which its DMI tables hold.
const UUID: &str = "c0ffee00-77aa-4c3d-9e1f-525400770001";

/// The device of taps.
const TUN: &str = "/dev/net/tun";

const OVMF_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const OVMF_VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// Which firmware starts the virtual machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Firmware {
    /// SeaBIOS and the iPXE in the network card's ROM.
    Bios,
    /// OVMF, which loads iPXE over TFTP.
    Uefi,
}

/// What boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    /// QEMU, on a tap in a network namespace.
    Qemu(Firmware),
    /// A program that sends what a firmware sends, over the loopback, and then runs the agent.
    Simulated,
}

impl Machine {
    /// Returns why no virtual machine can boot here, or nothing when one can.
    pub(crate) fn obstacle() -> Option<String> {
        if !shell::is_root() {
            return Some("a boot network needs root".to_owned());
        }
        if !fs::exists(TUN).unwrap_or(false) {
            return Some("this machine has no /dev/net/tun".to_owned());
        }
        let missing = debian::missing(debian::TO_BOOT);
        (!missing.is_empty()).then(|| format!("missing: {}", missing.join(", ")))
    }

    /// Returns whether this machine could boot a virtual one once all packages are installed.
    pub(crate) fn could_be_prepared() -> bool {
        shell::is_root() && fs::exists(TUN).unwrap_or(false) && shell::find_program("apt-get").is_some()
    }

    /// Returns whether the endpoint needs a boot network for it.
    pub(super) fn needs_network(self) -> bool {
        matches!(self, Self::Qemu(_))
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Qemu(Firmware::Bios) => "a virtual machine with BIOS",
            Self::Qemu(Firmware::Uefi) => "a virtual machine with UEFI",
            Self::Simulated => "a simulated machine",
        })
    }
}

/// Returns QEMU's command line. `folder` gets the firmware's variables.
///
/// TCG everywhere: not every `/dev/kvm` runs firmware code, and a boot takes seconds without it too.
pub(super) fn qemu(network: &Network, firmware: Firmware, folder: &Path) -> Result<Command> {
    let mut command = network.command(Path::new("qemu-system-x86_64"));
    let mut card = format!("virtio-net-pci,netdev=net0,mac={MAC},bootindex=1");
    match firmware {
        // Without graphics SeaBIOS and iPXE talk on the serial line.
        Firmware::Bios => drop(command.args(["-machine", "q35,accel=tcg,graphics=off"])),
        Firmware::Uefi => {
            let variables = variables(folder)?;
            command.args(["-machine", "q35,accel=tcg", "-global", "ICH9-LPC.disable_s3=1"]);
            command.args(["-drive", &format!("if=pflash,format=raw,readonly=on,file={OVMF_CODE}")]);
            command.args(["-drive", &format!("if=pflash,format=raw,file={}", variables.display())]);
            command.args(["-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"]);
            // With a ROM on the card iPXE would take the place of OVMF's own PXE.
            card.push_str(",romfile=");
        }
    }
    command.args(["-cpu", "max", "-m", "1024", "-smp", "1", "-nodefaults", "-display", "none"]);
    command.args(["-serial", "stdio", "-monitor", "none", "-device", "virtio-rng-pci", "-uuid", UUID]);
    command.args(["-smbios", "type=1,manufacturer=Formwork,product=Demo Machine,serial=FW-0077-0001"]);
    command.args(["-netdev", &format!("tap,id=net0,ifname={},script=no,downscript=no", network::TAP)]);
    command.args(["-device", &card]);
    Ok(command)
}

/// Returns the command of the simulated machine: a firmware's DHCP, TFTP and HTTP over the loopback, then the agent.
pub(super) fn simulated(endpoint: &Endpoint, ports: Ports, state: &Path) -> Command {
    let mut command = endpoint.formwork();
    command.env_remove("RS_KEY");
    command.args(["demo", "firmware", "--agent", "--mac", MAC, "--uuid", UUID]);
    command.args(["--dhcp", &format!("127.0.0.1:{}", ports.dhcp)]);
    command.args(["--tftp", &format!("127.0.0.1:{}", ports.tftp)]);
    command.arg("--state-dir").arg(state);
    command
}

fn variables(folder: &Path) -> Result<PathBuf> {
    let file = folder.join("firmware-variables.fd");
    fs::copy(OVMF_VARIABLES, &file).with_context(|| format!("failed to write `{}`", file.display()))?;
    Ok(file)
}
