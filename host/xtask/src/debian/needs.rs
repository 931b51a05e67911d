//! Packages that this machine is to have, and how it shows that it has them.

use std::fs;
use std::path::Path;

use super::{BUSYBOX, is_static};
use crate::shell;

/// A package and the thing in it that shows that it is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    pub(super) package: &'static str,
    pub(super) proof: Proof,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Proof {
    Program(&'static str),
    File(&'static str),
    StaticProgram(&'static str),
}

/// What building the static program takes.
pub(crate) const TO_BUILD: &[Need] = &[
    Need { package: "gcc", proof: Proof::Program("cc") },
    Need { package: "libc6-dev", proof: Proof::Program("cc") },
];

/// What the tests make their input with: images and compressed archives.
pub(crate) const TO_TEST: &[Need] = &[
    Need { package: "bzip2", proof: Proof::Program("bzip2") },
    Need { package: "xorriso", proof: Proof::Program("xorriso") },
    Need { package: "xz-utils", proof: Proof::Program("xz") },
    Need { package: "zstd", proof: Proof::Program("zstd") },
];

/// The shell of the discovery system.
pub(crate) const TO_DISCOVER: &[Need] =
    &[Need { package: "busybox-static", proof: Proof::StaticProgram(BUSYBOX) }];

/// What a machine under QEMU takes besides.
pub(crate) const TO_BOOT: &[Need] = &[
    Need { package: "qemu-system-x86", proof: Proof::Program("qemu-system-x86_64") },
    Need { package: "ovmf", proof: Proof::File("/usr/share/OVMF/OVMF_CODE_4M.fd") },
    Need { package: "ipxe-qemu", proof: Proof::File("/usr/lib/ipxe/qemu/pxe-virtio.rom") },
    Need { package: "iproute2", proof: Proof::Program("ip") },
];

/// The clients of DHCP and TFTP that the endpoint is tried with, and what stands between them and it.
pub(crate) const TO_LAB: &[Need] = &[
    Need { package: "iproute2", proof: Proof::Program("ip") },
    Need { package: "busybox-static", proof: Proof::StaticProgram(BUSYBOX) },
    Need { package: "isc-dhcp-client", proof: Proof::Program("dhclient") },
    Need { package: "dhcpcd-base", proof: Proof::Program("dhcpcd") },
    Need { package: "isc-dhcp-relay", proof: Proof::Program("dhcrelay") },
    Need { package: "kea-admin", proof: Proof::Program("perfdhcp") },
    Need { package: "dnsmasq-base", proof: Proof::Program("dnsmasq") },
    Need { package: "tftp-hpa", proof: Proof::Program("tftp") },
    Need { package: "atftp", proof: Proof::Program("atftp") },
    Need { package: "curl", proof: Proof::Program("curl") },
];

/// What a bench of the boot network takes besides its peers: networks, and the load of DHCP.
pub(crate) const TO_MEASURE_BOOT: &[Need] = &[
    Need { package: "iproute2", proof: Proof::Program("ip") },
    Need { package: "nftables", proof: Proof::Program("nft") },
    Need { package: "kea-admin", proof: Proof::Program("perfdhcp") },
];

impl Need {
    pub(super) fn is_met(&self) -> bool {
        match self.proof {
            Proof::Program(name) => shell::find_program(name).is_some(),
            Proof::File(path) => Path::new(path).is_file(),
            Proof::StaticProgram(path) => fs::read(path).is_ok_and(|elf| is_static(&elf)),
        }
    }
}
