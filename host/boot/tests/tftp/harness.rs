//! A service with files in memory, and a client.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use formwork_boot::{FileSource, OpenError, OpenFuture, TftpConfig, TftpCounters, TftpService};
use formwork_boot_proto::tftp::Content;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

use super::super::soon;

/// Files in memory; `slow` is opened only after `release`, and what `faulty` holds panics.
#[derive(Default)]
pub(crate) struct Files {
    files: BTreeMap<&'static str, Arc<[u8]>>,
    pub(crate) asked: Mutex<Vec<(String, SocketAddr, IpAddr)>>,
    pub(crate) release: Notify,
}

/// A shared slice as content.
struct Slice(Arc<[u8]>);

impl Content for Slice {
    fn len(&self) -> u64 {
        Content::len(&*self.0)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), formwork_boot_proto::tftp::ContentError> {
        self.0.read_at(offset, buffer)
    }
}

/// Breaks at its second read.
struct Faulty;

impl Content for Faulty {
    fn len(&self) -> u64 {
        1 << 20
    }

    fn read_at(&self, offset: u64, _: &mut [u8]) -> Result<(), formwork_boot_proto::tftp::ContentError> {
        assert_eq!(offset, 0, "a fault that a test wants");
        Ok(())
    }
}

impl FileSource for Files {
    fn open<'a>(&'a self, path: &'a str, peer: SocketAddr, local: IpAddr) -> OpenFuture<'a> {
        Box::pin(async move {
            self.asked.lock().unwrap().push((path.to_owned(), peer, local));
            match path {
                "faulty" => return Ok(Arc::new(Faulty) as Arc<dyn Content>),
                "slow" => self.release.notified().await,
                "secret" => return Err(OpenError::Denied),
                "broken" => return Err(OpenError::Failed("disk on fire".to_owned())),
                _ => {}
            }
            let file = self.files.get(path).ok_or(OpenError::NotFound)?;
            Ok(Arc::new(Slice(Arc::clone(file))) as Arc<dyn Content>)
        })
    }
}

pub(crate) fn bytes(len: usize) -> Arc<[u8]> {
    (0..len).map(|index| (index % 253) as u8).collect()
}

pub(crate) struct Running {
    pub(crate) port: u16,
    pub(crate) counters: Arc<TftpCounters>,
    pub(crate) files: Arc<Files>,
}

pub(crate) fn start_on(address: &str, transfers_max: usize) -> Running {
    let files = Arc::new(Files {
        files: BTreeMap::from([
            ("ipxe.efi", bytes(300_000)),
            ("dir/small", bytes(10)),
            ("slow", bytes(5)),
            ("lpxelinux.0", bytes(1024)),
        ]),
        ..Files::default()
    });
    let config = TftpConfig { transfers_max, ..TftpConfig::new(address.parse().unwrap()) };
    let service = TftpService::bind(config).unwrap();
    let (port, counters) = (service.address().port(), service.counters());
    tokio::spawn(service.run(Arc::clone(&files) as Arc<dyn FileSource>, std::future::pending()));
    Running { port, counters, files }
}

pub(crate) fn start() -> Running {
    start_on("0.0.0.0:0", 64)
}

pub(crate) fn request(operation: u8, name: &str, mode: &str, options: &[(&str, &str)]) -> Vec<u8> {
    let mut packet = vec![0, operation];
    let texts = [name, mode].into_iter().chain(options.iter().flat_map(|(name, value)| [*name, *value]));
    for text in texts {
        packet.extend_from_slice(text.as_bytes());
        packet.push(0);
    }
    packet
}

pub(crate) fn ack(block: u16) -> Vec<u8> {
    [4_u16.to_be_bytes(), block.to_be_bytes()].concat()
}

pub(crate) struct Client {
    pub(crate) socket: UdpSocket,
    pub(crate) server: SocketAddr,
}

impl Client {
    pub(crate) async fn new(server: (&str, u16)) -> Self {
        let server = SocketAddr::new(server.0.parse().unwrap(), server.1);
        let own = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        Self::bound(own, server).await
    }

    pub(crate) async fn bound(own: &str, server: SocketAddr) -> Self {
        Self { socket: UdpSocket::bind(own).await.unwrap(), server }
    }

    pub(crate) async fn send(&self, packet: &[u8], to: SocketAddr) {
        self.socket.send_to(packet, to).await.unwrap();
    }

    pub(crate) async fn receive(&self) -> (Vec<u8>, SocketAddr) {
        let mut buffer = vec![0; 2000];
        let (len, from) = soon(self.socket.recv_from(&mut buffer)).await.unwrap();
        buffer.truncate(len);
        (buffer, from)
    }

    /// Sends a request and returns the first answer.
    pub(crate) async fn ask(&self, packet: &[u8]) -> (Vec<u8>, SocketAddr) {
        self.send(packet, self.server).await;
        self.receive().await
    }

    /// Reads the rest of a file whose first DATA or OACK is `first`. Acknowledges each window once, and leaves out
    /// the acknowledgement where `lose` says so.
    pub(crate) async fn read(
        &self,
        first: (Vec<u8>, SocketAddr),
        block_size: usize,
        window: u16,
        mut lose: impl FnMut(u16) -> bool,
    ) -> Vec<u8> {
        let (mut packet, server) = first;
        let (mut content, mut block) = (Vec::new(), 0_u16);
        loop {
            match packet[1] {
                6 => self.send(&ack(0), server).await,
                3 if packet[2..4] == block.wrapping_add(1).to_be_bytes() => {
                    block = block.wrapping_add(1);
                    content.extend_from_slice(&packet[4..]);
                    let last = packet.len() < block_size + 4;
                    if (last || block % window == 0) && !lose(block) {
                        self.send(&ack(block), server).await;
                    }
                    if last {
                        return content;
                    }
                }
                // A block that is here already: the server did not get our acknowledgement.
                3 if packet[2..4] == block.to_be_bytes() => self.send(&ack(block), server).await,
                3 => {}
                _ => panic!("{:?}", String::from_utf8_lossy(&packet)),
            }
            let (next, from) = self.receive().await;
            assert_eq!(from, server, "one transfer has one port");
            packet = next;
        }
    }
}
