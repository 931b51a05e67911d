//! What a request says of the program that wants to boot.
//!
//! A machine asks several times in one boot: its firmware first, then the loader that the firmware fetched (iPXE asks
//! again with its own user class), then the operating system. The second stage must get another answer than the
//! first, else it loads itself for ever. What they get is decided elsewhere.

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
    /// The PXE stack of a UEFI machine, or a ROM that is no BIOS: loads a file by TFTP.
    PxeUefi,
    /// The HTTP boot of a UEFI machine: loads a URL, and wants option 60 back.
    HttpUefi,
    /// iPXE: loads a URL, and is told that no proxy will answer.
    Ipxe,
}

impl Firmware {
    /// Tells what asks; `None` for an operating system.
    pub(crate) fn of(
        ipxe: bool,
        class: VendorClass,
        platform: Platform,
        architecture: Option<u16>,
    ) -> Option<Self> {
        let http = class.http || architecture.is_some_and(is_http_architecture);
        match (ipxe, http, class.pxe, platform) {
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
    /// The boot ROM of a Raspberry Pi 4, which says that it is an x86 BIOS.
    RaspberryPi4,
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

/// What the machine identifier of a Raspberry Pi begins with, unless its owner chose another one.
const RASPBERRY_PI_ID: &[u8] = b"RPi4";

/// The first half of the addresses of network cards on the Raspberry Pi 4 and later boards.
const RASPBERRY_PI_CARDS: &[[u8; 3]] =
    &[[0xdc, 0xa6, 0x32], [0xe4, 0x5f, 0x01], [0xd8, 0x3a, 0xdd], [0x2c, 0xcf, 0x67]];

/// Tells whether a request is of the boot ROM of a Raspberry Pi 4, by its identifier or its network card: the rest of it
/// is that of a PC.
fn is_raspberry_pi(request: &Packet) -> bool {
    let named = request.machine_uuid().is_some_and(|uuid| uuid.starts_with(RASPBERRY_PI_ID));
    named || RASPBERRY_PI_CARDS.iter().any(|maker| request.chaddr.as_bytes().starts_with(maker))
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
        let platform = match Platform::from_architecture(architecture.unwrap_or(0)) {
            Platform::Bios if !request.is_ipxe() && is_raspberry_pi(request) => Platform::RaspberryPi4,
            platform => platform,
        };
        let class = VendorClass { http: request.is_http_client(), pxe: request.is_pxe_client() };
        let firmware = Firmware::of(request.is_ipxe(), class, platform, architecture)?;
        Some(Self {
            mac: request.chaddr,
            architecture: architecture.unwrap_or(0),
            platform,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dhcp::code;

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

    fn asks(vendor: &str, architecture: Option<u16>, user_class: &[u8]) -> (Firmware, Platform) {
        let client = client(vendor, architecture, user_class).unwrap();
        (client.firmware, client.platform)
    }

    #[test]
    fn firmware_and_platform_are_told_by_the_architecture() {
        use Firmware::{HttpUefi, PxeBios, PxeUefi};
        use Platform::{Bios, Other, UefiAmd64, UefiArm64};
        for (vendor, architecture, wanted) in [
            ("PXEClient:Arch:00000:UNDI:002001", 0, (PxeBios, Bios)),
            ("PXEClient:Arch:00007:UNDI:003000", 7, (PxeUefi, UefiAmd64)),
            ("PXEClient", 9, (PxeUefi, UefiAmd64)),
            ("PXEClient", 11, (PxeUefi, UefiArm64)),
            ("HTTPClient:Arch:00016:UNDI:003000", 16, (HttpUefi, UefiAmd64)),
            ("HTTPClient:Arch:00019:UNDI:003000", 19, (HttpUefi, UefiArm64)),
            ("PXEClient", 6, (PxeUefi, Other(6))),
        ] {
            assert_eq!(asks(vendor, Some(architecture), b""), wanted, "{vendor} {architecture}");
        }
    }

    #[test]
    fn second_stage_is_told_from_the_first_by_its_user_class() {
        let amd64 = (Firmware::Ipxe, Platform::UefiAmd64);
        assert_eq!(asks("PXEClient:Arch:00007:UNDI:003010", Some(7), b"iPXE"), amd64);
        let bios = (Firmware::Ipxe, Platform::Bios);
        assert_eq!(asks("PXEClient", Some(0), b"\x04iPXE"), bios, "user class of RFC 3004");
        assert_eq!(asks("HTTPClient", Some(16), b"iPXE"), amd64);
    }

    #[test]
    fn architecture_is_read_from_the_vendor_class_when_option_93_is_missing() {
        assert_eq!(asks("PXEClient:Arch:00007:UNDI:003000", None, b"").1, Platform::UefiAmd64);
        assert_eq!(asks("PXEClient", None, b"").1, Platform::Bios);
    }

    #[test]
    fn raspberry_pi_is_told_from_a_bios_by_its_identifier_or_its_card() {
        let mut request = Packet::request(HardwareAddress::ethernet([2, 0, 0, 0, 0, 1]), 7);
        request.options.set(code::VENDOR_CLASS, "PXEClient:Arch:00000:UNDI:002001");
        request.options.set(code::ARCHITECTURE, 0_u16.to_be_bytes());
        let platform = |request: &Packet| BootClient::from_request(request).unwrap().platform;
        assert_eq!(platform(&request), Platform::Bios);
        let named = |id: &[u8; 17]| {
            let mut request = request.clone();
            request.options.set(code::MACHINE_ID, *id);
            platform(&request)
        };
        assert_eq!(named(b"\0RPi4\x14\x11\xd0\0abcdefgh"), Platform::RaspberryPi4);
        assert_eq!(named(b"\0PC-4\x14\x11\xd0\0abcdefgh"), Platform::Bios);
        request.chaddr = HardwareAddress::ethernet([0xdc, 0xa6, 0x32, 1, 2, 3]);
        assert_eq!(platform(&request), Platform::RaspberryPi4);
        request.options.set(code::USER_CLASS, "iPXE");
        assert_eq!(platform(&request), Platform::Bios, "its second stage is not the ROM");
    }

    #[test]
    fn operating_system_is_no_boot_client() {
        assert_eq!(client("", None, b""), None);
        assert_eq!(client("udhcp 1.35.0", None, b""), None);
    }
}
