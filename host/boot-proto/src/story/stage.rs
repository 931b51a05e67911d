//! What kind of client asks, in words.

use super::dhcp_seen::Message;
use super::sighting::{Dhcp6Seen, Sighting, What};
use crate::boot::{Firmware, Platform};

/// The program that speaks DHCP in one stage of a boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stage {
    pub(super) firmware: Option<Firmware>,
    pub(super) ipv6: bool,
    pub(super) name: String,
}

impl Stage {
    /// Reads who asks; `None` where no client asks for anything: what it gives back says nothing of its sender.
    pub(super) fn of(sighting: &Sighting) -> Option<Self> {
        let (firmware, architecture, class, ipv6) = match &sighting.what {
            What::Dhcp(seen)
                if seen.is_by_client() && !matches!(seen.message, Message::Decline | Message::Release) =>
            {
                (seen.firmware, seen.architecture, seen.vendor_class.as_deref(), false)
            }
            What::Dhcp6(seen) if seen.is_by_client() && !matches!(seen.message, 8 | 9) => {
                (dhcp6_firmware(seen), seen.architecture, seen.vendor_class.as_deref(), true)
            }
            _ => return None,
        };
        Some(Self { firmware, ipv6, name: name(firmware, architecture, class, ipv6) })
    }

    /// Tells whether both are the same program, as far as one can know. The firmware of UEFI tries one family of
    /// addresses after the other, while iPXE and operating systems ask for both at once.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let both_at_once = matches!(self.firmware, None | Some(Firmware::Ipxe));
        self.firmware == other.firmware && (both_at_once || self.ipv6 == other.ipv6)
    }
}

fn dhcp6_firmware(seen: &Dhcp6Seen) -> Option<Firmware> {
    let class = seen.vendor_class.as_deref().unwrap_or_default();
    match seen.user_class.as_deref() {
        Some(user) if user.contains("iPXE") => Some(Firmware::Ipxe),
        _ if class.contains("HTTPClient") => Some(Firmware::HttpUefi),
        _ if class.contains("PXEClient") || seen.architecture.is_some() => Some(Firmware::PxeUefi),
        _ => None,
    }
}

fn name(firmware: Option<Firmware>, architecture: Option<u16>, class: Option<&str>, ipv6: bool) -> String {
    let over = if ipv6 { " over IPv6" } else { "" };
    let machine = match architecture.map(Platform::from_architecture) {
        Some(Platform::Bios) => "BIOS".to_owned(),
        Some(Platform::UefiAmd64) => "UEFI x86-64".to_owned(),
        Some(Platform::UefiArm64) => "UEFI 64-bit ARM".to_owned(),
        Some(Platform::RaspberryPi4) => "Raspberry Pi 4".to_owned(),
        Some(Platform::Other(number)) => format!("architecture {number}"),
        None => "unknown architecture".to_owned(),
    };
    match (firmware, class) {
        (Some(Firmware::Ipxe), _) => format!("iPXE{over} ({machine})"),
        (Some(Firmware::HttpUefi), _) => format!("{machine} HTTP boot{over}"),
        (Some(Firmware::PxeBios | Firmware::PxeUefi), _) => format!("{machine} PXE{over}"),
        (None, Some(class)) => format!("operating system{over} (`{class}`)"),
        (None, None) if ipv6 => "plain IPv6 client".to_owned(),
        (None, None) => "operating system".to_owned(),
    }
}
