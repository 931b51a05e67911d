//! Who may have the files that are rendered for one machine.
//!
//! Such a file can hold the token of the machine's agent and passwords, and firmware has no credentials to ask with. So it is
//! given to the machine by its address, and to others only where they prove that they may read its secrets. The reference
//! documents no such rule and proposes one (drp-behaviour.md 5.5).

use std::net::IpAddr;

use formwork_model::{Lease, Machine, Objects, ObjectsExt, Timestamp};

use crate::preferences;

/// The preference that says who gets the files of a machine.
pub const PREFERENCE: &str = "machineFileAccess";

/// Its value by which only the machine gets them, and who may read its secrets.
pub const MACHINE: &str = "machine";

/// Its value by which everybody gets them, as where machines are behind address translation.
pub const ANYBODY: &str = "anybody";

/// Returns the machine of a path below `machines/UUID/`, in whatever form the path is; nothing for any other path.
#[must_use]
pub fn machine_of_path(path: &str) -> Option<&str> {
    let mut parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    let uuid = parts.next().filter(|first| *first == "machines").and_then(|_| parts.next())?;
    parts.next().map(|_| uuid)
}

/// Tells whether the operator gives the files of machines to everybody.
#[must_use]
pub fn is_open(objects: &(impl Objects + ?Sized)) -> bool {
    preferences::value(objects, PREFERENCE) == ANYBODY
}

/// Tells whether an address is a machine's: it is leased to one of its network cards; or it is leased to nobody, and is its
/// `Address`, or the network card behind it is one of the machine's.
///
/// `card` returns the hardware address behind the address, where the endpoint is in the same network; it is asked last.
#[must_use]
pub fn is_of_machine(
    objects: &(impl Objects + ?Sized),
    machine: &Machine,
    address: IpAddr,
    now: Timestamp,
    card: impl FnOnce() -> Option<String>,
) -> bool {
    let address = address.to_canonical();
    let owns = |card: &str| machine.hardware_addrs.iter().any(|own| own.eq_ignore_ascii_case(card));
    let lease = match address {
        IpAddr::V4(address) => objects.get::<Lease>(&format!("{:08X}", address.to_bits())),
        IpAddr::V6(_) => None,
    };
    // Whoever has the address now has it, whatever machine had it before.
    if let Some(lease) = lease.filter(|lease| lease.state == "ACK" && lease.expire_time > now) {
        return owns(&lease.token) || lease.machine_uuid == machine.uuid;
    }
    machine.address.parse().is_ok_and(|own: IpAddr| own.to_canonical() == address)
        || card().is_some_and(|card| owns(&card))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use formwork_model::{Object, Preference};

    use super::*;

    struct Site(Vec<Arc<dyn Object>>);

    impl Objects for Site {
        fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>> {
            let is_it = |object: &&Arc<dyn Object>| object.kind().prefix == prefix && object.key() == key;
            self.0.iter().find(is_it).cloned()
        }

        fn visit(&self, _: &str, _: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {}

        fn count(&self, _: &str) -> usize {
            self.0.len()
        }
    }

    const NOW: i64 = 1_000_000;
    const CARD: &str = "52:54:00:77:00:01";

    fn machine() -> Machine {
        Machine {
            uuid: String::from("u-1"),
            address: String::from("10.0.0.50"),
            hardware_addrs: vec![String::from(CARD)],
            ..Machine::default()
        }
    }

    fn lease(token: &str, uuid: &str, state: &str, expires: i64) -> Site {
        Site(vec![Arc::new(Lease {
            addr: String::from("10.0.0.60"),
            token: token.to_owned(),
            machine_uuid: uuid.to_owned(),
            state: state.to_owned(),
            expire_time: Timestamp::from_millis(expires),
            ..Lease::default()
        })])
    }

    fn is_of(objects: &Site, address: &str, card: Option<&str>) -> bool {
        let now = Timestamp::from_millis(NOW);
        is_of_machine(objects, &machine(), address.parse().unwrap(), now, || card.map(str::to_owned))
    }

    #[test]
    fn only_what_is_below_the_folder_of_a_machine_is_its_own_by_name() {
        assert_eq!(machine_of_path("machines/u-1/kexec"), Some("u-1"));
        assert_eq!(machine_of_path("machines/u-1/a/b"), Some("u-1"));
        for other_form in ["/machines/u-1/x", "machines//u-1/x", "./machines/./u-1//x/", "//machines/u-1/x"] {
            assert_eq!(machine_of_path(other_form), Some("u-1"), "{other_form}");
        }
        for path in
            ["machines", "machines/u-1", "machines/u-1/", "machines//x", "a/machines/u-1/x", "vmlinuz"]
        {
            assert_eq!(machine_of_path(path), None, "{path}");
        }
    }

    #[test]
    fn address_of_the_machine_is_its_own_in_either_form() {
        let nothing = Site(Vec::new());
        assert!(is_of(&nothing, "10.0.0.50", None) && is_of(&nothing, "::ffff:10.0.0.50", None));
        for other in ["10.0.0.51", "127.0.0.1", "::1"] {
            assert!(!is_of(&nothing, other, None), "{other}");
        }
        let unset = Machine { address: String::new(), ..machine() };
        let now = Timestamp::from_millis(NOW);
        assert!(!is_of_machine(&nothing, &unset, IpAddr::from([0, 0, 0, 0]), now, || None));
    }

    #[test]
    fn lease_counts_while_it_lives_and_is_the_machines() {
        let later = NOW + 1;
        assert!(is_of(&lease(CARD, "", "ACK", later), "10.0.0.60", None));
        assert!(is_of(&lease("other", "u-1", "ACK", later), "10.0.0.60", None));
        for (objects, why) in [
            (lease(CARD, "u-1", "ACK", NOW), "it has ended"),
            (lease(CARD, "u-1", "OFFER", later), "it was not taken"),
            (lease("52:54:00:77:00:02", "u-2", "ACK", later), "it is another's"),
        ] {
            assert!(!is_of(&objects, "10.0.0.60", None), "{why}");
        }
        assert!(!is_of(&lease(CARD, "u-1", "ACK", later), "10.0.0.61", None));
    }

    #[test]
    fn card_behind_an_address_counts_in_upper_and_lower_case() {
        let nothing = Site(Vec::new());
        assert!(is_of(&nothing, "192.0.2.9", Some(CARD)));
        let upper = Machine { hardware_addrs: vec![String::from("52:54:00:AB:00:01")], ..machine() };
        let card = || Some(String::from("52:54:00:ab:00:01"));
        let now = Timestamp::from_millis(NOW);
        assert!(is_of_machine(&nothing, &upper, IpAddr::from([192, 0, 2, 9]), now, card));
        assert!(!is_of(&nothing, "192.0.2.9", Some("52:54:00:77:00:02")));
    }

    #[test]
    fn operator_can_give_the_files_to_everybody() {
        let set = |value: &str| {
            let preference =
                Preference { name: PREFERENCE.into(), val: value.into(), ..Preference::default() };
            Site(vec![Arc::new(preference)])
        };
        assert!(is_open(&set(ANYBODY)));
        assert!(!is_open(&set(MACHINE)) && !is_open(&Site(Vec::new())));
    }
}
