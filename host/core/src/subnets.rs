//! Addresses that a subnet gives to those who ask by the API, and which subnet reservations are in (drp-api.md 7.12, 7.13).

use std::{collections::HashSet, net::Ipv4Addr, ops::Bound, sync::Arc};

use formwork_model::{Lease, Objects, ObjectsExt, Record, Reservation, SortKey, Span, Subnet, Timestamp};

use crate::Refusal;

/// The most addresses of a subnet that are looked at for a free one.
const MAX_LOOKED_AT: u32 = 1 << 20;

/// Returns an address of a subnet that nobody has: `wanted` when it names one, else the lowest.
///
/// Addresses come from `AllocateStart` to `AllocateEnd`, without these from the whole network. Those that are
/// reserved or leased, and those of the subnet's dynamic range, are not free.
///
/// # Errors
///
/// The address that is wanted is outside of the range or somebody has it, or nothing is free.
pub fn free_address(
    objects: &(impl Objects + ?Sized),
    subnet: &Subnet,
    wanted: &str,
    now: Timestamp,
) -> Result<Ipv4Addr, Refusal> {
    let name = &subnet.name;
    let Some((network, broadcast)) = subnet.span() else {
        return Err(Refusal::invalid(format!("{name}: {} has no addresses", subnet.subnet)));
    };
    let inner = (u32::from(network).saturating_add(1), u32::from(broadcast).saturating_sub(1));
    let first = bound(&subnet.allocate_start).unwrap_or(inner.0).max(inner.0);
    let last = bound(&subnet.allocate_end).unwrap_or(inner.1).min(inner.1);
    let taken = taken(objects, subnet, now);
    if !wanted.is_empty() {
        let address: Ipv4Addr =
            wanted.parse().map_err(|_| Refusal::invalid(format!("{name}: `{wanted}` is no IPv4 address")))?;
        if !(first..=last).contains(&u32::from(address)) {
            let (first, last) = (Ipv4Addr::from(first), Ipv4Addr::from(last));
            return Err(Refusal::invalid(format!("{name}: {address} is not in {first} to {last}")));
        }
        if taken.contains(&u32::from(address)) {
            return Err(Refusal::Conflict(format!("{name}: {address} is in use\nhint: leave Addr out")));
        }
        return Ok(address);
    }
    let active = (subnet.active_start.parse::<Ipv4Addr>(), subnet.active_end.parse::<Ipv4Addr>());
    let is_active = |address: u32| match &active {
        (Ok(start), Ok(end)) if !subnet.only_reservations => {
            (u32::from(*start)..=u32::from(*end)).contains(&address)
        }
        _ => false,
    };
    let router = |address: u32| Ipv4Addr::from(address).to_string();
    let routers: HashSet<String> = subnet
        .options
        .iter()
        .filter(|option| option.code == ROUTERS)
        .flat_map(|option| option.value.split(',').map(|part| part.trim().to_owned()).collect::<Vec<_>>())
        .collect();
    (first..=last)
        .take(usize::try_from(MAX_LOOKED_AT).unwrap_or(usize::MAX))
        .find(|address| {
            !taken.contains(address) && !is_active(*address) && !routers.contains(&router(*address))
        })
        .map(Ipv4Addr::from)
        .ok_or_else(|| {
            Refusal::Conflict(format!("{name}: no address is free\nhint: widen AllocateStart to AllocateEnd"))
        })
}

/// Returns the reservations from one address to another that name a subnet other than that which they are in, each with the
/// right one. `new` is a subnet that counts although it is not there yet.
///
/// Of the reservations only those in between are looked at, so that a subnet that changes costs what is in it and not what
/// the site has.
#[must_use]
pub fn misplaced(
    objects: &(impl Objects + ?Sized),
    (first, last): (Ipv4Addr, Ipv4Addr),
    new: Option<&Subnet>,
) -> Vec<Reservation> {
    let touches = |subnet: &Subnet| subnet.span().is_some_and(|(from, to)| from <= last && first <= to);
    let mut near: Vec<Arc<Subnet>> = new.cloned().map(Arc::new).into_iter().collect();
    near.extend(objects.list::<Subnet>().into_iter().filter(|subnet| touches(subnet)));
    let address = |address: Ipv4Addr| SortKey::of("Addr", &address.to_string().into());
    let bounds = (Bound::Included(address(first)), Bound::Included(address(last)));
    let span = Span { bounds, ..Span::all(Reservation::KIND.prefix, "Addr") };
    let mut found = Vec::new();
    objects.range(&span, &mut |object| {
        if let Some(own) = object.as_any().downcast_ref::<Reservation>()
            && let Ok(address) = own.addr.parse()
        {
            let subnet = near.iter().find(|subnet| subnet.contains(address));
            let subnet = subnet.map(|subnet| subnet.name.as_str()).unwrap_or_default();
            if own.subnet != subnet {
                found.push(Reservation { subnet: subnet.to_owned(), ..own.clone() });
            }
        }
        true
    });
    found
}

/// The option that names the routers of a network (RFC 2132 section 3.5).
const ROUTERS: u8 = 3;

fn bound(text: &str) -> Option<u32> {
    text.parse::<Ipv4Addr>().ok().filter(|address| !address.is_unspecified()).map(u32::from)
}

fn taken(objects: &(impl Objects + ?Sized), subnet: &Subnet, now: Timestamp) -> HashSet<u32> {
    let number =
        |text: &str| text.parse::<Ipv4Addr>().ok().filter(|address| subnet.contains(*address)).map(u32::from);
    let reserved = objects.list::<Reservation>().into_iter().filter_map(|own| number(&own.addr));
    let leases = objects.list::<Lease>();
    let leased = leases
        .iter()
        .filter(|lease| lease.expire_time > now || lease.state == "INVALID")
        .filter_map(|lease| number(&lease.addr));
    reserved.chain(leased).chain(number(&subnet.next_server)).collect()
}

#[cfg(test)]
mod tests {
    use formwork_model::{DhcpOption, Object};

    use super::*;
    use crate::machine::tests::Shelf;

    fn subnet() -> Subnet {
        Subnet {
            name: "lab".into(),
            subnet: "10.0.0.1/29".into(),
            active_start: "10.0.0.2".into(),
            active_end: "10.0.0.3".into(),
            options: vec![DhcpOption { code: ROUTERS, value: "10.0.0.1".into() }],
            ..Subnet::default()
        }
    }

    fn reserved(addr: &str) -> Reservation {
        Reservation { addr: addr.into(), token: addr.into(), ..Reservation::default() }
    }

    #[test]
    fn lowest_address_that_nobody_has_is_given() {
        let lease =
            Lease { addr: "10.0.0.5".into(), expire_time: Timestamp::from_millis(9), ..Lease::default() };
        let shelf = Shelf::default().with(reserved("10.0.0.4")).with(lease);
        assert_eq!(
            free_address(&shelf, &subnet(), "", Timestamp::from_millis(1)).unwrap().to_string(),
            "10.0.0.6"
        );
        assert_eq!(
            free_address(&shelf, &subnet(), "", Timestamp::from_millis(10)).unwrap().to_string(),
            "10.0.0.5"
        );
        let narrow =
            Subnet { allocate_start: "10.0.0.4".into(), allocate_end: "10.0.0.4".into(), ..subnet() };
        let full = free_address(&shelf, &narrow, "", Timestamp::from_millis(1)).unwrap_err();
        assert!(
            matches!(&full, Refusal::Conflict(words) if words.contains("no address is free")),
            "{full:?}"
        );
    }

    #[test]
    fn wanted_address_must_be_in_the_range_and_free() {
        let shelf = Shelf::default().with(reserved("10.0.0.4"));
        assert_eq!(
            free_address(&shelf, &subnet(), "10.0.0.2", Timestamp::default()).unwrap().to_string(),
            "10.0.0.2"
        );
        for (wanted, words) in [
            ("10.0.0.4", "is in use"),
            ("10.0.0.7", "is not in"),
            ("10.0.1.1", "is not in"),
            ("x", "is no IPv4"),
        ] {
            let refused =
                format!("{:?}", free_address(&shelf, &subnet(), wanted, Timestamp::default()).unwrap_err());
            assert!(refused.contains(words), "{wanted}: {refused}");
        }
    }

    /// Refuses to show all reservations.
    struct NeverAll(Shelf);

    impl Objects for NeverAll {
        fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>> {
            self.0.find(prefix, key)
        }

        fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
            assert_ne!(prefix, "reservations", "all are looked at");
            self.0.visit(prefix, visit);
        }

        fn count(&self, prefix: &str) -> usize {
            self.0.count(prefix)
        }

        fn range(&self, span: &Span<'_>, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
            assert!(Reservation::KIND.indexes().any(|member| member == span.member), "{span:?}");
            self.0.range(span, visit);
        }
    }

    #[test]
    fn subnet_that_changes_looks_only_at_the_reservations_in_it() {
        let within = |addr: &str, subnet: &str| Reservation { subnet: subnet.into(), ..reserved(addr) };
        let network =
            |name: &str, cidr: &str| Subnet { name: name.into(), subnet: cidr.into(), ..Subnet::default() };
        let shelf = ["10.0.0.0", "10.0.0.7", "10.0.0.8", "9.255.255.255"]
            .into_iter()
            .fold(Shelf::default(), |shelf, addr| shelf.with(within(addr, "gone")))
            .with(within("10.0.0.3", "lab"))
            .with(network("hall", "10.0.0.8/29"));
        let shelf = NeverAll(shelf);
        let told = |span: (&str, &str), new: Option<&Subnet>| -> Vec<(String, String)> {
            let span = (span.0.parse().unwrap(), span.1.parse().unwrap());
            misplaced(&shelf, span, new).into_iter().map(|own| (own.addr, own.subnet)).collect()
        };
        let pairs = |wanted: &[(&str, &str)]| -> Vec<(String, String)> {
            wanted.iter().map(|(addr, subnet)| ((*addr).into(), (*subnet).into())).collect()
        };
        let lab = subnet();
        let span = ("10.0.0.0", "10.0.0.7");
        assert_eq!(told(span, Some(&lab)), pairs(&[("10.0.0.0", "lab"), ("10.0.0.7", "lab")]));
        assert_eq!(told(span, None), pairs(&[("10.0.0.0", ""), ("10.0.0.3", ""), ("10.0.0.7", "")]));
        assert_eq!(told(("10.0.0.8", "10.0.0.8"), None), pairs(&[("10.0.0.8", "hall")]));
    }
}
