//! DHCPv6 and Router Advertisements.
//!
//! Nothing is stored: an address is computed of the network card that asks, so there is no lease that could be lost. Declined
//! addresses are in memory for ten minutes. A machine's `Address` stays the one of IPv4.

mod networks;

use std::{
    net::Ipv6Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use formwork_boot::{
    BindError, Dhcp6Answer, Dhcp6Config, Dhcp6Handler, Dhcp6Received, Dhcp6Service, Interface,
    InterfaceTable, RaResponder, ServedLinks,
};
use formwork_boot_proto::{
    boot::BootClient,
    dhcp6::{
        Duid, Packet, code,
        server::{BootUrl, Context, Declined, Reservations, Verdict, decide},
    },
    ra::Advertisement,
};
use tokio::{sync::watch, task::JoinHandle};

pub(super) use self::networks::is_of_card;
use self::networks::{Networks, Served};
use super::{
    choose::{boot_offer, firmware_name},
    ended,
};
use crate::{endpoint::Endpoint, render::Site};

const LOG: &str = "formwork_boot::dhcp6";

/// Starts both on the interfaces of DHCP. Booting over IPv4 does not depend on them: what cannot begin is told in the log.
///
/// # Errors
///
/// The operator named the port, and it cannot be had.
pub(super) fn start(
    endpoint: &Arc<Endpoint>,
    interfaces: &Arc<InterfaceTable>,
    shutdown: &watch::Receiver<bool>,
) -> Result<Vec<JoinHandle<()>>, BindError> {
    let (port, names) = (endpoint.options.dhcp6_port, &endpoint.options.dhcp_interfaces);
    if port.number == 0 {
        return Ok(Vec::new());
    }
    let served = if names.is_empty() { ServedLinks::All } else { ServedLinks::Named(names.clone()) };
    let mut running = Vec::new();
    let networks = Arc::new(Mutex::new(Networks::new(&endpoint.store)));
    let config = Dhcp6Config { interfaces: served.clone(), port: port.number, ..Dhcp6Config::default() };
    match Dhcp6Service::bind(config, Arc::clone(interfaces)) {
        Ok(service) => {
            tracing::info!(port = service.port(), "dhcpv6 is served");
            let counters = endpoint.boot_counts.of_dhcp6(service.counters());
            let handler = Arc::new(Handler::new(endpoint, Arc::clone(&networks)));
            let served = service.run(handler, ended(shutdown.clone()));
            running.push(tokio::spawn(async move {
                served.await;
                tracing::info!(counts = ?counters.snapshot(), "dhcpv6 was served");
            }));
        }
        Err(error) if port.is_asked_for => return Err(error),
        Err(error) => tracing::warn!(%error, "dhcpv6 is left out"),
    }
    // Hosts are sent to DHCPv6 only where it is.
    let networks = (!running.is_empty()).then_some(networks);
    match RaResponder::bind(served, Arc::clone(interfaces)) {
        Ok(responder) => {
            let store = endpoint.store.clone();
            let responder = responder.advertising(move |interface| {
                let served = networks.as_ref().and_then(|networks| {
                    let mut networks = locked(networks);
                    networks.follow(&store);
                    of_interface(&networks, None, interface)
                });
                advertisement(served.as_deref(), interface)
            });
            running.push(tokio::spawn(responder.run(ended(shutdown.clone()))));
        }
        Err(error) => {
            tracing::info!(%error, "no router advertisements: iPXE boots slower, and none boots over ipv6")
        }
    }
    Ok(running)
}

fn of_interface(networks: &Networks, relay: Option<Ipv6Addr>, interface: &Interface) -> Option<Arc<Served>> {
    let ipv4 = interface.addresses.iter().map(|own| own.address);
    networks.of(relay, &interface.ipv6_addresses, ipv4)
}

fn advertisement(served: Option<&Served>, interface: &Interface) -> Advertisement {
    let plain = Advertisement { source: interface.mac, ..Advertisement::default() };
    let Some(served) = served else { return plain };
    Advertisement {
        managed: true,
        other: true,
        router_secs: served.router_secs,
        prefix: Some(served.prefix),
        dns: served.network.dns.clone(),
        domains: served.network.domains.clone(),
        ..plain
    }
}

/// Answers the requests of all networks.
struct Handler {
    endpoint: Arc<Endpoint>,
    site: Arc<dyn Site>,
    networks: Arc<Mutex<Networks>>,
    declined: Mutex<Declined>,
    server_id: Duid,
}

impl Handler {
    fn new(endpoint: &Arc<Endpoint>, networks: Arc<Mutex<Networks>>) -> Self {
        Self {
            endpoint: Arc::clone(endpoint),
            site: Arc::clone(endpoint) as _,
            networks,
            declined: Mutex::default(),
            server_id: server_id(&endpoint.id),
        }
    }

    /// Chooses what a client boots, as over IPv4, at an address of its link.
    fn boot_url(&self, client: &BootClient, own: Option<Ipv6Addr>) -> Option<BootUrl> {
        let Some(own) = own else {
            tracing::debug!(target: LOG, mac = %client.mac, "no boot: the interface has no ipv6 address beside fe80::");
            return None;
        };
        let mac = client.mac.to_string();
        let known = self.endpoint.renderer.machine_of(&self.site, &self.endpoint.store, &mac);
        let files = &self.endpoint.files;
        let http = self.endpoint.file_url_facing(own.into());
        let exists = |name: &str| files.find(name).is_some();
        let offer = boot_offer(&self.endpoint.snapshot(), known.as_ref(), client, &http, &exists);
        BootUrl::from_offer(offer, own)
    }
}

impl Dhcp6Handler for Handler {
    async fn handle(&self, packet: Packet, received: Dhcp6Received) -> Option<Dhcp6Answer> {
        let interface = received.interface.as_ref();
        let served = {
            let mut networks = locked(&self.networks);
            networks.follow(&self.endpoint.store);
            of_interface(&networks, packet.link(), interface)
        }?;
        let own = served.own_address(&interface.ipv6_addresses);
        let boot = |client: &BootClient| self.boot_url(client, own);
        let now_ms = u64::try_from(self.endpoint.now().millis()).unwrap_or(0);
        let declined = locked(&self.declined).clone();
        let context = Context {
            network: Some(&served.network),
            server_id: &self.server_id,
            reservations: served.as_ref() as &dyn Reservations,
            declined: &declined,
            boot: &boot,
        };
        let verdict = decide(&context, &packet, &received.arrival, now_ms);
        if !verdict.declined.is_empty() {
            let mut declined = locked(&self.declined);
            verdict.declined.iter().for_each(|address| declined.insert(*address, now_ms));
        }
        report(&packet, &verdict);
        verdict.reply.as_ref().map(Dhcp6Answer::from)
    }
}

/// Returns the identifier of the server, the same after every start: it is made of the name of the endpoint.
fn server_id(endpoint: &str) -> Duid {
    let name = format!("formwork dhcp6 {endpoint}");
    Duid::uuid(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).into_bytes())
}

/// Tells what was decided: one line for each machine that got something to boot, the rest for who looks closer.
fn report(packet: &Packet, verdict: &Verdict) {
    let mac = verdict.client.as_ref().and_then(|client| client.macs().next()).unwrap_or_default();
    let (reason, address) = (verdict.reason, verdict.given.first());
    let Some(reply) = &verdict.reply else {
        tracing::debug!(target: LOG, %mac, %reason, "no answer");
        return;
    };
    let url = reply.packet.message.options.bytes(code::BOOT_URL).unwrap_or_default();
    let (url, address) = (String::from_utf8_lossy(url), address.map(Ipv6Addr::to_string).unwrap_or_default());
    let firmware = packet.message.boot_client(None).map_or("os", |client| firmware_name(&client));
    if !url.is_empty() && !address.is_empty() {
        tracing::info!(target: LOG, %mac, address, %url, firmware, %reason, "dhcpv6 reply");
    } else {
        tracing::debug!(target: LOG, %mac, address, %url, firmware, %reason, "dhcpv6 answer");
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
