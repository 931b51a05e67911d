//! Which loader or script a client's firmware is told to fetch.
//!
//! A machine asks several times in one boot: its firmware first, then the loader that the firmware fetched (iPXE asks
//! again with its own user class), then the operating system. The second stage must get another answer than the
//! first, else it loads itself for ever.

use serde::{Deserialize, Serialize};

use crate::dhcp::{HardwareAddress, Packet};

/// What the vendor class of a client says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VendorClass {
    /// It begins with `HTTPClient`.
    pub(crate) http: bool,
    /// It begins with `PXEClient`.
    pub(crate) pxe: bool,
}

/// What kind of program asks, which decides the protocol and the form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    /// The PXE ROM of a BIOS machine: loads a file by TFTP.
    PxeBios,
    /// The PXE stack of a UEFI machine: loads a file by TFTP.
    PxeUefi,
    /// The HTTP boot of a UEFI machine: loads a URL, and wants option 60 back.
    HttpUefi,
    /// iPXE: loads a URL, and is told that no proxy will answer.
    Ipxe,
}

impl Firmware {
    /// Tells what asks; `None` for an operating system.
    pub(crate) fn of(ipxe: bool, class: VendorClass, architecture: Option<u16>) -> Option<Self> {
        let http = class.http || architecture.is_some_and(is_http_architecture);
        match (ipxe, http, class.pxe, Platform::from_architecture(architecture.unwrap_or(0))) {
            (true, ..) => Some(Self::Ipxe),
            (_, true, ..) => Some(Self::HttpUefi),
            (_, _, true, Platform::Bios) => Some(Self::PxeBios),
            (_, _, true, _) => Some(Self::PxeUefi),
            // Not every firmware sends a vendor class, but only firmware sends an architecture.
            (_, _, false, Platform::Bios) => architecture.map(|_| Self::PxeBios),
            (_, _, false, _) => architecture.map(|_| Self::PxeUefi),
        }
    }
}

/// The instruction set and firmware interface of a client (option 93).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Platform {
    /// x86 with a BIOS.
    Bios,
    /// x86-64 with UEFI.
    UefiAmd64,
    /// 64-bit ARM with UEFI.
    UefiArm64,
    /// Another one, for which no loader is known.
    Other(u16),
}

impl Platform {
    /// Reads an architecture number of the IANA registry of processor architecture types.
    #[must_use]
    pub fn from_architecture(architecture: u16) -> Self {
        match architecture {
            0 | 20 => Self::Bios,
            // 9 and 17 are registered as EFI byte code, but x86-64 firmware sends them (drp-behaviour.md 5.7).
            7 | 9 | 16 | 17 => Self::UefiAmd64,
            11 | 19 => Self::UefiArm64,
            other => Self::Other(other),
        }
    }
}

/// Tells whether an architecture number is one of HTTP boot: 15 to 20.
fn is_http_architecture(architecture: u16) -> bool {
    (15..=20).contains(&architecture)
}

/// A client that wants to boot, as its request describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootClient {
    /// Its network card.
    pub mac: HardwareAddress,
    /// What it asks for first in option 93, also where that number is unknown here; 0 where it did not say.
    pub architecture: u16,
    /// The platform of that number.
    pub platform: Platform,
    /// What asks.
    pub firmware: Firmware,
    /// The machine's UUID as SMBIOS stores it, first three fields little-endian.
    pub uuid: Option<[u8; 16]>,
}

impl BootClient {
    /// Describes the sender of a request; `None` for an operating system, which asks for an address only.
    #[must_use]
    pub fn from_request(request: &Packet) -> Option<Self> {
        let architectures = request.architectures();
        let architecture = architectures.first().copied();
        let class = VendorClass { http: request.is_http_client(), pxe: request.is_pxe_client() };
        let firmware = Firmware::of(request.is_ipxe(), class, architecture)?;
        Some(Self {
            mac: request.chaddr,
            architecture: architecture.unwrap_or(0),
            platform: Platform::from_architecture(architecture.unwrap_or(0)),
            firmware,
            uuid: request.machine_uuid(),
        })
    }
}

/// What a client is told to boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootOffer {
    /// Nothing: the firmware goes on to its next boot device.
    None,
    /// A file by TFTP, from the next server.
    File(String),
    /// A URL, which the client fetches by itself.
    Url(String),
}

/// The loader files that firmware can start, by platform; an empty name means that there is none.
///
/// The defaults are those of DRP (drp-api.md 15.2), where BIOS machines get pxelinux and UEFI machines get iPXE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaders {
    /// For [`Platform::Bios`].
    pub bios: String,
    /// For [`Platform::UefiAmd64`].
    pub uefi_amd64: String,
    /// For [`Platform::UefiArm64`].
    pub uefi_arm64: String,
}

impl Default for Loaders {
    fn default() -> Self {
        Self {
            bios: "lpxelinux.0".to_owned(),
            uefi_amd64: "ipxe.efi".to_owned(),
            uefi_arm64: "ipxe-arm64.efi".to_owned(),
        }
    }
}

impl Loaders {
    /// Returns the loader of a platform; `None` where there is none.
    #[must_use]
    pub fn file(&self, platform: Platform) -> Option<&str> {
        let name = match platform {
            Platform::Bios => &self.bios,
            Platform::UefiAmd64 => &self.uefi_amd64,
            Platform::UefiArm64 => &self.uefi_arm64,
            Platform::Other(_) => return None,
        };
        Some(name.as_str()).filter(|name| !name.is_empty())
    }
}

/// The script that iPXE gets when the server has none for this very machine.
pub const DEFAULT_SCRIPT: &str = "default.ipxe";

/// Chooses what a client boots.
///
/// `http` is the base URL of the file server, like `http://10.0.0.1:8091`. `script` is what iPXE runs: a path below
/// `http`, or a whole URL; [`DEFAULT_SCRIPT`] for a machine that the server does not know.
#[must_use]
pub fn choose(client: &BootClient, loaders: &Loaders, http: &str, script: &str) -> BootOffer {
    match (client.firmware, loaders.file(client.platform)) {
        (Firmware::Ipxe, _) => BootOffer::Url(absolute(http, script)),
        (_, None) => BootOffer::None,
        (Firmware::HttpUefi, Some(loader)) => BootOffer::Url(absolute(http, loader)),
        (Firmware::PxeBios | Firmware::PxeUefi, Some(loader)) => BootOffer::File(loader.to_owned()),
    }
}

fn absolute(base: &str, path: &str) -> String {
    if path.contains("://") {
        return path.to_owned();
    }
    format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dhcp::code;

    const BASE: &str = "http://10.0.0.1:8091/";

    fn client(vendor: &str, architecture: Option<u16>, user_class: &[u8]) -> Option<BootClient> {
        let mut request = Packet::request(HardwareAddress::ethernet([2, 0, 0, 0, 0, 1]), 7);
        if !vendor.is_empty() {
            request.options.set(code::VENDOR_CLASS, vendor);
        }
        if let Some(architecture) = architecture {
            request.options.set(code::ARCHITECTURE, architecture.to_be_bytes());
        }
        if !user_class.is_empty() {
            request.options.set(code::USER_CLASS, user_class);
        }
        BootClient::from_request(&request)
    }

    fn offer(vendor: &str, architecture: Option<u16>, user_class: &[u8]) -> BootOffer {
        let client = client(vendor, architecture, user_class).unwrap();
        choose(&client, &Loaders::default(), BASE, DEFAULT_SCRIPT)
    }

    #[test]
    fn row_191_each_firmware_gets_its_loader_by_its_protocol() {
        let file = |name: &str| BootOffer::File(name.to_owned());
        let url = |name: &str| BootOffer::Url(format!("{BASE}{name}"));
        assert_eq!(offer("PXEClient:Arch:00000:UNDI:002001", Some(0), b""), file("lpxelinux.0"));
        assert_eq!(offer("PXEClient:Arch:00007:UNDI:003000", Some(7), b""), file("ipxe.efi"));
        assert_eq!(offer("PXEClient", Some(9), b""), file("ipxe.efi"));
        assert_eq!(offer("PXEClient", Some(11), b""), file("ipxe-arm64.efi"));
        assert_eq!(offer("HTTPClient:Arch:00016:UNDI:003000", Some(16), b""), url("ipxe.efi"));
        assert_eq!(offer("HTTPClient:Arch:00019:UNDI:003000", Some(19), b""), url("ipxe-arm64.efi"));
        assert_eq!(offer("PXEClient", Some(6), b""), BootOffer::None, "no loader for ia32");
    }

    #[test]
    fn second_stage_gets_the_script_and_never_the_loader_again() {
        let script = BootOffer::Url("http://10.0.0.1:8091/default.ipxe".to_owned());
        assert_eq!(offer("PXEClient:Arch:00007:UNDI:003010", Some(7), b"iPXE"), script);
        assert_eq!(offer("PXEClient", Some(0), b"\x04iPXE"), script, "user class of RFC 3004");
        assert_eq!(offer("HTTPClient", Some(16), b"iPXE"), script);
    }

    #[test]
    fn whole_url_of_a_machine_is_kept() {
        let client = client("PXEClient", Some(7), b"iPXE").unwrap();
        let url = "https://boot.example/machines/1.ipxe";
        assert_eq!(choose(&client, &Loaders::default(), BASE, url), BootOffer::Url(url.to_owned()));
    }

    #[test]
    fn architecture_is_read_from_the_vendor_class_when_option_93_is_missing() {
        assert_eq!(offer("PXEClient:Arch:00007:UNDI:003000", None, b""), BootOffer::File("ipxe.efi".into()));
        assert_eq!(offer("PXEClient", None, b""), BootOffer::File("lpxelinux.0".into()));
    }

    #[test]
    fn operating_system_is_no_boot_client() {
        assert_eq!(client("", None, b""), None);
        assert_eq!(client("udhcp 1.35.0", None, b""), None);
    }
}
