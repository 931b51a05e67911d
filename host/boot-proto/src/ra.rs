//! The answer to a Router Solicitation that says "I am no router".
//!
//! iPXE is built with IPv6 and, when its link comes up, waits for a Router Advertisement: 16 seconds where nobody
//! answers (boot-lab.md section 0). An advertisement with router lifetime 0 and no prefixes ends the wait and changes
//! nothing else: no host takes its sender for a router (RFC 4861 section 6.3.4).
//!
//! The checksum stays 0: on a raw `ICMPv6` socket the kernel fills it in (RFC 3542 section 3.1).

use std::net::Ipv6Addr;

/// All routers on the link: where solicitations go (RFC 4291 section 2.7.1).
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// All nodes on the link: where the answer to a client without an address goes.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// RFC 4861 section 4.2: receivers drop an advertisement with any other hop limit, since a router would have lowered it.
pub const HOP_LIMIT: u8 = 255;

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;

/// What hosts should use as the hop limit of their own packets; the usual value (RFC 4861 section 6.2.1).
const CURRENT_HOP_LIMIT: u8 = 64;

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

/// Builds a Router Advertisement with router lifetime 0, for a host to which `mac` belongs when it is known.
#[must_use]
pub fn router_advertisement(mac: Option<[u8; 6]>) -> Vec<u8> {
    let mut message = vec![ROUTER_ADVERTISEMENT, 0, 0, 0, CURRENT_HOP_LIMIT, 0];
    // Router lifetime, reachable time and retransmission timer: all "not specified by this router".
    message.extend_from_slice(&[0; 10]);
    if let Some(mac) = mac {
        message.extend_from_slice(&[SOURCE_LINK_LAYER_ADDRESS, 1]);
        message.extend_from_slice(&mac);
    }
    message
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
        let message = router_advertisement(Some([2, 0, 0, 0, 0, 9]));
        assert_eq!(message.len(), 24);
        assert_eq!(&message[..4], [134, 0, 0, 0]);
        assert_eq!(&message[5..8], [0, 0, 0], "no managed flag, router lifetime 0");
        assert_eq!(&message[16..], [1, 1, 2, 0, 0, 0, 0, 9]);
        assert_eq!(router_advertisement(None).len(), 16);
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
