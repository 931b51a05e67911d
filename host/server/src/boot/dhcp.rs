//! One DHCP request: decide, make the lease durable, answer.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use formwork_boot::{Answer, DhcpHandler, InterfaceTable, Received};
use formwork_boot_proto::{
    boot::{BootClient, BootOffer},
    dhcp::{
        Options, Packet,
        server::{Context, Link, Reason, Verdict, decide},
    },
    dhcp::{code, option_text},
};
use formwork_model::DhcpOption;
use tokio::sync::oneshot;

use super::{
    choose::{boot_offer, firmware_name},
    stored::Facts,
    table::{Place, Table},
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
}

/// What was decided, and when it is durable.
struct Decided {
    verdict: Verdict,
    written: Option<oneshot::Receiver<bool>>,
}

impl Handler {
    /// Reads what is stored. Needs a runtime of tokio, in which leases are written.
    pub(super) fn new(endpoint: Arc<Endpoint>, interfaces: Arc<InterfaceTable>) -> Self {
        let table = Arc::new(Mutex::new(Table::new(&endpoint.store)));
        let writer = Writer::start(endpoint.store.clone(), Arc::clone(&table));
        let site = Arc::clone(&endpoint) as _;
        Self { endpoint, site, interfaces, table, writer }
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
        let now = self.endpoint.now();
        let now_ms = u64::try_from(now.millis()).unwrap_or(0);

        let mut table = locked(&self.table);
        table.book.lapse(now_ms);
        let Place { subnet, reservation, .. } = &place;
        let context = Context {
            subnet: subnet.as_deref(),
            reservation: reservation.as_deref(),
            options: &options,
            server_id,
            own: &own,
            link,
            is_known: known.is_some(),
            book: &table.book,
            boot: &boot,
        };
        let verdict = decide(&context, packet, &received.arrival, now_ms);
        let Some(change) = &verdict.lease else { return Decided { verdict, written: None } };
        table.book.apply(change, link);
        let written = change.must_be_durable().then(|| {
            let given = verdict.reply.as_ref().map(|reply| texts(&reply.packet.options));
            let facts = Facts {
                server: server_id.to_string(),
                via: via.to_string(),
                machine: known.map(|known| known.uuid.clone()).unwrap_or_default(),
                options: given.unwrap_or_default(),
                provided: texts(&packet.options),
                now,
            };
            self.writer.queue(change, facts)
        });
        Decided { verdict, written }
    }

    /// Chooses what a client boots; nothing for an operating system, which does not ask.
    fn boot(&self, packet: &Packet, server_id: Ipv4Addr, known: Option<&KnownMachine>) -> BootOffer {
        let Some(client) = BootClient::from_request(packet) else { return BootOffer::None };
        let address = self.endpoint.options.static_ip.unwrap_or(server_id);
        let http = format!("http://{address}:{}", self.endpoint.options.static_port);
        let files = &self.endpoint.files;
        let objects = self.endpoint.snapshot();
        boot_offer(&objects, known, &client, &http, &|name| files.find(name).is_some())
    }
}

impl DhcpHandler for Handler {
    async fn handle(&self, packet: Packet, received: Received) -> Option<Answer> {
        let mac = packet.chaddr.to_string();
        let known = self.endpoint.renderer.machine_of(&self.site, &self.endpoint.store, &mac);
        let Decided { verdict, written } = self.decide(&packet, &received, known.as_ref());
        // An answer for which nothing is durable would be a promise that a crash breaks.
        if let Some(written) = written
            && !written.await.unwrap_or(false)
        {
            return None;
        }
        report(&packet, &verdict);
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
        let handler = Handler::new(Arc::clone(&site.endpoint), interfaces);
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
    async fn row_039_locked_machine_still_learns_its_address() {
        let (site, handler) = site_with(Machine { locked: true, ..Machine::default() }).await;
        let given = leased(&handler, LISTED).await;
        let machine = machine(&site);
        assert_eq!((machine.address.as_str(), machine.locked), (given.to_string().as_str(), true));
    }
}
