//! One DHCP request: decide, make the lease durable, answer.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use formwork_boot::{Answer, DhcpHandler, Received};
use formwork_boot_proto::{
    boot::{BootClient, BootOffer},
    dhcp::{
        HardwareAddress, Packet,
        server::{Context, LeaseChange, LeaseState, Subnet, Verdict, decide},
    },
};
use formwork_model::{Lease, Machine, ObjectsExt, Timestamp};
use formwork_store::Transaction;

use super::{
    choose::{boot_offer, firmware_name},
    leases::{Leases, PRINCIPAL, to_stored},
};
use crate::{
    DhcpSubnet,
    endpoint::Endpoint,
    render::{KnownMachine, Site},
};

/// Answers requests of one subnet.
pub(super) struct Handler {
    endpoint: Arc<Endpoint>,
    site: Arc<dyn Site>,
    subnet: Subnet,
    leases: Arc<Mutex<Leases>>,
}

/// Makes the subnet of the flags.
pub(super) fn subnet(options: &DhcpSubnet) -> Subnet {
    let name = format!("{}-{}", options.first, options.last);
    let mut subnet = Subnet::new(&name, options.address, options.prefix, (options.first, options.last));
    subnet.active_lease_secs = options.lease_seconds;
    subnet.routers = options.router.into_iter().collect();
    subnet
}

impl Handler {
    pub(super) fn new(endpoint: Arc<Endpoint>, subnet: Subnet) -> Self {
        let leases = Arc::new(Mutex::new(Leases::new(&endpoint.store)));
        let site = Arc::clone(&endpoint) as _;
        Self { endpoint, site, subnet, leases }
    }

    fn decide(&self, packet: &Packet, received: &Received, known: Option<&KnownMachine>) -> Verdict {
        let objects = self.endpoint.snapshot();
        let selector = received.arrival.selector(packet, received.local);
        let files = &self.endpoint.files;
        let http = self.endpoint.file_url();
        let boot = |client: &BootClient| -> BootOffer {
            boot_offer(&objects, known, client, &http, &|name| files.has(name))
        };
        let mut leases = locked(&self.leases);
        leases.follow(&self.endpoint.store);
        let context = Context {
            subnet: self.subnet.contains(selector).then_some(&self.subnet),
            server_id: received.server_id,
            leases: &*leases,
            boot: &boot,
        };
        let now_ms = u64::try_from(self.endpoint.now().millis()).unwrap_or(0);
        let verdict = decide(&context, packet, &received.arrival, now_ms);
        if let Some(change) = &verdict.lease {
            leases.apply(change);
        }
        verdict
    }

    /// Commits the leases that a decision touched. What the table says at the moment of the commit is written.
    async fn save(&self, change: &LeaseChange, facts: Facts) -> bool {
        let addresses: Vec<Ipv4Addr> =
            change.put.iter().map(|lease| lease.address).chain(change.remove.iter().copied()).collect();
        let table = Arc::clone(&self.leases);
        let written = self.endpoint.store.write(PRINCIPAL, move |tx| {
            let leases = locked(&table);
            for address in addresses {
                write_lease(tx, &leases, address, &facts);
            }
            Ok::<(), std::convert::Infallible>(())
        });
        written.await.inspect_err(|error| tracing::error!(%error, "failed to save a lease")).is_ok()
    }
}

/// What is stored with a lease besides the lease itself.
struct Facts {
    server: String,
    via: String,
    machine: String,
    now: Timestamp,
}

fn write_lease(tx: &mut Transaction, leases: &Leases, address: Ipv4Addr, facts: &Facts) {
    let key = format!("{:08X}", address.to_bits());
    let before = tx.get::<Lease>(&key);
    // An offer is kept in memory only; the record of the client before it, if any, is over.
    let Some(lease) = leases.get(address).filter(|lease| lease.state != LeaseState::Offered) else {
        if leases.get(address).is_none() {
            tx.delete("leases", &key);
        }
        return;
    };
    let mut stored = to_stored(lease, before.as_deref());
    stored.next_server.clone_from(&facts.server);
    stored.via.clone_from(&facts.via);
    stored.machine_uuid.clone_from(&facts.machine);
    stored.header.set_errors(Vec::new());
    if stored.header.created_at.is_unset() {
        stored.header.created_at = facts.now;
    }
    stored.header.last_modified_at = facts.now;
    if lease.state == LeaseState::Bound {
        learn_address(tx, &facts.machine, lease.token, address, facts.now);
    }
    tx.put(Arc::new(stored));
}

/// Writes a machine's new address (drp-behaviour.md 4.1).
fn learn_address(
    tx: &mut Transaction,
    uuid: &str,
    client: Option<HardwareAddress>,
    address: Ipv4Addr,
    now: Timestamp,
) {
    let (Some(machine), Some(client)) = (tx.get::<Machine>(uuid), client) else { return };
    let (address, client) = (address.to_string(), client.to_string());
    if machine.address == address || !machine.hardware_addrs.contains(&client) {
        return;
    }
    let mut machine = machine.as_ref().clone();
    machine.address = address;
    machine.header.last_modified_at = now;
    tx.put(Arc::new(machine));
}

impl DhcpHandler for Handler {
    async fn handle(&self, packet: Packet, received: Received) -> Option<Answer> {
        let mac = packet.chaddr.to_string();
        let known = self.endpoint.renderer.machine_of(&self.site, &self.endpoint.store, &mac);
        let verdict = self.decide(&packet, &received, known.as_ref());
        if let Some(change) = verdict.lease.as_ref().filter(|change| change.must_be_durable()) {
            let facts = Facts {
                server: received.server_id.to_string(),
                via: received.arrival.selector(&packet, received.local).to_string(),
                machine: known.map(|known| known.uuid).unwrap_or_default(),
                now: self.endpoint.now(),
            };
            if !self.save(change, facts).await {
                return None;
            }
        }
        report(&packet, &verdict);
        verdict.reply.as_ref().map(Answer::from)
    }
}

/// Tells what was decided: one line a step of a boot.
fn report(packet: &Packet, verdict: &Verdict) {
    let (mac, reason) = (packet.chaddr, verdict.reason);
    let firmware = BootClient::from_request(packet).map_or("os", |client| firmware_name(&client));
    let Some(reply) = &verdict.reply else {
        tracing::info!(target: "formwork_boot::dhcp", %mac, firmware, %reason, "no answer");
        return;
    };
    let kind = match reply.packet.message_type() {
        Some(kind) => format!("{kind:?}").to_lowercase(),
        None => String::from("reply"),
    };
    let address = reply.packet.yiaddr;
    let file = String::from_utf8_lossy(&reply.packet.file);
    let file = if file.is_empty() { "-" } else { &*file };
    tracing::info!(target: "formwork_boot::dhcp", %mac, %address, file, firmware, %reason, "dhcp {kind}");
}

fn locked(leases: &Mutex<Leases>) -> MutexGuard<'_, Leases> {
    leases.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV4;

    use formwork_boot_proto::dhcp::{MessageType, code, server::Arrival};

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
        let received = Received { arrival, server_id: SERVER, local: SERVER, interface: 0 };
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
        let range = (Ipv4Addr::new(10, 77, 0, 100), Ipv4Addr::new(10, 77, 0, 103));
        let subnet = Subnet::new("lab", Ipv4Addr::new(10, 77, 0, 0), 24, range);
        let handler = Handler::new(Arc::clone(&site.endpoint), subnet);
        (site, handler)
    }

    async fn put(site: &Site, machine: Machine) {
        let written = site.endpoint.store.write("user:anna", move |tx| {
            tx.put(Arc::new(machine));
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
