//! Boots machines of one link over IPv6: Router Advertisements, DHCPv6 and TFTP, and a line for each packet.
//!
//!     dhcp6_serve INTERFACE PREFIX FOLDER HTTP-URL PREFERENCE [NAME-SERVER...]
//!
//! With `ROUTER_SECS` in the environment it says that it is a router. For the laboratory, and to show how the services fit together. The interface must have an address of the prefix,
//! which is where clients fetch loaders by TFTP; firmware that loads by HTTP and iPXE get URLs below HTTP-URL. Loaders
//! are `snponly.efi` and the script of iPXE is `boot.ipxe`.

use std::error::Error;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use formwork_boot::{
    Dhcp6Answer, Dhcp6Config, Dhcp6Handler, Dhcp6Received, Dhcp6Service, FileSource, InterfaceTable,
    OpenError, OpenFuture, RaResponder, Served, TftpConfig, TftpService,
};
use formwork_boot_proto::boot::{BootClient, Loaders, choose};
use formwork_boot_proto::dhcp::HardwareAddress;
use formwork_boot_proto::dhcp6::server::{BootUrl, Context, Declined, Network, Prefix, Reservations, decide};
use formwork_boot_proto::dhcp6::{Duid, Packet};
use formwork_boot_proto::ra::Advertisement;
use formwork_boot_proto::tftp::{Content, ContentError};
use tokio::time::Instant;

struct Server {
    network: Network,
    http: String,
    server_id: Duid,
    declined: Mutex<Declined>,
    start: Instant,
}

impl Server {
    /// The network of the link, or 64 bits around what a relay agent names.
    fn network_of(&self, packet: &Packet) -> Option<Network> {
        let Some(link) = packet.link() else {
            return Some(self.network.clone());
        };
        let prefix = Prefix::new(link, 64).ok()?;
        Some(Network { prefix: Some(prefix), ..self.network.clone() })
    }
}

struct NoReservations;

impl Reservations for NoReservations {
    fn address_of(&self, _: HardwareAddress, _: Prefix) -> Option<Ipv6Addr> {
        None
    }

    fn owner_of(&self, _: Ipv6Addr) -> Option<HardwareAddress> {
        None
    }
}

impl Dhcp6Handler for Server {
    async fn handle(&self, packet: Packet, received: Dhcp6Received) -> Option<Dhcp6Answer> {
        let server = received.interface.routable_ipv6()?;
        let network = self.network_of(&packet);
        let loader = "snponly.efi".to_owned();
        let loaders = Loaders { uefi_amd64: loader, ..Loaders::default() };
        let boot = |client: &BootClient| {
            BootUrl::from_offer(choose(client, &loaders, &self.http, "boot.ipxe"), server)
        };
        let now_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut declined = self.declined.lock().unwrap_or_else(PoisonError::into_inner);
        let context = Context {
            network: network.as_ref(),
            server_id: &self.server_id,
            reservations: &NoReservations,
            declined: &declined,
            boot: &boot,
        };
        let verdict = decide(&context, &packet, &received.arrival, now_ms);
        for address in &verdict.declined {
            declined.insert(*address, now_ms);
        }
        let client = verdict.client.as_ref();
        eprintln!(
            "{:7.3} {:?} from {} mac {:?} given {:?}: {}",
            self.start.elapsed().as_secs_f32(),
            packet.message.kind,
            received.arrival.peer,
            client.and_then(|client| client.hardware),
            verdict.given,
            verdict.reason,
        );
        verdict.reply.as_ref().map(Dhcp6Answer::from)
    }
}

struct Folder(PathBuf);

struct Bytes(Vec<u8>);

impl Content for Bytes {
    fn len(&self) -> u64 {
        Content::len(self.0.as_slice())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ContentError> {
        self.0.as_slice().read_at(offset, buffer)
    }
}

impl FileSource for Folder {
    fn open<'a>(&'a self, path: &'a str, peer: SocketAddr, _: IpAddr) -> OpenFuture<'a> {
        Box::pin(async move {
            eprintln!("tftp {path} for {peer}");
            let bytes = std::fs::read(self.0.join(path)).map_err(|_| OpenError::NotFound)?;
            Ok(Arc::new(Bytes(bytes)) as Arc<dyn Content>)
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "dhcp6_serve INTERFACE PREFIX FOLDER HTTP-URL PREFERENCE [NAME-SERVER...]";
    let mut next = || arguments.next().ok_or(usage);
    let (interface, prefix) = (next()?, next()?.parse::<Prefix>()?);
    let (folder, http) = (PathBuf::from(next()?), next()?);
    let preference = next()?.parse()?;
    let dns = arguments.map(|server| server.parse()).collect::<Result<Vec<Ipv6Addr>, _>>()?;
    let network = Network {
        prefix: Some(prefix),
        dns,
        domains: vec!["boot.example".parse()?],
        preference,
        ..Network::default()
    };
    let advertisement = Advertisement {
        managed: true,
        other: true,
        router_secs: std::env::var("ROUTER_SECS").map_or(Ok(0), |secs| secs.parse())?,
        prefix: Some(prefix),
        dns: network.dns.clone(),
        ..Advertisement::default()
    };
    let interfaces = Arc::new(InterfaceTable::read()?);
    let served = Served::from(interface.as_str());
    let config = Dhcp6Config { interfaces: served.clone(), ..Dhcp6Config::default() };
    let dhcp = Dhcp6Service::bind(config, Arc::clone(&interfaces))?;
    let advertiser = RaResponder::bind(served, interfaces)?.advertising(move |_| advertisement.clone());
    let tftp = TftpService::bind(TftpConfig::new("[::]:69".parse()?))?;
    let server_id = Duid::uuid(*b"dhcp6_serve  lab");
    let start = Instant::now();
    let server = Server { network, http, server_id, declined: Mutex::default(), start };
    let counters = dhcp.counters();
    let forever = std::future::pending;
    tokio::spawn(advertiser.run(forever()));
    tokio::spawn(tftp.run(Arc::new(Folder(folder)), forever()));
    tokio::spawn(dhcp.run(Arc::new(server), forever()));
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        eprintln!("{:?}", counters.snapshot());
    }
}
