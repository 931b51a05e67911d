//! What of a `DHCPv6` message matters for a boot (RFC 8415, RFC 5970).

use std::net::Ipv6Addr;

use crate::bytes::Reader;
use crate::dhcp::HardwareAddress;
use crate::story::{Dhcp6Seen, text};

/// The options that are read.
mod option {
    pub(super) const CLIENT_ID: u16 = 1;
    pub(super) const SERVER_ID: u16 = 2;
    pub(super) const ADDRESSES: u16 = 3;
    pub(super) const ADDRESS: u16 = 5;
    pub(super) const ASKED: u16 = 6;
    pub(super) const RELAYED: u16 = 9;
    pub(super) const STATUS: u16 = 13;
    pub(super) const USER_CLASS: u16 = 15;
    pub(super) const VENDOR_CLASS: u16 = 16;
    pub(super) const BOOT_URL: u16 = 59;
    pub(super) const ARCHITECTURE: u16 = 61;
}

/// RELAY-FORW and RELAY-REPL, whose header is longer.
const RELAY: [u8; 2] = [12, 13];

/// How many relay agents a message may have come through (RFC 8415 section 7.6).
const MAX_HOPS: usize = 8;

/// The identifier and the times of an association, before its options.
const IDENTITY: usize = 12;

/// Most options, associations and addresses of one message that are read.
const MAX_OPTIONS: usize = 64;

/// Reads a message, taking it out of the envelopes of relay agents. An option that makes no sense is left out.
pub(super) fn read(datagram: &[u8]) -> Option<(Dhcp6Seen, Option<HardwareAddress>)> {
    let mut bytes = datagram;
    for _ in 0..MAX_HOPS {
        if !RELAY.contains(bytes.first()?) {
            return message(bytes);
        }
        let envelope = bytes.get(34..)?;
        bytes = options(envelope).find(|(code, _)| *code == option::RELAYED)?.1;
    }
    None
}

fn message(bytes: &[u8]) -> Option<(Dhcp6Seen, Option<HardwareAddress>)> {
    let mut reader = Reader::new(bytes);
    let [kind, a, b, c] = reader.array()?;
    let mut seen =
        Dhcp6Seen { message: kind, transaction: u32::from_be_bytes([0, a, b, c]), ..Dhcp6Seen::default() };
    let mut mac = None;
    for (code, value) in options(reader.rest()) {
        match code {
            option::CLIENT_ID => {
                seen.duid = hex(value);
                mac = duid_address(value);
            }
            option::SERVER_ID => seen.server_duid = hex(value),
            option::ADDRESSES => {
                let inner = value.get(IDENTITY..).unwrap_or_default();
                seen.addresses.extend(addresses(inner));
                let refusal = options(inner).find(|(code, _)| *code == option::STATUS);
                seen.status = seen.status.or_else(|| status(refusal?.1));
            }
            option::ASKED => seen.asked = pairs(value).take(MAX_OPTIONS).collect(),
            option::STATUS => seen.status = status(value).or(seen.status),
            option::USER_CLASS => seen.user_class = value.get(2..).map(text),
            // The enterprise number, then data with a length each; clients send one.
            option::VENDOR_CLASS => seen.vendor_class = value.get(6..).map(text),
            option::BOOT_URL => seen.boot_url = Some(text(value)),
            option::ARCHITECTURE => seen.architecture = pairs(value).next(),
            _ => {}
        }
    }
    Some((seen, mac))
}

fn options(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut reader = Reader::new(bytes);
    let next = move || {
        let (code, len) = (reader.u16()?, reader.u16()?);
        Some((code, reader.take(len.into())?))
    };
    std::iter::from_fn(next).take(MAX_OPTIONS)
}

/// Returns the addresses among the options of an association (`IA_NA`).
fn addresses(inner: &[u8]) -> impl Iterator<Item = Ipv6Addr> {
    let address = |(code, value): (u16, &[u8])| match value.first_chunk::<16>() {
        Some(address) if code == option::ADDRESS => Some(Ipv6Addr::from(*address)),
        _ => None,
    };
    options(inner).filter_map(address)
}

fn status(value: &[u8]) -> Option<(u16, String)> {
    let mut reader = Reader::new(value);
    let code = reader.u16().filter(|code| *code != 0)?;
    Some((code, text(reader.rest())))
}

fn pairs(value: &[u8]) -> impl Iterator<Item = u16> {
    value.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair))
}

/// Returns the Ethernet address in a DUID of type 1 or 3 (RFC 8415 sections 11.2 and 11.4).
fn duid_address(duid: &[u8]) -> Option<HardwareAddress> {
    let address = match duid {
        [0, 1, 0, 1, _, _, _, _, address @ ..] | [0, 3, 0, 1, address @ ..] => address,
        _ => return None,
    };
    HardwareAddress::new(address).filter(HardwareAddress::names_one_client)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(130).map(|byte| format!("{byte:02x}")).collect()
}
