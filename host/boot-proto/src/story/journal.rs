//! What an endpoint remembers of the boots that it serves.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;

use super::dhcp_seen::Message;
use super::sighting::{Sighting, What};
use super::tell::Story;
use crate::dhcp::HardwareAddress;

/// Most sightings of one machine: some boots. When there are more, the oldest are forgotten.
pub const MAX_OF_MACHINE: usize = 400;

/// Most sightings of all machines, of about 500 bytes each.
pub const MAX_OF_ALL: usize = 50_000;

/// Most addresses of one machine that transfers are known by.
const MAX_ADDRESSES: usize = 16;

/// The sightings of the machines that were seen last, bounded in all directions.
///
/// When it is full, the machine that was silent for longest is forgotten, and first those that never got an address:
/// a flood of invented hardware addresses does not drive out the machines that boot.
#[derive(Debug, Default)]
pub struct Journal {
    machines: HashMap<HardwareAddress, Machine>,
    owners: HashMap<IpAddr, HardwareAddress>,
    /// The machines by their last note: those that never got an address, and those that did.
    strangers: BTreeMap<u64, HardwareAddress>,
    served: BTreeMap<u64, HardwareAddress>,
    /// Counts the notes, which orders them where the clock does not.
    notes: u64,
    held: usize,
}

#[derive(Debug, Default)]
struct Machine {
    sightings: VecDeque<Sighting>,
    addresses: VecDeque<IpAddr>,
    last_note: u64,
    served: bool,
}

impl Journal {
    /// Makes an empty journal.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a sighting. One of a transfer counts for the machine that has its address; one that belongs to no
    /// machine is not kept.
    pub fn note(&mut self, mut sighting: Sighting) {
        let owner = || sighting.client().address.and_then(|address| self.owners.get(&address)).copied();
        let Some(mac) = sighting.mac.or_else(owner) else { return };
        sighting.mac = Some(mac);
        self.notes += 1;
        let given = match &sighting.what {
            What::Dhcp(seen) if seen.message == Message::Ack => seen.yiaddr.map(IpAddr::V4),
            What::Dhcp6(seen) if seen.message == 7 => seen.addresses.first().copied().map(IpAddr::V6),
            _ => None,
        };
        let machine = self.machines.entry(mac).or_default();
        let ages = if machine.served { &mut self.served } else { &mut self.strangers };
        ages.remove(&machine.last_note);
        machine.last_note = self.notes;
        machine.sightings.push_back(sighting);
        self.held += 1;
        if machine.sightings.len() > MAX_OF_MACHINE {
            machine.sightings.pop_front();
            self.held -= 1;
        }
        machine.served |= given.is_some();
        if let Some(address) = given.filter(|address| !machine.addresses.contains(address)) {
            machine.addresses.push_back(address);
        }
        let ages = if machine.served { &mut self.served } else { &mut self.strangers };
        ages.insert(self.notes, mac);
        self.owners.extend(given.map(|address| (address, mac)));
        let lost = if machine.addresses.len() > MAX_ADDRESSES { machine.addresses.pop_front() } else { None };
        self.disown(mac, lost);
        while self.held > MAX_OF_ALL {
            self.forget_one();
        }
    }

    /// Tells whether anything of a machine is remembered.
    #[must_use]
    pub fn knows(&self, mac: HardwareAddress) -> bool {
        self.machines.contains_key(&mac)
    }

    /// Tells the story of a machine; `now_us` is the present time in microseconds since the Unix epoch.
    #[must_use]
    pub fn story(&self, mac: HardwareAddress, now_us: u64) -> Story {
        let sightings =
            self.machines.get(&mac).map(|machine| machine.sightings.iter().cloned().collect::<Vec<_>>());
        let mut sightings = sightings.unwrap_or_default();
        // Services note when they are done, so that a step may come a moment late.
        sightings.sort_by_key(|sighting| sighting.at_us);
        Story::tell(mac, &sightings, now_us)
    }

    /// Returns the machines that are remembered, those that were seen last first.
    #[must_use]
    pub fn machines(&self) -> Vec<HardwareAddress> {
        let mut machines =
            self.machines.iter().map(|(mac, machine)| (machine.last_note, *mac)).collect::<Vec<_>>();
        machines.sort_unstable_by_key(|(note, _)| std::cmp::Reverse(*note));
        machines.into_iter().map(|(_, mac)| mac).collect()
    }

    fn forget_one(&mut self) {
        let oldest = self.strangers.pop_first().or_else(|| self.served.pop_first());
        let Some((mac, machine)) = oldest.and_then(|(_, mac)| self.machines.remove_entry(&mac)) else {
            return;
        };
        self.held -= machine.sightings.len();
        self.disown(mac, machine.addresses);
    }

    /// Forgets the addresses of a machine, but those that went to another one since.
    fn disown(&mut self, mac: HardwareAddress, addresses: impl IntoIterator<Item = IpAddr>) {
        for address in addresses {
            if self.owners.get(&address) == Some(&mac) {
                self.owners.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::{HttpSeen, Peer, Story};
    use super::*;
    use crate::dhcp::{MessageType, Op, Packet, code};

    fn mac(number: u32) -> HardwareAddress {
        let [a, b, c, d] = number.to_be_bytes();
        HardwareAddress::ethernet([2, 0, a, b, c, d])
    }

    fn dhcp(at_us: u64, mac: HardwareAddress, kind: MessageType, address: Option<Ipv4Addr>) -> Sighting {
        let mut packet = Packet::request(mac, 1);
        packet.options.set(code::MESSAGE_TYPE, [kind.code()]);
        if let Some(address) = address {
            packet.op = Op::Reply;
            packet.yiaddr = address;
        }
        let (from, to) = (Peer::default(), Peer::default());
        Sighting { at_us, mac: Some(mac), from, to, what: What::Dhcp(Box::new((&packet).into())) }
    }

    fn get(at_us: u64, address: Ipv4Addr) -> Sighting {
        let seen = HttpSeen::Request { method: "GET".into(), target: "/a".into(), host: None, agent: None };
        let from = Peer { address: Some(address.into()), ..Peer::default() };
        Sighting { at_us, mac: None, from, to: Peer::default(), what: What::Http(seen) }
    }

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);

    #[test]
    fn transfer_belongs_to_the_machine_that_has_the_address_now() {
        let mut journal = Journal::new();
        journal.note(get(0, ADDRESS));
        journal.note(dhcp(1, mac(1), MessageType::Ack, Some(ADDRESS)));
        journal.note(get(2, ADDRESS));
        journal.note(dhcp(3, mac(2), MessageType::Ack, Some(ADDRESS)));
        journal.note(get(4, ADDRESS));
        let times = |story: Story| story.sightings.iter().map(|seen| seen.at_us).collect::<Vec<_>>();
        assert_eq!(times(journal.story(mac(1), 9)), [1, 2]);
        assert_eq!(times(journal.story(mac(2), 9)), [3, 4]);
        assert_eq!(journal.machines(), [mac(2), mac(1)]);
    }

    #[test]
    fn flood_of_strangers_does_not_drive_out_a_machine_that_boots() {
        let mut journal = Journal::new();
        journal.note(dhcp(0, mac(0), MessageType::Ack, Some(ADDRESS)));
        for number in 1..=u32::try_from(MAX_OF_ALL).unwrap() + 10 {
            journal.note(dhcp(number.into(), mac(number), MessageType::Discover, None));
        }
        assert_eq!(journal.held, MAX_OF_ALL);
        assert_eq!(journal.machines.len(), MAX_OF_ALL);
        assert_eq!(journal.story(mac(0), 0).sightings.len(), 1);
        assert!(journal.story(mac(1), 0).sightings.is_empty(), "the oldest stranger is forgotten");
    }

    #[test]
    fn machine_that_never_stops_keeps_its_last_boots_alone() {
        let mut journal = Journal::new();
        for at_us in 0..2 * MAX_OF_MACHINE as u64 {
            journal.note(dhcp(at_us, mac(1), MessageType::Discover, None));
        }
        assert_eq!(journal.held, MAX_OF_MACHINE);
        assert_eq!(journal.story(mac(1), 0).sightings[0].at_us, MAX_OF_MACHINE as u64);
        assert_eq!((journal.strangers.len(), journal.served.len()), (1, 0));
    }

    #[test]
    fn machine_with_many_addresses_is_known_by_the_last_ones() {
        let mut journal = Journal::new();
        for number in 0..100 {
            journal.note(dhcp(
                number.into(),
                mac(1),
                MessageType::Ack,
                Some(Ipv4Addr::new(10, 0, 0, number)),
            ));
        }
        assert_eq!(journal.owners.len(), MAX_ADDRESSES);
        assert_eq!(journal.owners.get(&Ipv4Addr::new(10, 0, 0, 99).into()), Some(&mac(1)));
    }

    #[test]
    fn everything_of_a_forgotten_machine_is_forgotten() {
        let mut journal = Journal::new();
        for number in 0..=u32::try_from(MAX_OF_ALL).unwrap() {
            let address = Ipv4Addr::from(0x0a00_0000 + number);
            journal.note(dhcp(number.into(), mac(number), MessageType::Ack, Some(address)));
        }
        assert_eq!(journal.owners.len(), MAX_OF_ALL);
        assert_eq!(journal.served.len(), MAX_OF_ALL);
        journal.note(get(9, Ipv4Addr::new(10, 0, 0, 0)));
        assert!(journal.story(mac(0), 9).sightings.is_empty());
    }
}
