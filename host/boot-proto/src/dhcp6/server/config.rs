//! What a link gets, and what the caller answers.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::boot::{BootClient, BootOffer};
use crate::dhcp::HardwareAddress;
use crate::dhcp6::DomainName;

/// A network of IPv6: its address and how many bits of it are fixed, 1 to 64.
///
/// Longer ones are refused: hosts need 64 bits for the addresses that they make themselves, and so does the hash that
/// gives addresses here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    network: Ipv6Addr,
    length: u8,
}

/// A text or a length is not a network that can be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an IPv6 network of 1 to 64 bits, like `fd77::/64`")]
pub struct PrefixError(String);

impl Prefix {
    /// Makes a network out of an address in it.
    ///
    /// # Errors
    ///
    /// The length is 0 or above 64, or the address is of a kind that no host has.
    pub fn new(address: Ipv6Addr, length: u8) -> Result<Self, PrefixError> {
        let usable = !address.is_multicast() && !address.is_unspecified() && !address.is_loopback();
        if !(1..=64).contains(&length) || !usable {
            return Err(PrefixError(format!("{address}/{length}")));
        }
        let network = Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - length)));
        Ok(Self { network, length })
    }

    /// Returns the first address.
    #[must_use]
    pub fn network(&self) -> Ipv6Addr {
        self.network
    }

    /// Returns the number of fixed bits.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.length
    }

    /// Tells whether an address is of this network.
    #[must_use]
    pub fn contains(&self, address: Ipv6Addr) -> bool {
        (address.to_bits() ^ self.network.to_bits()) >> (128 - self.length) == 0
    }

    /// Returns the address whose last 64 bits are given.
    pub(super) fn address(&self, identifier: u64) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.network.to_bits() | u128::from(identifier))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.network, self.length)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || PrefixError(text.chars().take(64).collect());
        let (address, length) = text.split_once('/').ok_or_else(refuse)?;
        let (address, length) = address.parse().ok().zip(length.parse().ok()).ok_or_else(refuse)?;
        Self::new(address, length).map_err(|_| refuse())
    }
}

/// Who gets an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignment {
    /// Everybody who asks.
    Everybody,
    /// Only who has a reservation.
    Reserved,
}

/// What the clients of a link get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Where addresses come from; `None` gives none and answers only who asks for options.
    pub prefix: Option<Prefix>,
    /// Who gets an address.
    pub assignment: Assignment,
    /// How long an address should be used, in seconds; half of it is when clients renew. `u32::MAX` is for ever.
    pub preferred_secs: u32,
    /// How long an address may be used, in seconds; at least as long.
    pub valid_secs: u32,
    /// Name servers; at most 8 are sent.
    pub dns: Vec<Ipv6Addr>,
    /// Where names are searched; at most 8 are sent.
    pub domains: Vec<DomainName>,
    /// Time servers; at most 8 are sent.
    pub ntp: Vec<Ipv6Addr>,
    /// After how many seconds a client without an address from here asks again for options.
    pub refresh_secs: u32,
    /// How much clients should prefer this server; with 255 they do not wait for others.
    pub preference: u8,
    /// Whether a client that asks for it gets its address in two messages instead of four.
    pub rapid_commit: bool,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            prefix: None,
            assignment: Assignment::Everybody,
            preferred_secs: 3600,
            valid_secs: 7200,
            dns: Vec::new(),
            domains: Vec::new(),
            ntp: Vec::new(),
            refresh_secs: 3600,
            preference: 255,
            rapid_commit: true,
        }
    }
}

/// Addresses that are given to one machine only.
pub trait Reservations {
    /// Returns the address of the machine with this network card, in the network of `prefix`.
    fn address_of(&self, mac: HardwareAddress, prefix: Prefix) -> Option<Ipv6Addr>;

    /// Returns the network card for which an address is kept.
    fn owner_of(&self, address: Ipv6Addr) -> Option<HardwareAddress>;
}

/// What a client loads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootUrl {
    /// The URL (option 59). Names in it need a name server; addresses stand in brackets.
    pub url: String,
    /// Parameters for what is loaded (option 60), sent where the client asks for them.
    pub parameters: Vec<String>,
}

impl BootUrl {
    /// Turns an offer into a URL; a bare file is one of the TFTP service at `server`.
    #[must_use]
    pub fn from_offer(offer: BootOffer, server: Ipv6Addr) -> Option<Self> {
        let url = match offer {
            BootOffer::None => return None,
            BootOffer::File(file) => format!("tftp://[{server}]/{}", file.trim_start_matches('/')),
            BootOffer::Url(url) => url,
        };
        Some(Self { url, parameters: Vec::new() })
    }
}

/// Answers what a client boots; the counterpart of [`crate::dhcp::server::BootChooser`].
pub trait BootUrls {
    /// Returns what one client loads; `None` where it boots nothing from here.
    fn boot_url(&self, client: &BootClient) -> Option<BootUrl>;
}

impl<F: Fn(&BootClient) -> Option<BootUrl>> BootUrls for F {
    fn boot_url(&self, client: &BootClient) -> Option<BootUrl> {
        self(client)
    }
}
