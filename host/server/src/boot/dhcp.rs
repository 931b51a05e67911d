//! One DHCP request: decide, make the lease durable, answer.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use formwork_boot::{Answer, DhcpHandler, InterfaceTable, Interfaces, Prober, Received};
use formwork_boot_proto::{
    boot::{BootClient, BootOffer},
    dhcp::{
        Options, Packet, code, option_text,
        server::{Context, Lease, LeaseChange, LeaseState, Link, Reason, Subnet, Verdict, decide},
    },
};
use formwork_model::DhcpOption;
use tokio::sync::oneshot;

use super::{
    choose::{boot_offer, firmware_name},
    probing::Probing,
    stored::Facts,
    subnet,
    table::Table,
    writer::Writer,
};
use crate::{
    endpoint::Endpoint,
    render::{KnownMachine, Site},
};

/// Answers the requests of all networks.
pub(super) struct Handler {
    endpoint: Arc<Endpoint>,
    site: Arc<dyn Site>,
    interfaces: Arc<InterfaceTable>,
    table: Arc<Mutex<Table>>,
    writer: Writer,
    probing: Arc<Probing>,
}

/// What was decided, on which link, and when it is durable.
struct Decided {
    verdict: Verdict,
    written: Option<oneshot::Receiver<bool>>,
    subnet: Option<Arc<Subnet>>,
    interfaces: Arc<Interfaces>,
    link: Link,
}

/// How many addresses are tried for one request, where one after the other turns out to be in use.
const ADDRESSES_TRIED: usize = 4;

impl Handler {
    /// Reads what is stored. Needs a runtime of tokio, in which leases are written.
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        interfaces: Arc<InterfaceTable>,
        prober: Arc<dyn Prober>,
    ) -> Self {
        let table = Arc::new(Mutex::new(Table::new(&endpoint.store, subnet::of_loopback(&endpoint))));
        let writer = Writer::start(endpoint.store.clone(), Arc::clone(&table));
        let site = Arc::clone(&endpoint) as _;
        let probing = Arc::new(Probing::new(prober));
        Self { endpoint, site, interfaces, table, writer, probing }
    }

    /// Decides, and decides again as long as the address to offer is in use by somebody else.
    async fn settle(&self, packet: &Packet, received: &Received, known: Option<&KnownMachine>) -> Decided {
        let mut tried = 0;
        loop {
            let decided = self.decide(packet, received, known);
            let Some(address) = decided.verdict.probe else { return decided };
            let (subnet, now_ms) = (decided.subnet.as_deref(), self.now_ms());
            let (client, interfaces) = (packet.chaddr, &decided.interfaces);
            let is_used = self.probing.is_used(address, client, subnet, interfaces, now_ms).await;
            self.ask_ahead(&decided);
            if !is_used {
                locked(&self.table).book.prove(address, client);
                return decided;
            }
            self.bench(address, decided.link);
            tried += 1;
            if tried == ADDRESSES_TRIED {
                let verdict =
                    Verdict { reply: None, lease: None, probe: None, reason: Reason::AddressesInUse };
                return Decided { verdict, written: None, ..decided };
            }
        }
    }

    /// Keeps an address that somebody uses without a lease from everybody for a while.
    fn bench(&self, address: Ipv4Addr, link: Link) {
        tracing::warn!(
            target: "formwork_boot::dhcp", %address,
            "an address to be offered is in use already; nobody gets it for ten minutes"
        );
        let change =
            LeaseChange { put: Some(Lease::benched(address, self.now_ms())), ..LeaseChange::default() };
        let mut table = locked(&self.table);
        let now_ms = self.now_ms();
        // Meanwhile the client may have taken the address by another way, and then it is its own answer that came.
        let holder = table.book.record_at(address).filter(|record| !record.is_expired(now_ms));
        if holder.is_some_and(|record| record.state == LeaseState::Bound) {
            return;
        }
        let removed = table.book.apply(&change, link);
        let facts = Facts { now: self.endpoint.now(), ..Facts::default() };
        // Nobody is promised anything: whether it becomes durable changes no answer.
        drop(self.writer.queue(&mut table, change.put, removed, facts));
    }

    /// Lets addresses be probed that will be offered next, while the clients of this one go on.
    fn ask_ahead(&self, decided: &Decided) {
        let Some(subnet) = decided.subnet.clone().filter(|subnet| !subnet.skip_probe) else { return };
        let (probing, table) = (Arc::clone(&self.probing), Arc::clone(&self.table));
        let (interfaces, now_ms) = (Arc::clone(&decided.interfaces), self.now_ms());
        tokio::spawn(async move {
            let free = |count| locked(&table).book.free_ahead(&subnet, count);
            probing.fill(&subnet, &interfaces, now_ms, free).await;
        });
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.endpoint.now().millis()).unwrap_or(0)
    }

    fn decide(&self, packet: &Packet, received: &Received, known: Option<&KnownMachine>) -> Decided {
        let interfaces = self.interfaces.fresh_with(received.interface);
        let local = interfaces.addresses_of(received.interface).iter().map(|own| own.address);
        let selector = received.arrival.selector(packet);
        let (place, own) = {
            let mut table = locked(&self.table);
            table.follow(&self.endpoint.store);
            let own = table.own(&interfaces);
            let place = match selector {
                Some(address) => table.place(packet.chaddr, [address]),
                None => table.place(packet.chaddr, std::iter::once(received.local).chain(local.clone())),
            };
            (place, own)
        };
        let within =
            |address: &Ipv4Addr| place.subnet.as_ref().is_some_and(|subnet| subnet.contains(*address));
        let in_subnet = std::iter::once(received.local).chain(local).find(within);
        let server_id = in_subnet.or(self.endpoint.options.static_ip).unwrap_or(received.local);
        let via = selector.unwrap_or(server_id);
        let mut options = Vec::new();
        place.options.iter().flatten().for_each(|own| own.add_to(&mut options, packet));
        let relay = Some(packet.giaddr).filter(|giaddr| !giaddr.is_unspecified());
        let link = relay.map_or(Link::Interface(received.interface), Link::Relay);
        let boot = self.boot(packet, server_id, known);
        let (now, now_ms) = (self.endpoint.now(), self.now_ms());

        let mut table = locked(&self.table);
        table.book.lapse(now_ms);
        let context = Context {
            subnet: place.subnet.as_deref(),
            reservation: place.reservation.as_deref(),
            options: &options,
            server_id,
            own: &own,
            link,
            is_known: known.is_some(),
            book: &table.book,
            boot: &boot,
        };
        let verdict = decide(&context, packet, &received.arrival, now_ms);
        let written = verdict.lease.as_ref().and_then(|change| {
            let removed = table.book.apply(change, link);
            if !change.must_be_durable() {
                return None;
            }
            let given = verdict.reply.as_ref().map(|reply| texts(&reply.packet.options));
            let facts = Facts {
                server: server_id.to_string(),
                via: via.to_string(),
                machine: known.map(|known| known.uuid.clone()).unwrap_or_default(),
                options: given.unwrap_or_default(),
                provided: texts(&packet.options),
                now,
            };
            Some(self.writer.queue(&mut table, change.put, removed, facts))
        });
        Decided { verdict, written, subnet: place.subnet, interfaces, link }
    }

    /// Chooses what a client boots; nothing for an operating system, which does not ask.
    fn boot(&self, packet: &Packet, server_id: Ipv4Addr, known: Option<&KnownMachine>) -> BootOffer {
        let Some(client) = BootClient::from_request(packet) else { return BootOffer::None };
        let http = self.endpoint.file_url_facing(server_id.into());
        let files = &self.endpoint.files;
        let objects = self.endpoint.snapshot();
        boot_offer(&objects, known, &client, &http, &|name| files.has(name))
    }
}

impl DhcpHandler for Handler {
    async fn handle(&self, packet: Packet, received: Received) -> Option<Answer> {
        let mac = packet.chaddr.to_string();
        let known = self.endpoint.renderer.machine_of(&self.site, &self.endpoint.store, &mac);
        let Decided { verdict, written, .. } = self.settle(&packet, &received, known.as_ref()).await;
        // An answer for which nothing is durable would be a promise that a crash breaks.
        if let Some(written) = written
            && !written.await.unwrap_or(false)
        {
            return None;
        }
        report(&packet, &verdict);
        let recorder = &self.endpoint.recorder;
        if recorder.watches(&packet) {
            recorder.note_dhcp(self.endpoint.now(), &packet, &received, &verdict);
        }
        verdict.reply.as_ref().map(Answer::from)
    }
}

/// Returns options as the API shows them, without what holds the protocol together.
fn texts(options: &Options) -> Vec<DhcpOption> {
    let shown = options.iter().filter(|(code, _)| ![code::MESSAGE_TYPE, code::RELAY_AGENT].contains(code));
    shown.map(|(code, bytes)| DhcpOption { code, value: option_text(code, bytes) }).collect()
}

/// Tells what was decided: one line for each machine that got a file to boot. All the rest is for who looks closer,
/// since strangers can send as much as they like.
fn report(packet: &Packet, verdict: &Verdict) {
    let (mac, reason) = (packet.chaddr, verdict.reason);
    let Some(reply) = &verdict.reply else {
        tracing::debug!(target: "formwork_boot::dhcp", %mac, %reason, "no answer");
        return;
    };
    let answer = reply.packet.message_type().map_or("reply", |kind| kind.name());
    let address = reply.packet.yiaddr;
    let file = String::from_utf8_lossy(reply.packet.options.bytes(code::BOOT_FILE).unwrap_or_default());
    let firmware = BootClient::from_request(packet).map_or("os", |client| firmware_name(&client));
    let boots = !file.is_empty() && (verdict.lease.is_some() || reason == Reason::ProxyAnswered);
    if boots && answer == "ack" {
        tracing::info!(target: "formwork_boot::dhcp", %mac, %address, %file, firmware, %reason, "dhcp {answer}");
    } else {
        tracing::debug!(target: "formwork_boot::dhcp", %mac, %address, %file, firmware, %reason, "dhcp {answer}");
    }
}

fn locked(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV4;

    use formwork_boot::FakeProber;
    use formwork_boot_proto::dhcp::{MessageType, server::Arrival};
    use formwork_model::{Lease, Machine, ObjectsExt};
    use serde_json::json;

    use super::*;
    use crate::testing::{Site, Wishes};

    const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
    const LISTED: &str = "52:54:00:77:00:01";

    /// Runs DISCOVER and REQUEST of a network card, and returns the address that it was given.
    async fn leased(handler: &Handler, mac: &str) -> Ipv4Addr {
        let mut request = Packet::request(mac.parse().unwrap(), 7);
        request.options.set(code::MESSAGE_TYPE, [MessageType::Discover.code()]);
        let given = answered(handler, &request).await;
        request.options.set(code::MESSAGE_TYPE, [MessageType::Request.code()]);
        request.options.set(code::SERVER_ID, SERVER.octets());
        request.options.set(code::REQUESTED_ADDRESS, given.octets());
        assert_eq!(answered(handler, &request).await, given);
        given
    }

    async fn answered(handler: &Handler, request: &Packet) -> Ipv4Addr {
        let peer = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
        let arrival = Arrival { peer, server_port: 67, unicast: false, binl: false };
        let received = Received { arrival, local: SERVER, interface: 0 };
        let answer = handler.handle(request.clone(), received).await.unwrap();
        Packet::parse(&answer.bytes).unwrap().yiaddr
    }

    /// Returns a site with a machine that has one network card, and what answers its DHCP requests.
    async fn site_with(machine: Machine) -> (Site, Handler) {
        let site = Site::new(Wishes::default());
        let machine = Machine {
            uuid: String::from("u-1"),
            name: String::from("m1"),
            hardware_addrs: vec![String::from(LISTED)],
            ..machine
        };
        put(&site, machine).await;
        let members = json!({
            "Name": "lab", "Subnet": "10.77.0.0/24", "Enabled": true, "Strategy": "MAC", "ActiveStart": "10.77.0.100",
            "ActiveEnd": "10.77.0.103", "ActiveLeaseTime": 600, "Pickers": ["hint", "nextFree", "mostExpired"],
        });
        put(&site, serde_json::from_value::<formwork_model::Subnet>(members).unwrap()).await;
        let interfaces = Arc::new(InterfaceTable::read().unwrap());
        let taken = [(Ipv4Addr::new(10, 77, 0, 102), None)];
        let prober = Arc::new(FakeProber::new(taken));
        let handler = Handler::new(Arc::clone(&site.endpoint), interfaces, prober);
        (site, handler)
    }

    async fn put(site: &Site, object: impl formwork_model::Object + 'static) {
        let written = site.endpoint.store.write("user:anna", move |tx| {
            tx.put(Arc::new(object));
            Ok::<(), std::convert::Infallible>(())
        });
        written.await.unwrap();
    }

    fn machine(site: &Site) -> Arc<Machine> {
        site.endpoint.snapshot().get("u-1").unwrap()
    }

    #[tokio::test]
    async fn row_018_address_follows_dhcp_where_the_card_is_listed() {
        let by_hand = Machine { address: String::from("10.77.0.9"), ..Machine::default() };
        let (site, handler) = site_with(by_hand).await;
        let other = leased(&handler, "52:54:00:77:00:02").await;
        assert_eq!(machine(&site).address, "10.77.0.9", "another card was given {other}");
        let own = leased(&handler, LISTED).await;
        assert_ne!(own, other);
        assert_eq!(machine(&site).address, own.to_string());
        let lease = site.endpoint.snapshot().get::<Lease>(&format!("{:08X}", own.to_bits())).unwrap();
        assert_eq!(lease.machine_uuid, "u-1");
        // A card that was taken out of the machine has no say any more.
        let without =
            Machine { hardware_addrs: Vec::new(), address: String::new(), ..machine(&site).as_ref().clone() };
        put(&site, without).await;
        leased(&handler, LISTED).await;
        assert_eq!(machine(&site).address, "");
    }

    #[tokio::test]
    async fn address_in_use_is_benched_and_the_next_one_is_offered() {
        let (site, handler) = site_with(Machine::default()).await;
        let mut given = Vec::new();
        for client in 1..=3 {
            given.push(leased(&handler, &format!("52:54:00:77:01:0{client}")).await.octets()[3]);
        }
        assert_eq!(given, [100, 101, 103]);
        let benched = site.endpoint.snapshot().get::<Lease>("0A4D0066").unwrap();
        assert_eq!((benched.state.as_str(), benched.token.as_str()), ("INVALID", ""));
    }

    #[tokio::test]
    async fn lease_tells_what_the_client_sent_and_what_it_was_given() {
        let (site, handler) = site_with(Machine::default()).await;
        let given = leased(&handler, LISTED).await;
        let lease = site.endpoint.snapshot().get::<Lease>(&format!("{:08X}", given.to_bits())).unwrap();
        let value = |options: &[DhcpOption], code: u8| {
            options.iter().find(|option| option.code == code).map(|option| option.value.clone())
        };
        assert_eq!(value(&lease.provided_options, 54).as_deref(), Some("10.77.0.1"));
        assert_eq!(value(&lease.options, 1).as_deref(), Some("255.255.255.0"));
        assert_eq!((lease.via.as_str(), lease.next_server.as_str()), ("10.77.0.1", "10.77.0.1"));
        assert_eq!((lease.state.as_str(), lease.duration, lease.strategy.as_str()), ("ACK", 600, "MAC"));
    }

    #[tokio::test]
    async fn row_039_locked_machine_still_learns_its_address() {
        let (site, handler) = site_with(Machine { locked: true, ..Machine::default() }).await;
        let given = leased(&handler, LISTED).await;
        let machine = machine(&site);
        assert_eq!((machine.address.as_str(), machine.locked), (given.to_string().as_str(), true));
    }
}
