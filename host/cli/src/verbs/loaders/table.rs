//! Which loaders there are, by the names that firmware and other loaders ask for.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use self::Platform::{Arm64, Bios, Uefi};

/// What a loader runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Platform {
    /// x86 with a BIOS.
    Bios,
    /// x86-64 with UEFI.
    Uefi,
    /// 64-bit ARM with UEFI.
    Arm64,
}

/// A loader.
#[derive(Debug)]
pub(super) struct Loader {
    /// The name in the file root.
    pub(super) name: &'static str,
    /// What it runs on.
    pub(super) platform: Platform,
    /// The package of Debian and Ubuntu that has it.
    pub(super) package: &'static str,
    /// Where that package puts it, without the first slash, the best first.
    pub(super) paths: &'static [&'static str],
    /// What it loads next from beside itself, without which it is of no use.
    pub(super) loads: Option<&'static str>,
}

const fn loader(
    name: &'static str,
    platform: Platform,
    package: &'static str,
    paths: &'static [&'static str],
) -> Loader {
    Loader { name, platform, package, paths, loads: None }
}

impl Loader {
    const fn loads(self, next: &'static str) -> Self {
        Self { loads: Some(next), ..self }
    }
}

/// All loaders. `shimx64.efi` looks for `grubx64.efi`, and `lpxelinux.0` for `ldlinux.c32`, where they are themselves.
pub(super) const LOADERS: &[Loader] = &[
    loader("undionly.kpxe", Bios, "ipxe", &["usr/lib/ipxe/undionly.kpxe"]),
    loader("ipxe.pxe", Bios, "ipxe", &["usr/lib/ipxe/ipxe.pxe"]),
    loader("lpxelinux.0", Bios, "pxelinux", &["usr/lib/PXELINUX/lpxelinux.0"]).loads("ldlinux.c32"),
    loader("ldlinux.c32", Bios, "syslinux-common", &["usr/lib/syslinux/modules/bios/ldlinux.c32"]),
    loader("ipxe.efi", Uefi, "ipxe", &["usr/lib/ipxe/ipxe.efi", "boot/ipxe.efi"]),
    loader("snponly.efi", Uefi, "ipxe", &["usr/lib/ipxe/snponly.efi"]),
    loader(
        "shimx64.efi",
        Uefi,
        "shim-signed",
        &["usr/lib/shim/shimx64.efi.signed", "usr/lib/shim/shimx64.efi.signed.latest"],
    )
    .loads("grubx64.efi"),
    loader(
        "grubx64.efi",
        Uefi,
        "grub-efi-amd64-signed",
        &["usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"],
    ),
    loader("mmx64.efi", Uefi, "shim-helpers-amd64-signed", &["usr/lib/shim/mmx64.efi.signed"]),
    loader("ipxe-arm64.efi", Arm64, "ipxe", &["usr/lib/ipxe/ipxe-arm64.efi", "usr/lib/ipxe/arm64/ipxe.efi"]),
    loader("snponly-arm64.efi", Arm64, "ipxe", &["usr/lib/ipxe/snponly-arm64.efi"]),
    loader(
        "shimaa64.efi",
        Arm64,
        "shim-signed",
        &["usr/lib/shim/shimaa64.efi.signed", "usr/lib/shim/shimaa64.efi.signed.latest"],
    )
    .loads("grubaa64.efi"),
    loader(
        "grubaa64.efi",
        Arm64,
        "grub-efi-arm64-signed",
        &["usr/lib/grub/arm64-efi-signed/grubnetaa64.efi.signed"],
    ),
];

impl Platform {
    /// Returns its key among the loaders of a boot environment.
    pub(super) fn key(self) -> &'static str {
        match self {
            Bios => "386-pcbios",
            Uefi => "amd64-uefi",
            Arm64 => "arm64-uefi",
        }
    }

    /// Tells whether a file can be for it: a program for UEFI says for which processor it is.
    pub(super) fn is_of(self, file: &Path) -> bool {
        match self {
            Bios => true,
            Uefi => machine(file) == Some(0x8664),
            Arm64 => machine(file) == Some(0xaa64),
        }
    }
}

/// Reads for which processor a program for UEFI is (PE format, "COFF file header").
fn machine(file: &Path) -> Option<u16> {
    let mut file = File::open(file).ok()?;
    let mut head = [0; 0x40];
    file.read_exact(&mut head).ok()?;
    let [.., a, b, c, d] = head;
    let mut header = [0; 6];
    file.seek(SeekFrom::Start(u64::from(u32::from_le_bytes([a, b, c, d])))).ok()?;
    file.read_exact(&mut header).ok()?;
    let is_program = head.starts_with(b"MZ") && header.starts_with(b"PE\0\0");
    let [.., low, high] = header;
    is_program.then_some(u16::from_le_bytes([low, high]))
}
