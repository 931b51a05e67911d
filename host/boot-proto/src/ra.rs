//! Router Advertisements of a host that is no router, as a rule (RFC 4861).
//!
//! iPXE is built with IPv6 and, when its link comes up, waits for a Router Advertisement: 16 seconds where nobody
//! answers (boot-lab.md section 0). An advertisement with router lifetime 0 and no prefixes ends the wait and changes
//! nothing else: no host takes its sender for a router (RFC 4861 section 6.3.4).
//!
//! Where DHCPv6 is served, its flags send hosts there, firmware asks nobody without them, and the prefix tells them
//! that its addresses are on the link.
//!
//! The checksum stays 0: on a raw `ICMPv6` socket the kernel fills it in (RFC 3542 section 3.1).

use std::net::Ipv6Addr;

use crate::dhcp6::DomainName;
use crate::dhcp6::server::Prefix;

/// All routers on the link: where solicitations go (RFC 4291 section 2.7.1).
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// All nodes on the link: where the answer to a client without an address goes.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// RFC 4861 section 4.2: receivers drop an advertisement with any other hop limit, since a router would have lowered it.
pub const HOP_LIMIT: u8 = 255;

/// The type of the messages that are answered.
pub const ROUTER_SOLICITATION: u8 = 133;

const ROUTER_ADVERTISEMENT: u8 = 134;
/// The options of RFC 4861 section 4.6 and RFC 8106 section 5.
mod option {
    pub(super) const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;
    pub(super) const PREFIX: u8 = 3;
    pub(super) const DNS: u8 = 25;
    pub(super) const DOMAINS: u8 = 31;
}

/// What hosts should use as the hop limit of their own packets; the usual value (RFC 4861 section 6.2.1).
const CURRENT_HOP_LIMIT: u8 = 64;

/// How often, in seconds, an advertisement that says something is sent unasked, so that it never runs out at hosts
/// (`MaxRtrAdvInterval` of RFC 4861 section 6.2.1).
pub const REPEAT_SECS: u32 = 600;

/// RFC 8106 section 5.1 recommends three times the interval for name servers.
const DNS_SECS: u32 = 3 * REPEAT_SECS;

/// How long hosts take the prefix to be on the link (`AdvValidLifetime` of RFC 4861 section 6.2.1: 30 days).
const PREFIX_VALID_SECS: u32 = 2_592_000;

/// RFC 4861 section 6.2.1, `AdvPreferredLifetime`: 7 days. Without the flag A nobody makes an address out of it.
const PREFIX_PREFERRED_SECS: u32 = 604_800;

/// The most name servers and the most domains that are sent.
const LIST_MAX: usize = 8;

/// Tells whether an `ICMPv6` message is a Router Solicitation: type 133, code 0, at least 8 bytes, and options that
/// are whole (RFC 4861 section 6.1.1).
#[must_use]
pub fn is_router_solicitation(message: &[u8]) -> bool {
    let Some((fixed, mut options)) = message.split_at_checked(8) else {
        return false;
    };
    if !fixed.starts_with(&[ROUTER_SOLICITATION, 0]) {
        return false;
    }
    while let [_, units, ..] = options {
        match options.split_at_checked(usize::from(*units) * 8) {
            Some((option, rest)) if !option.is_empty() => options = rest,
            _ => return false,
        }
    }
    options.is_empty()
}

/// What one interface advertises. The default says nothing but "no router here".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Advertisement {
    /// Addresses are given by DHCPv6 (flag M).
    pub managed: bool,
    /// Options are given by DHCPv6 (flag O).
    pub other: bool,
    /// For how many seconds hosts take the sender for a router (0: it is none, as by default). Only for a network where
    /// it is the gateway, or that has none and boots UEFI: OVMF waits 10 s for a default route before it loads. Hosts
    /// prefer any other router.
    pub router_secs: u16,
    /// The network of the link. Hosts reach its addresses directly (flag L) and make none by themselves (flag A off).
    pub prefix: Option<Prefix>,
    /// Name servers; at most 8 are sent.
    pub dns: Vec<Ipv6Addr>,
    /// Where names are searched; at most 8 are sent.
    pub domains: Vec<DomainName>,
    /// The hardware address of the sender, where it is known.
    pub source: Option<[u8; 6]>,
}

impl Advertisement {
    /// Tells whether hosts have to hear it again before it runs out: it says more than "no router here".
    #[must_use]
    pub fn is_repeated(&self) -> bool {
        let nothing = Self { source: self.source, ..Self::default() };
        *self != nothing
    }

    /// Tells whether a host may send it. One that forwards packets is a router, and "no router here" from its address
    /// would make others forget the route that its routing daemon gave them (RFC 4861 section 6.3.4).
    #[must_use]
    pub fn may_be_sent(&self, forwards: bool) -> bool {
        !forwards || self.router_secs > 0
    }

    /// Writes the message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // RFC 4191 section 2.2: a real router is preferred to this host.
        let low_preference = if self.router_secs > 0 { 0b11 << 3 } else { 0 };
        let flags = u8::from(self.managed) << 7 | u8::from(self.other) << 6 | low_preference;
        let mut message = vec![ROUTER_ADVERTISEMENT, 0, 0, 0, CURRENT_HOP_LIMIT, flags];
        message.extend_from_slice(&self.router_secs.to_be_bytes());
        // Reachable time and retransmission timer: both "not specified by this router".
        message.extend_from_slice(&[0; 8]);
        if let Some(mac) = self.source {
            push_option(&mut message, option::SOURCE_LINK_LAYER_ADDRESS, &mac);
        }
        if let Some(prefix) = self.prefix {
            push_option(&mut message, option::PREFIX, &prefix_value(prefix));
        }
        let dns = self.dns.iter().take(LIST_MAX).flat_map(Ipv6Addr::octets).collect::<Vec<_>>();
        let domains = self.domains.iter().take(LIST_MAX).flat_map(|domain| domain.as_bytes().iter().copied());
        for (code, list) in [(option::DNS, dns), (option::DOMAINS, domains.collect())] {
            if !list.is_empty() {
                push_option(&mut message, code, &[&[0, 0][..], &DNS_SECS.to_be_bytes(), &list].concat());
            }
        }
        message
    }
}

fn prefix_value(prefix: Prefix) -> Vec<u8> {
    const ON_LINK: u8 = 0x80;
    let mut value = vec![prefix.length(), ON_LINK];
    value.extend_from_slice(&PREFIX_VALID_SECS.to_be_bytes());
    value.extend_from_slice(&PREFIX_PREFERRED_SECS.to_be_bytes());
    value.extend_from_slice(&[0; 4]);
    value.extend_from_slice(&prefix.network().octets());
    value
}

/// Appends an option, padded to whole units of eight bytes. The longest is a list of 8 names of 255 bytes, 256 units,
/// which has no form: one that is too long is left out.
fn push_option(message: &mut Vec<u8>, code: u8, value: &[u8]) {
    let units = (2 + value.len()).div_ceil(8);
    if let Ok(count) = u8::try_from(units) {
        let end = message.len() + units * 8;
        message.extend_from_slice(&[code, count]);
        message.extend_from_slice(value);
        message.resize(end, 0);
    }
}

/// Returns where the answer to a solicitation from `source` goes: to a link-local address directly, so that a
/// thousand clients do not wake each other, else to [`ALL_NODES`] (RFC 4861 section 6.2.6).
#[must_use]
pub fn destination(source: Ipv6Addr) -> Ipv6Addr {
    if source.is_unicast_link_local() { source } else { ALL_NODES }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn advertisement_names_no_router_and_has_whole_options() {
        let source = Some([2, 0, 0, 0, 0, 9]);
        let message = Advertisement { source, ..Advertisement::default() }.encode();
        assert_eq!(message.len(), 24);
        assert_eq!(&message[..4], [134, 0, 0, 0]);
        assert_eq!(&message[5..8], [0, 0, 0], "no managed flag, router lifetime 0");
        assert_eq!(&message[16..], [1, 1, 2, 0, 0, 0, 0, 9]);
        assert_eq!(Advertisement::default().encode().len(), 16);
        assert!(!Advertisement { source, ..Advertisement::default() }.is_repeated());
    }

    #[test]
    fn network_with_dhcpv6_has_its_flags_and_a_prefix_out_of_which_nobody_makes_an_address() {
        let advertisement = Advertisement {
            managed: true,
            other: true,
            router_secs: 0,
            prefix: Some("fd77::/64".parse().unwrap()),
            dns: vec!["fd77::1".parse().unwrap()],
            domains: vec!["boot.example".parse().unwrap()],
            source: None,
        };
        assert!(advertisement.is_repeated());
        let message = advertisement.encode();
        assert_eq!(&message[5..8], [0xC0, 0, 0], "flags M and O, router lifetime 0");
        let prefix = &message[16..48];
        assert_eq!(prefix[..4], [3, 4, 64, 0x80], "flag L without A");
        assert_eq!(prefix[4..12], [0, 0x27, 0x8d, 0, 0, 9, 0x3a, 0x80], "30 and 7 days");
        assert_eq!(prefix[16..18], [0xfd, 0x77]);
        let dns = &message[48..72];
        assert_eq!(dns[..8], [25, 3, 0, 0, 0, 0, 7, 8]);
        assert_eq!(dns[8..10], [0xfd, 0x77]);
        assert_eq!(&message[72..], b"\x1f\x03\0\0\0\0\x07\x08\x04boot\x07example\0\0\0");
    }

    #[test]
    fn router_on_request_gives_way_to_every_other() {
        let message = Advertisement { router_secs: 1800, ..Advertisement::default() }.encode();
        assert_eq!(message[5..8], [0x18, 7, 8], "low preference, and the lifetime");
        assert!(Advertisement { router_secs: 1800, ..Advertisement::default() }.may_be_sent(true));
        assert!(!Advertisement::default().may_be_sent(true), "a router does not say that it is none");
        assert!(Advertisement::default().may_be_sent(false));
    }

    #[test]
    fn solicitation_with_and_without_its_sender_is_recognised() {
        assert!(is_router_solicitation(&[133, 0, 1, 2, 0, 0, 0, 0]));
        assert!(is_router_solicitation(&[133, 0, 1, 2, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 9]));
    }

    #[test]
    fn damaged_solicitation_is_refused() {
        assert!(!is_router_solicitation(&[133, 0, 1, 2, 0, 0, 0]));
        assert!(!is_router_solicitation(&[135, 0, 1, 2, 0, 0, 0, 0]));
        assert!(!is_router_solicitation(&[133, 1, 1, 2, 0, 0, 0, 0]));
        assert!(!is_router_solicitation(&[133, 0, 1, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 9]), "length 0");
        assert!(!is_router_solicitation(&[133, 0, 1, 2, 0, 0, 0, 0, 1, 2, 2, 0, 0, 0, 0, 9]), "too long");
        assert!(!is_router_solicitation(&[133, 0, 1, 2, 0, 0, 0, 0, 1]), "half an option");
    }

    #[test]
    fn only_a_link_local_client_is_answered_directly() {
        let local = "fe80::5054:ff:fe77:1".parse::<Ipv6Addr>().unwrap();
        assert_eq!(destination(local), local);
        assert_eq!(destination(Ipv6Addr::UNSPECIFIED), ALL_NODES);
        assert_eq!(destination("fd77::1".parse().unwrap()), ALL_NODES);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = is_router_solicitation(&bytes);
        }
    }
}
