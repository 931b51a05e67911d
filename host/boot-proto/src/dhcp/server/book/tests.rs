use proptest::prelude::*;

use super::*;

const LINK: Link = Link::Interface(1);

fn ip(last: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0000 + last)
}

fn client(number: u32) -> HardwareAddress {
    let [a, b, c, d] = number.to_be_bytes();
    HardwareAddress::ethernet([2, 0, a, b, c, d])
}

fn offer(number: u32, last: u32, expires_ms: u64) -> LeaseChange {
    let put = Lease { state: LeaseState::Offered, ..bound(number, last, expires_ms) };
    LeaseChange { put: Some(put), ..LeaseChange::default() }
}

fn bound(number: u32, last: u32, expires_ms: u64) -> Lease {
    Lease {
        address: ip(last),
        token: Some(client(number)),
        state: LeaseState::Bound,
        expires_ms,
        duration_secs: 60,
    }
}

fn book(prefix: u8, active: (u32, u32)) -> (Book, Arc<Subnet>) {
    let subnet = Arc::new(Subnet::new("lab", ip(0), prefix, (ip(active.0), ip(active.1))));
    let mut book = Book::new();
    book.set_subnets([Arc::clone(&subnet)]);
    (book, subnet)
}

#[test]
fn lapsed_offer_gives_the_record_below_back_to_its_owner() {
    let (mut book, subnet) = book(24, (10, 12));
    book.put(bound(1, 10, 500));
    book.apply(&offer(2, 10, 2000), LINK);
    assert!(book.leases_of(client(1), None).is_empty());
    assert_eq!(book.most_expired(&subnet, 1000, &|_| true), None, "it is offered");
    book.lapse(1999);
    assert_eq!(book.lease_at(ip(10)).unwrap().token, Some(client(2)));
    book.lapse(2000);
    assert_eq!(book.leases_of(client(1), None), [bound(1, 10, 500)]);
    assert!(book.leases_of(client(2), None).is_empty());
    assert_eq!(book.most_expired(&subnet, 2000, &|_| true), Some(ip(10)));
}

#[test]
fn strangers_offers_are_bounded_by_link_and_by_range() {
    let (mut book, subnet) = book(8, (0x100, 0xff_ffff));
    for number in 0..u32::try_from(OFFERS_MAX).unwrap() {
        assert!(book.has_room_for(LINK, &subnet), "{number}");
        book.apply(&offer(number, 0x1000 + number, 60_000), LINK);
    }
    assert!(!book.has_room_for(LINK, &subnet));
    assert!(book.has_room_for(Link::Relay(ip(1)), &subnet), "another link has its own");
    assert_eq!(book.offer_ms(LINK, Some(&subnet)), SHORT_OFFER_MS);
    book.lapse(60_000);
    assert_eq!((book.open_offers(), book.has_room_for(LINK, &subnet)), (0, true));
    assert_eq!(book.offer_ms(LINK, Some(&subnet)), OFFER_MS);

    let (mut small, subnet) = super::tests::book(24, (100, 199));
    for number in 0..75 {
        assert!(small.has_room_for(LINK, &subnet), "{number}");
        small.apply(&offer(number, 100 + number, 60_000), LINK);
    }
    assert!(!small.has_room_for(LINK, &subnet), "a quarter is kept from strangers");
}

#[test]
fn reservation_is_the_links_or_one_that_holds_anywhere() {
    let (mut book, lab) = book(24, (10, 20));
    let hall = Arc::new(Subnet::new("hall", ip(0x100), 24, (ip(0x10a), ip(0x10b))));
    book.set_subnets([Arc::clone(&hall), Arc::clone(&lab)]);
    let reservation = |last: u32, is_scoped| Reservation {
        address: ip(last),
        token: client(1),
        lease_secs: None,
        next_server: None,
        is_scoped,
        skip_probe: false,
    };
    let found = |book: &Book, subnet: Option<&Subnet>| {
        book.reservation_of(client(1), subnet).map(|reservation| reservation.address)
    };
    book.reserve(reservation(0x105, true));
    assert_eq!(found(&book, Some(&hall)), Some(ip(0x105)));
    assert_eq!((found(&book, Some(&lab)), found(&book, None)), (None, None));
    book.reserve(reservation(0x900, false));
    assert_eq!((found(&book, Some(&lab)), found(&book, None)), (Some(ip(0x900)), Some(ip(0x900))));
    book.unreserve(ip(0x900));
    book.unreserve(ip(0x105));
    assert_eq!(found(&book, Some(&hall)), None);
    assert_eq!(book.reserved_for(ip(0x105)), None);
}

#[test]
fn subnet_is_found_by_any_of_its_addresses() {
    let (mut book, lab) = book(24, (10, 20));
    let far = Arc::new(Subnet::new("far", ip(0x400), 23, (ip(0x410), ip(0x420))));
    book.set_subnets([Arc::clone(&far), Arc::clone(&lab)]);
    let name = |last: u32| book.subnet_of(ip(last)).map(|subnet| subnet.name.as_str());
    assert_eq!([0, 255, 256, 0x3ff, 0x400].map(name), [Some("lab"), Some("lab"), None, None, Some("far")]);
    assert_eq!((name(0x5ff), name(0x600)), (Some("far"), None));
    assert_eq!(book.subnet_of(Ipv4Addr::new(1, 1, 1, 1)), None);
}

#[test]
fn search_in_a_full_range_costs_next_to_nothing() {
    let (mut book, subnet) = book(8, (1, 1 << 16));
    for last in 1..=1 << 16 {
        book.put(bound(last, last, u64::from(last)));
    }
    // Each of these would look at 65,536 addresses without the index.
    for now in 0..10_000 {
        assert_eq!(book.next_free(&subnet, &|_| true), None);
        let wanted = (now > 0).then(|| ip(1));
        assert_eq!(book.most_expired(&subnet, now, &|_| true), wanted);
    }
    book.remove(ip(40_000));
    assert_eq!(book.next_free(&subnet, &|_| true), Some(ip(40_000)));
}

/// What a test does to a book.
#[derive(Debug, Clone)]
enum Step {
    Offer(u32, u32),
    Bind(u32, u32),
    Remove(u32),
    Reserve(u32, u32),
    Unreserve(u32),
    Shrink(u32),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let (number, last) = (0_u32..6, 0_u32..70);
    prop_oneof![
        (number.clone(), last.clone()).prop_map(|(number, last)| Step::Offer(number, last)),
        (number.clone(), last.clone()).prop_map(|(number, last)| Step::Bind(number, last)),
        last.clone().prop_map(Step::Remove),
        (number, last.clone()).prop_map(|(number, last)| Step::Reserve(number, last)),
        last.clone().prop_map(Step::Unreserve),
        last.prop_map(Step::Shrink),
        (0_u64..40_000).prop_map(Step::Pass),
    ]
}

proptest! {
    /// The answers of the indexes are those of looking at every address.
    #[test]
    fn book_agrees_with_looking_at_every_address(steps in proptest::collection::vec(step(), 1..80)) {
        let (mut book, mut subnet) = book(25, (1, 68));
        let mut now = 0;
        for step in steps {
            match step {
                Step::Offer(number, last) => {
                    book.apply(&offer(number, last, now + 10_000), LINK);
                }
                Step::Bind(number, last) => {
                    let put = Some(bound(number, last, now + 20_000));
                    let remove = book.leases_of(client(number), None).iter().map(|own| own.address).collect();
                    book.apply(&LeaseChange { put, remove, ..LeaseChange::default() }, LINK);
                }
                Step::Remove(last) => book.remove(ip(last)),
                Step::Reserve(number, last) => book.reserve(Reservation {
                    address: ip(last),
                    token: client(number),
                    lease_secs: None,
                    next_server: None,
                    is_scoped: false,
                    skip_probe: false,
                }),
                Step::Unreserve(last) => book.unreserve(ip(last)),
                Step::Shrink(last) => {
                    subnet = Arc::new(Subnet { active_end: ip(last), ..subnet.as_ref().clone() });
                    book.set_subnets([Arc::clone(&subnet)]);
                }
                Step::Pass(ms) => now += ms,
            }
            book.lapse(now);
            let active = || (0..128).map(ip).filter(|address| subnet.is_active(*address) && subnet.is_host(*address));
            let unreserved = |address: &Ipv4Addr| book.reserved_for(*address).is_none();
            let free: Vec<Ipv4Addr> =
                active().filter(unreserved).filter(|address| book.lease_at(*address).is_none()).collect();
            let found = book.next_free(&subnet, &|_| true);
            prop_assert_eq!(found.is_some(), !free.is_empty());
            prop_assert!(found.is_none_or(|found| free.contains(&found)));
            let reusable = active()
                .filter(unreserved)
                .filter_map(|address| book.lease_at(address))
                .filter(|lease| lease.state != LeaseState::Offered && lease.expires_ms <= now)
                .min_by_key(|lease| (lease.expires_ms, lease.address));
            prop_assert_eq!(book.most_expired(&subnet, now, &|_| true), reusable.map(|lease| lease.address));
            for number in 0..6 {
                let own: Vec<Ipv4Addr> = book.leases_of(client(number), None).iter().map(|own| own.address).collect();
                let held = |address: &Ipv4Addr| {
                    book.lease_at(*address).is_some_and(|lease| lease.belongs_to(client(number)))
                };
                prop_assert_eq!(own, (0..128).map(ip).filter(held).collect::<Vec<_>>());
            }
            let offered = active().filter_map(|address| book.lease_at(address));
            let offered = offered.filter(|lease| lease.state == LeaseState::Offered).count();
            prop_assert!(book.areas[0].offers >= offered);
            let open: usize = book.open.values().sum();
            prop_assert_eq!((open, book.lapses.len()), (book.offers.len(), book.offers.len()));
        }
    }
}
