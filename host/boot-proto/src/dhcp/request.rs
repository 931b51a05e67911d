//! What a client says about itself, read from the raw options.
//!
//! An option with a wrong length reads as absent: a sloppy client gets a plain answer rather than none.

use std::net::Ipv4Addr;

use super::options::code;
use super::packet::Packet;
use crate::bytes::Reader;

/// The message types of RFC 2132 section 9.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of RFC 2132 section 9.6")]
pub enum MessageType {
    Discover,
    Offer,
    Request,
    Decline,
    Ack,
    Nak,
    Release,
    Inform,
}

impl MessageType {
    /// Returns the code on the wire.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Discover => 1,
            Self::Offer => 2,
            Self::Request => 3,
            Self::Decline => 4,
            Self::Ack => 5,
            Self::Nak => 6,
            Self::Release => 7,
            Self::Inform => 8,
        }
    }

    /// Returns the name in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Discover => "discover",
            Self::Offer => "offer",
            Self::Request => "request",
            Self::Decline => "decline",
            Self::Ack => "ack",
            Self::Nak => "nak",
            Self::Release => "release",
            Self::Inform => "inform",
        }
    }

    /// Reads the code on the wire.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Discover,
            2 => Self::Offer,
            3 => Self::Request,
            4 => Self::Decline,
            5 => Self::Ack,
            6 => Self::Nak,
            7 => Self::Release,
            8 => Self::Inform,
            _ => return None,
        })
    }
}

/// Bit 15 of the flags (RFC 2131 section 2).
const BROADCAST_FLAG: u16 = 0x8000;

/// The sub-options of option 82 that this crate reads: RFC 3527 and RFC 5107.
mod relay {
    pub(super) const LINK_SELECTION: u8 = 5;
    pub(super) const SERVER_ID_OVERRIDE: u8 = 11;
}

impl Packet {
    /// Returns the message type; `None` for plain BOOTP and for codes that are not those of RFC 2132.
    #[must_use]
    pub fn message_type(&self) -> Option<MessageType> {
        self.options.byte(code::MESSAGE_TYPE).and_then(MessageType::from_code)
    }

    /// Tells whether the client can only receive a broadcast before it has an address.
    #[must_use]
    pub fn wants_broadcast(&self) -> bool {
        self.flags & BROADCAST_FLAG != 0
    }

    /// Sets the broadcast flag, which makes a relay agent broadcast (RFC 2131 section 4.3.2 on DHCPNAK).
    pub fn set_broadcast(&mut self) {
        self.flags |= BROADCAST_FLAG;
    }

    /// Returns the address that the client asks for (option 50).
    #[must_use]
    pub fn requested_address(&self) -> Option<Ipv4Addr> {
        self.options.address(code::REQUESTED_ADDRESS).filter(|address| !address.is_unspecified())
    }

    /// Returns the server that the client speaks to (option 54).
    #[must_use]
    pub fn server_id(&self) -> Option<Ipv4Addr> {
        self.options.address(code::SERVER_ID)
    }

    /// Returns the raw client identifier (option 61). It is echoed (RFC 6842), never an identity here.
    #[must_use]
    pub fn client_id(&self) -> Option<&[u8]> {
        self.options.bytes(code::CLIENT_ID)
    }

    /// Returns the largest message that the client accepts (option 57), in bytes with IP and UDP headers.
    #[must_use]
    pub fn max_message_size(&self) -> Option<u16> {
        <[u8; 2]>::try_from(self.options.bytes(code::MAX_MESSAGE_SIZE)?).ok().map(u16::from_be_bytes)
    }

    /// Returns the architectures that the client can run, in its order of preference (option 93, RFC 4578).
    ///
    /// Where the option is missing, the number in a vendor class like `PXEClient:Arch:00007:..` stands for it. An
    /// odd last byte is ignored.
    #[must_use]
    pub fn architectures(&self) -> Vec<u16> {
        let list = self.options.bytes(code::ARCHITECTURE).unwrap_or_default();
        let (pairs, _odd) = list.as_chunks::<2>();
        if pairs.is_empty() {
            return self.vendor_class_architecture().into_iter().collect();
        }
        pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect()
    }

    /// Tells whether iPXE asks: user class `iPXE`, raw or in the form of RFC 3004, or its own option 175.
    #[must_use]
    pub fn is_ipxe(&self) -> bool {
        const NAME: &[u8] = b"iPXE";
        let class = self.options.bytes(code::USER_CLASS).unwrap_or_default();
        class == NAME || has_user_class(class, NAME) || self.options.contains(code::IPXE)
    }

    /// Tells whether a PXE firmware asks (option 60 begins with `PXEClient`).
    #[must_use]
    pub fn is_pxe_client(&self) -> bool {
        self.vendor_class().starts_with(b"PXEClient")
    }

    /// Tells whether a UEFI HTTP boot firmware asks (option 60 begins with `HTTPClient`).
    #[must_use]
    pub fn is_http_client(&self) -> bool {
        self.vendor_class().starts_with(b"HTTPClient")
    }

    /// Returns the raw vendor class (option 60), empty when absent.
    #[must_use]
    pub fn vendor_class(&self) -> &[u8] {
        self.options.bytes(code::VENDOR_CLASS).unwrap_or_default()
    }

    /// Returns the machine's UUID (option 97 of type 0), its 16 bytes as SMBIOS stores them: the first three fields
    /// are little-endian.
    #[must_use]
    pub fn machine_uuid(&self) -> Option<[u8; 16]> {
        let mut reader = Reader::new(self.options.bytes(code::MACHINE_ID)?);
        if reader.byte()? != 0 {
            return None;
        }
        reader.array()
    }

    /// Returns the raw relay agent information (option 82).
    #[must_use]
    pub fn relay_agent(&self) -> Option<&[u8]> {
        self.options.bytes(code::RELAY_AGENT)
    }

    /// Returns an address in the client's network, where a relay names one: sub-option 5 of option 82 (RFC 3527),
    /// else `giaddr`. `None` for a client on the server's own link.
    #[must_use]
    pub fn relayed_link(&self) -> Option<Ipv4Addr> {
        let giaddr = Some(self.giaddr).filter(|giaddr| !giaddr.is_unspecified())?;
        Some(self.relay_address(relay::LINK_SELECTION).unwrap_or(giaddr))
    }

    /// Returns the server identifier that the relay asks the server to use (RFC 5107).
    #[must_use]
    pub fn server_id_override(&self) -> Option<Ipv4Addr> {
        if self.giaddr.is_unspecified() {
            return None;
        }
        self.relay_address(relay::SERVER_ID_OVERRIDE)
    }

    fn relay_address(&self, wanted: u8) -> Option<Ipv4Addr> {
        let mut reader = Reader::new(self.relay_agent()?);
        while let Some(code) = reader.byte() {
            let len = reader.byte()?;
            let value = reader.take(usize::from(len))?;
            if code == wanted {
                return <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from);
            }
        }
        None
    }

    fn vendor_class_architecture(&self) -> Option<u16> {
        let class = std::str::from_utf8(self.vendor_class()).ok()?;
        let (_, after) = class.split_once(":Arch:")?;
        after.split(':').next()?.parse().ok()
    }
}

/// Looks for one class in a list of RFC 3004: each has a length byte before it.
fn has_user_class(list: &[u8], wanted: &[u8]) -> bool {
    let mut reader = Reader::new(list);
    while let Some(len) = reader.byte() {
        match reader.take(usize::from(len)) {
            Some(class) if class == wanted => return true,
            Some(_) => {}
            None => return false,
        }
    }
    false
}
