//! What of a `DHCPv4` message matters for a boot.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::sighting::text;
use crate::boot::{BootClient, Firmware, Platform};
use crate::bytes::Reader;
use crate::dhcp::{HardwareAddress, MessageType, Op, Packet, code};

/// Sub-option 176 of iPXE's option 175: do not wait for proxy offers.
const IPXE_NO_PROXY: u8 = 176;

/// Sub-option 6 of option 43 in PXE: discovery control. Its bit 3 says "take the boot file of this very message".
const DISCOVERY_CONTROL: u8 = 6;
const TAKE_THE_BOOT_FILE: u8 = 8;

/// The kinds of `DHCPv4` messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names of RFC 2132 section 9.6, and plain BOOTP")]
pub enum Message {
    Discover,
    Offer,
    Request,
    Decline,
    Ack,
    Nak,
    Release,
    Inform,
    Bootp,
}

impl Message {
    /// Returns the name as RFC 2131 writes it, without `DHCP`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Discover => "DISCOVER",
            Self::Offer => "OFFER",
            Self::Request => "REQUEST",
            Self::Decline => "DECLINE",
            Self::Ack => "ACK",
            Self::Nak => "NAK",
            Self::Release => "RELEASE",
            Self::Inform => "INFORM",
            Self::Bootp => "BOOTP",
        }
    }
}

impl From<Option<MessageType>> for Message {
    fn from(message: Option<MessageType>) -> Self {
        match message {
            Some(MessageType::Discover) => Self::Discover,
            Some(MessageType::Offer) => Self::Offer,
            Some(MessageType::Request) => Self::Request,
            Some(MessageType::Decline) => Self::Decline,
            Some(MessageType::Ack) => Self::Ack,
            Some(MessageType::Nak) => Self::Nak,
            Some(MessageType::Release) => Self::Release,
            Some(MessageType::Inform) => Self::Inform,
            None => Self::Bootp,
        }
    }
}

/// A `DHCPv4` message, as much of it as a boot depends on. An address of zeros is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpSeen {
    /// What it is.
    pub message: Message,
    /// True for a message of a server.
    pub reply: bool,
    /// The transaction id.
    pub xid: u32,
    /// The client can only receive broadcasts.
    pub broadcast: bool,
    /// The address that the client has.
    pub ciaddr: Option<Ipv4Addr>,
    /// The address that the server gives.
    pub yiaddr: Option<Ipv4Addr>,
    /// The next server of the boot.
    pub siaddr: Option<Ipv4Addr>,
    /// The relay agent.
    pub giaddr: Option<Ipv4Addr>,
    /// The address asked for (option 50).
    pub requested: Option<Ipv4Addr>,
    /// The server (option 54).
    pub server_id: Option<Ipv4Addr>,
    /// The boot file: the `file` field, or else option 67.
    pub boot_file: Option<String>,
    /// The name of the boot server (option 66).
    pub boot_server: Option<String>,
    /// The vendor class (option 60).
    pub vendor_class: Option<String>,
    /// The user class (option 77).
    pub user_class: Option<String>,
    /// What the client can run first (option 93, or the vendor class).
    pub architecture: Option<u16>,
    /// What boots; `None` for an operating system and for a server.
    pub firmware: Option<Firmware>,
    /// The machine's UUID (option 97), in the byte order of SMBIOS tools.
    pub uuid: Option<String>,
    /// Option 43 tells a PXE client to take the boot file of this message.
    pub pxe_takes_file: bool,
    /// Option 175 tells iPXE not to wait for proxy offers.
    pub ipxe_no_proxy: bool,
    /// The words with it (option 56): why a server refused, why a client gave back.
    pub text: Option<String>,
    /// The codes of all options, in the order of the message.
    pub options: Vec<u8>,
}

impl DhcpSeen {
    /// Describes the program that sent it; `None` where it did not ask to boot.
    #[must_use]
    pub fn boot_client(&self, mac: HardwareAddress) -> Option<BootClient> {
        let architecture = self.architecture.unwrap_or(0);
        Some(BootClient {
            mac,
            architecture,
            platform: Platform::from_architecture(architecture),
            firmware: self.firmware?,
            uuid: None,
        })
    }

    /// Tells whether a client sent it.
    #[must_use]
    pub fn is_by_client(&self) -> bool {
        !self.reply
    }

    /// Tells whether an option is there.
    #[must_use]
    pub fn has(&self, code: u8) -> bool {
        self.options.contains(&code)
    }

    /// Tells whether the vendor class begins with a word, such as `PXEClient`.
    #[must_use]
    pub fn is_class(&self, word: &str) -> bool {
        self.vendor_class.as_deref().is_some_and(|class| class.starts_with(word))
    }

    /// Tells whether a server answers boot questions alone: it gives no address.
    #[must_use]
    pub fn is_proxy(&self) -> bool {
        self.reply && self.yiaddr.is_none() && self.message != Message::Nak && self.ciaddr.is_none()
    }
}

impl From<&Packet> for DhcpSeen {
    fn from(packet: &Packet) -> Self {
        let option = |code| packet.options.bytes(code).filter(|bytes| !bytes.is_empty()).map(text);
        let file = Some(packet.file.as_slice()).filter(|file| !file.is_empty()).map(text);
        Self {
            message: packet.message_type().into(),
            reply: packet.op == Op::Reply,
            xid: packet.xid,
            broadcast: packet.wants_broadcast(),
            ciaddr: given(packet.ciaddr),
            yiaddr: given(packet.yiaddr),
            siaddr: given(packet.siaddr),
            giaddr: given(packet.giaddr),
            requested: packet.requested_address(),
            server_id: packet.server_id(),
            boot_file: file.or_else(|| option(code::BOOT_FILE)),
            boot_server: option(code::TFTP_SERVER),
            vendor_class: option(code::VENDOR_CLASS),
            user_class: option(code::USER_CLASS),
            architecture: packet.architectures().first().copied(),
            firmware: BootClient::from_request(packet)
                .filter(|_| packet.op == Op::Request)
                .map(|client| client.firmware),
            uuid: packet.machine_uuid().map(uuid),
            pxe_takes_file: sub_option(packet, code::VENDOR_SPECIFIC, DISCOVERY_CONTROL)
                .is_some_and(|control| control & TAKE_THE_BOOT_FILE != 0),
            ipxe_no_proxy: sub_option(packet, code::IPXE, IPXE_NO_PROXY).is_some_and(|flag| flag != 0),
            text: option(code::MESSAGE),
            options: packet.options.iter().map(|(code, _)| code).collect(),
        }
    }
}

fn given(address: Ipv4Addr) -> Option<Ipv4Addr> {
    Some(address).filter(|address| !address.is_unspecified())
}

/// Returns the first byte of a sub-option.
fn sub_option(packet: &Packet, option: u8, wanted: u8) -> Option<u8> {
    let mut reader = Reader::new(packet.options.bytes(option)?);
    loop {
        match reader.byte()? {
            code::END => return None,
            code::PAD => {}
            code => {
                let len = reader.byte()?;
                let value = reader.take(len.into())?;
                if code == wanted {
                    return value.first().copied();
                }
            }
        }
    }
}

/// Writes a UUID of SMBIOS, whose first three fields are little-endian, in the usual form.
fn uuid(bytes: [u8; 16]) -> String {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut text = String::with_capacity(36);
    for (place, from) in ORDER.into_iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let byte = bytes.get(from).copied().unwrap_or_default();
        text.extend(
            [byte >> 4, byte & 15].into_iter().filter_map(|digit| char::from_digit(digit.into(), 16)),
        );
    }
    text
}
