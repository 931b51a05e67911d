//! Which address a client gets, keeps and loses.

use proptest::prelude::*;

use super::*;

const STRANGER: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x99);
const ELSEWHERE: Ipv6Addr = Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, 1);

#[test]
fn solicit_is_answered_with_the_address_that_a_request_gets() {
    let lab = Lab::new();
    let verdict = lab.ask(1, solicit(1));
    assert_eq!((verdict.reason, verdict.given.len()), (Reason::Advertised, 0));
    let advertise = reply(&verdict);
    assert_eq!((advertise.kind, advertise.transaction), (MessageType::Advertise, [1, 2, 1]));
    assert_eq!((advertise.client_id(), advertise.server_id()), (Some(duid(1)), Some(lab.server_id.clone())));
    assert_eq!(advertise.options.bytes(code::PREFERENCE), Some(&[255][..]));
    let (t1, t2, addresses, status) = answered(advertise, 1);
    assert_eq!((t1, t2, status), (1800, 2880, None), "half and four fifths of the preferred lifetime");
    let address = lab.address_of(1);
    assert_eq!(addresses, [(address, 3600, 7200)]);
    assert!(prefix().contains(address));
    assert_eq!(verdict.client.unwrap().hardware, Some(mac(1)));
}

#[test]
fn rapid_commit_gives_the_address_at_once_where_it_is_allowed() {
    let mut lab = Lab::new();
    let mut rapid = solicit(1);
    rapid.options.push(code::RAPID_COMMIT, []);
    let verdict = lab.ask(1, rapid.clone());
    assert_eq!((verdict.reason, verdict.given.clone()), (Reason::Assigned, vec![lab.address_of(1)]));
    assert_eq!(reply(&verdict).kind, MessageType::Reply);
    assert!(reply(&verdict).options.contains(code::RAPID_COMMIT));
    lab.network.rapid_commit = false;
    assert_eq!(lab.ask(1, rapid).reason, Reason::Advertised);
}

#[test]
fn all_stages_of_a_machine_get_the_same_address_whatever_they_call_themselves() {
    let lab = Lab::new();
    let stage = |client, id| lab.ask(1, lab.request(client, &[(id, &[])])).given;
    assert_eq!(stage(1, 0x7f2f_55df), stage(1, 0x7748_7f53), "two associations of the firmware");
    assert_eq!(stage(1, 1), stage(2, 2), "another identifier on the same network card");
    assert_ne!(lab.address_of(1), lab.address_of(2), "another network card");
}

#[test]
fn addresses_never_change_between_versions() {
    let lab = Lab::new();
    let expected = "fd77::4718:8360:b16e:6733";
    assert_eq!(lab.address_of(1).to_string(), expected);
    let unknown = lab.ask_unknown(lab.request(1, &[(1, &[])])).given;
    assert_eq!(unknown[0].to_string(), "fd77::37f0:787e:f595:b173");
}

#[test]
fn associations_of_one_client_get_an_address_each_and_keep_it_in_any_order() {
    let lab = Lab::new();
    let first = lab.ask(1, lab.request(1, &[(7, &[]), (8, &[])])).given;
    assert_eq!(first.len(), 2);
    assert_ne!(first[0], first[1]);
    let renew = |associations: &[(u32, &[Ipv6Addr])]| {
        lab.ask(1, lab.to_us(MessageType::Renew, 1, associations)).given
    };
    assert_eq!(renew(&[(8, &first[1..]), (7, &first[..1])]), [first[1], first[0]]);
    assert_eq!(renew(&[(8, &first[1..])]), first[1..], "without the other one");
    let unknown = lab.ask_unknown(lab.request(1, &[(7, &[]), (8, &[])])).given;
    assert_eq!(unknown.len(), 2);
    assert_ne!(unknown[0], unknown[1], "also where the network card is not known");
}

#[test]
fn associations_beyond_four_are_passed_over() {
    let lab = Lab::new();
    let many = (0..200).map(|id| (id, &[][..])).collect::<Vec<_>>();
    let verdict = lab.ask(1, lab.request(1, &many));
    assert_eq!(reply(&verdict).associations().len(), 4);
}

#[test]
fn named_address_of_another_link_is_refused_and_of_another_client_is_replaced() {
    let lab = Lab::new();
    let verdict = lab.ask(1, lab.request(1, &[(1, &[ELSEWHERE])]));
    assert_eq!((verdict.reason, verdict.given.len()), (Reason::NotOnLink, 0));
    assert_eq!(answered(reply(&verdict), 1), (0, 0, vec![], Some(4)));
    let verdict = lab.ask(1, lab.request(1, &[(1, &[lab.address_of(2)])]));
    assert_eq!(verdict.given, [lab.address_of(1)]);
}

#[test]
fn renewal_keeps_what_is_ours_and_ends_what_is_not() {
    let lab = Lab::new();
    let address = lab.address_of(1);
    let verdict = lab.ask(1, lab.to_us(MessageType::Renew, 1, &[(1, &[address])]));
    assert_eq!((verdict.reason, verdict.given.clone()), (Reason::Extended, vec![address]));
    assert_eq!(answered(reply(&verdict), 1).2, [(address, 3600, 7200)]);
    let verdict = lab.ask(1, lab.to_us(MessageType::Renew, 1, &[(1, &[STRANGER, ELSEWHERE])]));
    let (.., addresses, status) = answered(reply(&verdict), 1);
    assert_eq!(addresses, [(address, 3600, 7200), (STRANGER, 0, 0), (ELSEWHERE, 0, 0)]);
    assert_eq!(status, None);
}

#[test]
fn renewal_where_nothing_is_given_any_more_ends_the_address() {
    let mut lab = Lab::new();
    let address = lab.address_of(1);
    lab.network.prefix = None;
    let verdict = lab.ask(1, lab.to_us(MessageType::Renew, 1, &[(1, &[address]), (2, &[])]));
    assert_eq!(verdict.reason, Reason::NoAddress);
    assert_eq!(answered(reply(&verdict), 1), (0, 0, vec![(address, 0, 0)], None));
    assert_eq!(answered(reply(&verdict), 2), (0, 0, vec![], Some(3)), "no binding");
}

#[test]
fn rebinding_is_answered_only_for_addresses_from_here() {
    let lab = Lab::new();
    let rebind = |addresses: &[Ipv6Addr]| lab.ask(1, message(MessageType::Rebind, 1, &[(1, addresses)]));
    let verdict = rebind(&[lab.address_of(1)]);
    assert_eq!((verdict.reason, verdict.given), (Reason::Extended, vec![lab.address_of(1)]));
    assert_eq!(rebind(&[STRANGER]).reason, Reason::NotOurs);
    assert_eq!(rebind(&[ELSEWHERE]).reply, None);
}

#[test]
fn confirm_tells_whether_the_addresses_are_of_this_link() {
    let lab = Lab::new();
    let confirm = |addresses: &[Ipv6Addr]| lab.ask(1, message(MessageType::Confirm, 1, &[(1, addresses)]));
    assert_eq!(status(&reply(&confirm(&[STRANGER])).options), Some(0));
    assert_eq!(status(&reply(&confirm(&[STRANGER, ELSEWHERE])).options), Some(4));
    assert_eq!(confirm(&[]).reason, Reason::NoAssociation);
}

#[test]
fn release_is_confirmed_and_unknown_addresses_have_no_binding() {
    let lab = Lab::new();
    let address = lab.address_of(1);
    let verdict = lab.ask(1, lab.to_us(MessageType::Release, 1, &[(1, &[address]), (2, &[STRANGER])]));
    assert_eq!((verdict.reason, verdict.released.clone()), (Reason::Released, vec![address]));
    assert_eq!(status(&reply(&verdict).options), Some(0));
    assert_eq!(reply(&verdict).options.all(code::IA_NA).count(), 1);
    assert_eq!(answered(reply(&verdict), 2), (0, 0, vec![], Some(3)));
    assert_eq!(lab.address_of(1), address, "the machine's next stage gets it again");
}

#[test]
fn declined_address_moves_the_client_to_its_next_one_for_ten_minutes() {
    let mut lab = Lab::new();
    let first = lab.address_of(1);
    let decline = lab.to_us(MessageType::Decline, 1, &[(1, &[first, lab.address_of(2)])]);
    let verdict = lab.ask(1, decline);
    assert_eq!(verdict.declined, [first], "nobody declines for another");
    lab.declined.insert(first, lab.now_ms);
    let second = lab.address_of(1);
    assert_ne!(second, first);
    lab.now_ms += 600_000;
    assert_eq!(lab.address_of(1), first);
    let renewed = lab.ask(1, lab.to_us(MessageType::Renew, 1, &[(1, &[second])]));
    assert_eq!(renewed.given, [second], "who has the second one keeps it");
}

#[test]
fn client_that_declines_everything_is_told_that_there_is_no_address() {
    let mut lab = Lab::new();
    for _ in 0..100 {
        let given = lab.ask(1, lab.request(1, &[(1, &[])])).given;
        given.iter().for_each(|address| lab.declined.insert(*address, lab.now_ms));
    }
    let verdict = lab.ask(1, solicit(1));
    assert_eq!((verdict.reason, answered(reply(&verdict), 1)), (Reason::NoAddress, (0, 0, vec![], Some(2))));
}

#[test]
fn reservation_goes_before_the_hash_and_ends_a_former_address() {
    let mut lab = Lab::new();
    let before = lab.address_of(1);
    lab.reserved.insert(mac(1), STRANGER);
    assert_eq!(lab.address_of(1), STRANGER);
    let verdict = lab.ask(1, lab.to_us(MessageType::Renew, 1, &[(1, &[before])]));
    assert_eq!(answered(reply(&verdict), 1).2, [(STRANGER, 3600, 7200), (before, 0, 0)]);
    let mut by_identifier = Message::new(MessageType::Request, [0; 3]);
    by_identifier.options.push(code::CLIENT_ID, Duid::link_layer(mac(1)).as_bytes());
    by_identifier.options.push(code::SERVER_ID, lab.server_id.as_bytes());
    by_identifier.options.push(code::IA_NA, association(1, &[]));
    assert_eq!(lab.ask_unknown(by_identifier).given, [STRANGER], "by the card in its identifier");
    lab.declined.insert(STRANGER, lab.now_ms);
    assert_eq!(lab.address_of(1), before, "in use by somebody else: better another one than none");
}

#[test]
fn reservation_of_another_network_does_not_count() {
    let mut lab = Lab::new();
    lab.reserved.insert(mac(1), ELSEWHERE);
    assert!(prefix().contains(lab.address_of(1)));
}

#[test]
fn address_that_is_reserved_for_another_is_not_given() {
    let mut lab = Lab::new();
    let address = lab.address_of(1);
    lab.reserved.insert(mac(2), address);
    assert_ne!(lab.address_of(1), address);
    let renewed = lab.ask(1, lab.to_us(MessageType::Renew, 1, &[(1, &[address])]));
    assert_ne!(renewed.given, [address]);
}

#[test]
fn network_for_reservations_refuses_everybody_else() {
    let mut lab = Lab::new();
    lab.network.assignment = Assignment::Reserved;
    assert_eq!(lab.ask(1, solicit(1)).reason, Reason::NoAddress);
    lab.reserved.insert(mac(1), STRANGER);
    assert_eq!(lab.address_of(1), STRANGER);
}

#[test]
fn lifetime_without_end_has_renewals_without_end() {
    let mut lab = Lab::new();
    lab.network.preferred_secs = u32::MAX;
    let verdict = lab.ask(1, solicit(1));
    let (t1, t2, addresses, _) = answered(reply(&verdict), 1);
    assert_eq!((t1, t2, addresses[0].1, addresses[0].2), (u32::MAX, u32::MAX, u32::MAX, u32::MAX));
}

#[test]
fn temporary_addresses_and_prefixes_are_refused_in_words() {
    let lab = Lab::new();
    let mut request = solicit(1);
    request.options.push(code::IA_TA, [0, 0, 0, 5]);
    request.options.push(code::IA_PD, association(6, &[]));
    let verdict = lab.ask(1, request);
    let inner = |code: u16, fixed: usize| {
        let value = reply(&verdict).options.bytes(code).unwrap().to_vec();
        (value[3], status(&Options::parse(&value[fixed..]).unwrap()))
    };
    assert_eq!(inner(code::IA_TA, 4), (5, Some(2)));
    assert_eq!(inner(code::IA_PD, 12), (6, Some(6)));
}

#[test]
fn network_is_parsed_and_limited_to_64_bits() {
    assert_eq!("fd77::5/64".parse::<Prefix>().unwrap().to_string(), "fd77::/64");
    let wide = "fd77:1234:5678::/33".parse::<Prefix>().unwrap();
    assert_eq!(wide.to_string(), "fd77:1234::/33");
    assert!(wide.contains("fd77:1234:7fff::1".parse().unwrap()));
    assert!(!wide.contains("fd77:1234:8000::1".parse().unwrap()));
    for text in ["fd77::/65", "fd77::/0", "fd77::", "10.0.0.0/8", "ff02::/16", "::/64", "fd77::/x"] {
        assert!(text.parse::<Prefix>().is_err(), "{text}");
    }
}

proptest! {
    /// Two cards never get the same address, whatever they name and decline.
    #[test]
    fn nothing_is_given_to_two_clients(
        clients in proptest::collection::vec((0_u8..6, 0_u32..3, any::<bool>(), any::<bool>()), 1..60),
    ) {
        let mut lab = Lab::new();
        let mut owners = BTreeMap::<Ipv6Addr, u8>::new();
        for (client, id, name_anothers, decline) in clients {
            let named = owners.keys().copied().filter(|_| name_anothers).take(3).collect::<Vec<_>>();
            let verdict = lab.ask(client, lab.request(client, &[(id, &named), (id + 1, &[])]));
            for address in verdict.given {
                prop_assert!(prefix().contains(address));
                prop_assert_eq!(*owners.entry(address).or_insert(client), client);
                if decline {
                    lab.declined.insert(address, lab.now_ms);
                }
            }
        }
    }
}

#[test]
fn whose_an_address_is_can_be_told_without_a_note() {
    let address = Lab::new().address_of(1);
    assert_eq!(addresses_of_card(mac(1), prefix()).first(), Some(&address));
    assert!(!addresses_of_card(mac(2), prefix()).contains(&address));
}
