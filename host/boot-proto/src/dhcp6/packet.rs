//! A whole DHCPv6 datagram: a message and the envelopes of relay agents around it.

use std::net::Ipv6Addr;

use super::message_type::MessageType;
use super::options::{Options, code, write_option};
use crate::bytes::Reader;

pub use crate::dhcp::MAX_PACKET;

/// The most envelopes around a message: the hop limit of RFC 3315. Relay agents of RFC 8415 stop at 8.
pub const MAX_RELAYS: usize = 32;

const RELAY_FORWARD: u8 = 12;
const RELAY_REPLY: u8 = 13;

/// A message of a client or a server with its options still raw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: MessageType,
    /// Chosen by the client, repeated by the server.
    pub transaction: [u8; 3],
    /// Its options.
    pub options: Options,
}

/// The envelope of one relay agent (RFC 8415 section 9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// How many relay agents had the message before this one.
    pub hop_count: u8,
    /// An address of the link from which the relay agent has the message; unspecified where it has none there.
    pub link: Ipv6Addr,
    /// Whom the relay agent has the message from: the client, or the relay agent before.
    pub peer: Ipv6Addr,
    /// The options, without the one that holds the message.
    pub options: Options,
}

/// A datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The envelopes, the outermost first; empty for a client on the server's own link.
    pub relays: Vec<Relay>,
    /// What is in them.
    pub message: Message,
}

/// Why a datagram is not a DHCPv6 message. The caller counts it and drops the datagram.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// Shorter than the fixed part of its kind.
    #[error("the message of {len} bytes is shorter than its fixed part")]
    Truncated {
        /// Its length.
        len: usize,
    },
    /// Longer than [`MAX_PACKET`].
    #[error("the datagram of {len} bytes is longer than {MAX_PACKET}")]
    Oversized {
        /// Its length.
        len: usize,
    },
    /// A kind of message that is not between clients and servers.
    #[error("the message type {code} is not of clients, servers or relay agents")]
    MessageType {
        /// The code found.
        code: u8,
    },
    /// Half the header of an option at the end.
    #[error("the last option has no whole header")]
    OptionHeader,
    /// An option runs past the end of its field.
    #[error("option {code} runs past the end of its field")]
    OptionLength {
        /// Its code.
        code: u16,
    },
    /// A list that is made to cost time.
    #[error("there are more than {max} options")]
    TooManyOptions {
        /// The limit.
        max: usize,
    },
    /// More than [`MAX_RELAYS`] envelopes.
    #[error("more than {MAX_RELAYS} relay agents are around the message")]
    TooManyRelays,
    /// An envelope without a message.
    #[error("the envelope of a relay agent is empty")]
    EmptyRelay,
    /// The envelope of one direction around a message of the other.
    #[error("a relay agent sends this message in the wrong direction")]
    Direction,
}

impl Message {
    /// Makes a message without options.
    #[must_use]
    pub fn new(kind: MessageType, transaction: [u8; 3]) -> Self {
        Self { kind, transaction, options: Options::new() }
    }

    fn parse(bytes: &[u8]) -> Result<Self, PacketError> {
        let mut reader = Reader::new(bytes);
        let fixed = reader.byte().zip(reader.array());
        let (code, transaction) = fixed.ok_or(PacketError::Truncated { len: bytes.len() })?;
        let kind = MessageType::from_code(code).ok_or(PacketError::MessageType { code })?;
        Ok(Self { kind, transaction, options: Options::parse(reader.rest())? })
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.kind.code()];
        bytes.extend_from_slice(&self.transaction);
        self.options.write(&mut bytes);
        bytes
    }
}

impl Relay {
    /// Reads an envelope and what is in it.
    fn parse(bytes: &[u8]) -> Result<(Self, Vec<u8>), PacketError> {
        let mut reader = Reader::new(bytes);
        let mut fixed = || {
            let [_, hop_count] = reader.array()?;
            let (link, peer) = (reader.array::<16>()?, reader.array::<16>()?);
            Some((hop_count, link.into(), peer.into()))
        };
        let (hop_count, link, peer) = fixed().ok_or(PacketError::Truncated { len: bytes.len() })?;
        let mut options = Options::parse(reader.rest())?;
        let inner = options.remove(code::RELAY_MESSAGE).ok_or(PacketError::EmptyRelay)?;
        Ok((Self { hop_count, link, peer, options }, inner))
    }

    fn encode(&self, kind: u8, inner: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind, self.hop_count];
        bytes.extend_from_slice(&self.link.octets());
        bytes.extend_from_slice(&self.peer.octets());
        self.options.write(&mut bytes);
        write_option(&mut bytes, code::RELAY_MESSAGE, inner);
        bytes
    }
}

impl Packet {
    /// Makes the packet of a client or a server that no relay agent has touched.
    #[must_use]
    pub fn direct(message: Message) -> Self {
        Self { relays: Vec::new(), message }
    }

    /// Parses a datagram.
    ///
    /// Tolerated: any option value, any option several times, any hop count.
    ///
    /// # Errors
    ///
    /// Structural damage only, see [`PacketError`].
    pub fn parse(datagram: &[u8]) -> Result<Self, PacketError> {
        let len = datagram.len();
        if len > MAX_PACKET {
            return Err(PacketError::Oversized { len });
        }
        let outermost = datagram.first().copied();
        let mut relays = Vec::new();
        let mut bytes = datagram.to_vec();
        while let Some(kind) =
            bytes.first().copied().filter(|kind| [RELAY_FORWARD, RELAY_REPLY].contains(kind))
        {
            if Some(kind) != outermost {
                return Err(PacketError::Direction);
            }
            if relays.len() == MAX_RELAYS {
                return Err(PacketError::TooManyRelays);
            }
            let (relay, inner) = Relay::parse(&bytes)?;
            relays.push(relay);
            bytes = inner;
        }
        let packet = Self { relays, message: Message::parse(&bytes)? };
        if !packet.relays.is_empty() && Some(packet.relay_kind()) != outermost {
            return Err(PacketError::Direction);
        }
        Ok(packet)
    }

    /// Writes the datagram.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let kind = self.relay_kind();
        self.relays.iter().rev().fold(self.message.encode(), |inner, relay| relay.encode(kind, &inner))
    }

    fn relay_kind(&self) -> u8 {
        if self.message.kind.is_from_server() { RELAY_REPLY } else { RELAY_FORWARD }
    }
}
