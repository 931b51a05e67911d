//! A whole DHCPv4 message and its parser.

use std::net::Ipv4Addr;

use super::hardware::HardwareAddress;
use super::options::{Options, code};
use crate::bytes::Reader;

/// Largest datagram that is parsed, in bytes: a jumbo frame. Firmware sends 300 to 400.
pub const MAX_PACKET: usize = 9216;

/// RFC 2131 section 3: the first four bytes of the options field.
pub(super) const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];

/// Length of the `sname` field.
pub(super) const SNAME_FIELD: usize = 64;

/// Length of the `file` field.
pub(super) const FILE_FIELD: usize = 128;

/// The direction of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// From a client, code 1.
    Request,
    /// From a server, code 2.
    Reply,
}

/// A DHCPv4 message with its options still raw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The direction.
    pub op: Op,
    /// The kind of hardware; 1 is Ethernet.
    pub htype: u8,
    /// How many relay agents handed the message on.
    pub hops: u8,
    /// The transaction id, chosen by the client.
    pub xid: u32,
    /// Seconds since the client began.
    pub secs: u16,
    /// Flags; see [`Packet::wants_broadcast`].
    pub flags: u16,
    /// The address that the client already uses.
    pub ciaddr: Ipv4Addr,
    /// The address that the server gives.
    pub yiaddr: Ipv4Addr,
    /// The next server of the boot.
    pub siaddr: Ipv4Addr,
    /// The first relay agent.
    pub giaddr: Ipv4Addr,
    /// The client's hardware address, with `hlen`.
    pub chaddr: HardwareAddress,
    /// The server's name up to its first zero byte; empty where the field held options.
    pub sname: Vec<u8>,
    /// The boot file's name up to its first zero byte; empty where the field held options.
    pub file: Vec<u8>,
    /// The options of all fields that hold some; option 52 itself is resolved and gone.
    pub options: Options,
}

/// Why a datagram is not a DHCPv4 message. The caller counts it and drops the datagram.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// Shorter than the fixed part and the magic cookie.
    #[error("the datagram of {len} bytes is shorter than the fixed part of a dhcp message")]
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
    /// Neither a request nor a reply.
    #[error("the operation code {op} is neither request nor reply")]
    Op {
        /// The code found.
        op: u8,
    },
    /// A hardware address longer than its field.
    #[error("the hardware address length {hlen} is above 16")]
    HardwareLength {
        /// The length found.
        hlen: u8,
    },
    /// Plain BOOTP without options, or something else altogether.
    #[error("the magic cookie of dhcp is missing")]
    MagicCookie,
    /// An option runs past the end of its field.
    #[error("option {code} runs past the end of its field")]
    OptionLength {
        /// Its code.
        code: u8,
    },
}

impl Packet {
    /// Makes an empty request of an Ethernet client.
    #[must_use]
    pub fn request(chaddr: HardwareAddress, xid: u32) -> Self {
        Self {
            op: Op::Request,
            htype: 1,
            hops: 0,
            xid,
            secs: 0,
            flags: 0,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            siaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: Ipv4Addr::UNSPECIFIED,
            chaddr,
            sname: Vec::new(),
            file: Vec::new(),
            options: Options::new(),
        }
    }

    /// Makes the empty reply to `request`: what RFC 2131 table 3 copies is copied.
    #[must_use]
    pub fn reply_to(request: &Self) -> Self {
        Self {
            op: Op::Reply,
            htype: request.htype,
            flags: request.flags,
            giaddr: request.giaddr,
            ..Self::request(request.chaddr, request.xid)
        }
    }

    /// Parses a datagram.
    ///
    /// Tolerated: any option value, a missing end mark, padding anywhere, `hlen` 0, bytes behind the end mark.
    ///
    /// # Errors
    ///
    /// Structural damage only, see [`PacketError`].
    pub fn parse(datagram: &[u8]) -> Result<Self, PacketError> {
        let len = datagram.len();
        if len > MAX_PACKET {
            return Err(PacketError::Oversized { len });
        }
        let mut reader = Reader::new(datagram);
        let fixed = Fixed::read(&mut reader).ok_or(PacketError::Truncated { len })?;
        let op = match fixed.op {
            1 => Op::Request,
            2 => Op::Reply,
            op => return Err(PacketError::Op { op }),
        };
        let chaddr = fixed.chaddr.get(..usize::from(fixed.hlen)).and_then(HardwareAddress::new);
        let chaddr = chaddr.ok_or(PacketError::HardwareLength { hlen: fixed.hlen })?;
        if fixed.cookie != MAGIC_COOKIE {
            return Err(PacketError::MagicCookie);
        }
        let (options, file, sname) = read_options(reader.rest(), fixed.file, fixed.sname)?;
        let [ciaddr, yiaddr, siaddr, giaddr] = fixed.addresses;
        Ok(Self {
            op,
            htype: fixed.htype,
            hops: fixed.hops,
            xid: fixed.xid,
            secs: fixed.secs,
            flags: fixed.flags,
            ciaddr,
            yiaddr,
            siaddr,
            giaddr,
            chaddr,
            sname,
            file,
            options,
        })
    }
}

/// The part before the options, as it is on the wire.
struct Fixed<'a> {
    op: u8,
    htype: u8,
    hlen: u8,
    hops: u8,
    xid: u32,
    secs: u16,
    flags: u16,
    addresses: [Ipv4Addr; 4],
    chaddr: &'a [u8],
    sname: &'a [u8],
    file: &'a [u8],
    cookie: [u8; 4],
}

impl<'a> Fixed<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let [op, htype, hlen, hops] = reader.array()?;
        Some(Self {
            op,
            htype,
            hlen,
            hops,
            xid: u32::from_be_bytes(reader.array()?),
            secs: reader.u16()?,
            flags: reader.u16()?,
            addresses: [address(reader)?, address(reader)?, address(reader)?, address(reader)?],
            chaddr: reader.take(16)?,
            sname: reader.take(SNAME_FIELD)?,
            file: reader.take(FILE_FIELD)?,
            cookie: reader.array()?,
        })
    }
}

fn address(reader: &mut Reader<'_>) -> Option<Ipv4Addr> {
    reader.array::<4>().map(Ipv4Addr::from)
}

/// Reads the options field and, where option 52 says so, `file` and then `sname` (RFC 3396 section 5).
fn read_options(field: &[u8], file: &[u8], sname: &[u8]) -> Result<(Options, Vec<u8>, Vec<u8>), PacketError> {
    let mut options = Options::new();
    options.extend_from_field(field)?;
    let overload = options.remove(code::OVERLOAD).and_then(|value| value.first().copied()).unwrap_or(0);
    let (file_holds_options, sname_holds_options) = (overload & 1 == 1, overload & 2 == 2);
    if file_holds_options {
        options.extend_from_field(file)?;
    }
    if sname_holds_options {
        options.extend_from_field(sname)?;
    }
    options.remove(code::OVERLOAD);
    let file = if file_holds_options { Vec::new() } else { until_zero(file) };
    let sname = if sname_holds_options { Vec::new() } else { until_zero(sname) };
    Ok((options, file, sname))
}

fn until_zero(field: &[u8]) -> Vec<u8> {
    field.iter().copied().take_while(|byte| *byte != 0).collect()
}
