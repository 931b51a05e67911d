//! TFTP against a small client of its own: options, OVMF's habits, loss, limits.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use formwork_boot::{FileSource, OpenError, OpenFuture, TftpConfig, TftpCounters, TftpService};
use formwork_boot_proto::tftp::Content;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

use super::{soon, until};

/// Files in memory; `slow` is opened only after `release`.
#[derive(Default)]
struct Files {
    files: BTreeMap<&'static str, Arc<[u8]>>,
    asked: Mutex<Vec<(String, SocketAddr, IpAddr)>>,
    release: Notify,
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

impl FileSource for Files {
    fn open<'a>(&'a self, path: &'a str, peer: SocketAddr, local: IpAddr) -> OpenFuture<'a> {
        Box::pin(async move {
            self.asked.lock().unwrap().push((path.to_owned(), peer, local));
            match path {
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

fn bytes(len: usize) -> Arc<[u8]> {
    (0..len).map(|index| (index % 253) as u8).collect()
}

struct Running {
    port: u16,
    counters: Arc<TftpCounters>,
    files: Arc<Files>,
}

fn start_on(address: &str, transfers_max: usize) -> Running {
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

fn start() -> Running {
    start_on("0.0.0.0:0", 64)
}

fn request(operation: u8, name: &str, mode: &str, options: &[(&str, &str)]) -> Vec<u8> {
    let mut packet = vec![0, operation];
    let texts = [name, mode].into_iter().chain(options.iter().flat_map(|(name, value)| [*name, *value]));
    for text in texts {
        packet.extend_from_slice(text.as_bytes());
        packet.push(0);
    }
    packet
}

fn ack(block: u16) -> Vec<u8> {
    [4_u16.to_be_bytes(), block.to_be_bytes()].concat()
}

struct Client {
    socket: UdpSocket,
    server: SocketAddr,
}

impl Client {
    async fn new(server: (&str, u16)) -> Self {
        let server = SocketAddr::new(server.0.parse().unwrap(), server.1);
        let any = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        Self { socket: UdpSocket::bind(any).await.unwrap(), server }
    }

    async fn send(&self, packet: &[u8], to: SocketAddr) {
        self.socket.send_to(packet, to).await.unwrap();
    }

    async fn receive(&self) -> (Vec<u8>, SocketAddr) {
        let mut buffer = vec![0; 2000];
        let (len, from) = soon(self.socket.recv_from(&mut buffer)).await.unwrap();
        buffer.truncate(len);
        (buffer, from)
    }

    /// Sends a request and returns the first answer.
    async fn ask(&self, packet: &[u8]) -> (Vec<u8>, SocketAddr) {
        self.send(packet, self.server).await;
        self.receive().await
    }

    /// Reads the rest of a file whose first DATA or OACK is `first`. Acknowledges each window once, and leaves out
    /// the acknowledgement where `lose` says so.
    async fn read(
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

#[tokio::test]
async fn request_right_after_an_error_is_answered_too() {
    let server = start();
    let client = Client::new(("127.0.0.1", server.port)).await;
    for _ in 0..50 {
        assert_eq!(client.ask(&request(1, "missing", "octet", &[])).await.0[..4], [0, 5, 0, 1]);
    }
}

#[tokio::test]
async fn file_is_read_with_options_and_a_window() {
    let service = start();
    let client = Client::new(("127.0.0.1", service.port)).await;
    let options = [("tsize", "0"), ("blksize", "1468"), ("windowsize", "8")];
    let first = client.ask(&request(1, "/ipxe.efi", "octet", &options)).await;
    assert_eq!(first.0, b"\0\x06blksize\x001468\0tsize\x00300000\0windowsize\x008\0");
    assert_ne!(first.1.port(), service.port);
    assert!(client.read(first, 1468, 8, |_| false).await[..] == bytes(300_000)[..]);
    until(|| service.counters.snapshot().completed == 1).await;
    let (path, peer, local) = service.files.asked.lock().unwrap()[0].clone();
    assert_eq!((path.as_str(), local), ("ipxe.efi", IpAddr::V4(Ipv4Addr::LOCALHOST)));
    assert_eq!(peer, client.socket.local_addr().unwrap());
}

#[tokio::test]
async fn health_test_of_the_cli_reads_with_an_empty_mode() {
    let service = start();
    let client = Client::new(("127.0.0.1", service.port)).await;
    let first = client.ask(&request(1, "lpxelinux.0", "", &[])).await;
    assert!(client.read(first, 512, 1, |_| false).await[..] == bytes(1024)[..]);
}

#[tokio::test]
async fn aborted_first_request_is_forgotten_and_the_second_is_served_from_the_same_port() {
    let service = start();
    let client = Client::new(("127.0.0.1", service.port)).await;
    let (_, transfer) = client.ask(&request(1, "ipxe.efi", "octet", &[("tsize", "0")])).await;
    client.send(b"\0\x05\0\x08User aborted the transfer\0", transfer).await;
    until(|| service.counters.snapshot().aborted == 1).await;
    let options = [("blksize", "1468"), ("windowsize", "4")];
    let first = client.ask(&request(1, "ipxe.efi", "octet", &options)).await;
    assert!(client.read(first, 1468, 4, |_| false).await[..] == bytes(300_000)[..]);
    assert_eq!(service.counters.snapshot().failed, 0);
}

#[tokio::test]
async fn lost_acknowledgements_are_repaired() {
    let service = start();
    let client = Client::new(("127.0.0.1", service.port)).await;
    let first = client.ask(&request(1, "ipxe.efi", "octet", &[("blksize", "1468")])).await;
    let mut losses = 0;
    let content = client.read(first, 1468, 1, |block| {
        let lose = block % 50 == 0;
        losses += u32::from(lose);
        lose
    });
    assert!(content.await[..] == bytes(300_000)[..]);
    assert_eq!(losses, 4);
    until(|| service.counters.snapshot().completed == 1).await;
}

#[tokio::test]
async fn lost_first_acknowledgement_brings_the_option_packet_again() {
    let service = start();
    let client = Client::new(("127.0.0.1", service.port)).await;
    let (oack, from) = client.ask(&request(1, "dir/small", "octet", &[("tsize", "0")])).await;
    let (again, same) = client.receive().await;
    assert_eq!((&again, same), (&oack, from));
    assert_eq!(client.read((again, same), 512, 1, |_| false).await[..], bytes(10)[..]);
}

#[tokio::test]
async fn repeated_request_does_not_begin_a_second_transfer() {
    let service = start();
    let client = Client::new(("127.0.0.1", service.port)).await;
    let packet = request(1, "slow", "octet", &[]);
    client.send(&packet, client.server).await;
    client.send(&packet, client.server).await;
    until(|| service.counters.snapshot().dropped == 1).await;
    service.files.release.notify_one();
    let first = client.receive().await;
    assert_eq!(client.read(first, 512, 1, |_| false).await[..], bytes(5)[..]);
    until(|| service.counters.snapshot().completed == 1).await;
    assert_eq!(service.files.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn new_request_of_the_same_port_ends_the_former_transfer() {
    let service = start();
    let client = Client::new(("127.0.0.1", service.port)).await;
    client.send(&request(1, "slow", "octet", &[]), client.server).await;
    until(|| service.files.asked.lock().unwrap().len() == 1).await;
    let first = client.ask(&request(1, "dir/small", "octet", &[])).await;
    assert_eq!(client.read(first, 512, 1, |_| false).await[..], bytes(10)[..]);
    assert_eq!(service.counters.snapshot().aborted, 1);
}

#[tokio::test]
async fn refusals_say_why() {
    let service = start();
    for (packet, expected) in [
        (request(1, "pxelinux.cfg/default", "octet", &[]), &b"\0\x05\0\x01no such file\0"[..]),
        (request(1, "secret", "octet", &[]), b"\0\x05\0\x02access denied\0"),
        (request(1, "../../etc/passwd", "octet", &[]), b"\0\x05\0\x02access denied\0"),
        (request(1, "broken", "octet", &[]), b"\0\x05\0\0the file cannot be opened\0"),
        (request(2, "dir/small", "octet", &[]), b"\0\x05\0\x02this server is read-only\0"),
        (
            request(1, "dir/small", "mail", &[]),
            b"\0\x05\0\x04the mode `mail` is neither octet nor netascii\0",
        ),
    ] {
        let client = Client::new(("127.0.0.1", service.port)).await;
        let (answer, _) = client.ask(&packet).await;
        assert_eq!(answer, expected, "{}", String::from_utf8_lossy(&answer));
    }
    let counts = service.counters.snapshot();
    assert_eq!((counts.refused, counts.malformed), (5, 1));
}

#[tokio::test]
async fn odd_packets_are_counted_and_met_with_silence() {
    let service = start();
    let client = Client::new(("127.0.0.1", service.port)).await;
    for packet in [&b""[..], b"\0", b"\0\x04\0\x01", &[0xff; 2049]] {
        client.send(packet, client.server).await;
    }
    let first = client.ask(&request(1, "dir/small", "octet", &[])).await;
    assert_eq!(first.0[..4], [0, 3, 0, 1], "nothing was answered before");
    until(|| service.counters.snapshot().malformed == 4).await;
}

#[tokio::test]
async fn transfers_over_the_limit_are_told_to_come_again() {
    let service = start_on("127.0.0.1:0", 1);
    let (one, two) =
        (Client::new(("127.0.0.1", service.port)).await, Client::new(("127.0.0.1", service.port)).await);
    let first = one.ask(&request(1, "dir/small", "octet", &[("tsize", "0")])).await;
    let packet = request(1, "dir/small", "octet", &[]);
    assert_eq!(two.ask(&packet).await.0, b"\0\x05\0\0busy, try again\0");
    one.read(first, 512, 1, |_| false).await;
    until(|| service.counters.snapshot().completed == 1).await;
    // The slot is free a moment after the count: the task still has to end.
    let answer = soon(async {
        loop {
            let answer = two.ask(&packet).await;
            if answer.0[1] == 3 {
                return answer;
            }
        }
    });
    let answer = answer.await;
    assert_eq!(two.read(answer, 512, 1, |_| false).await[..], bytes(10)[..]);
}

#[tokio::test]
async fn row_192_answer_comes_from_the_address_that_was_asked() {
    let service = start();
    for host in [1, 2] {
        let address = Ipv4Addr::new(127, 0, 0, host);
        let client = Client::new((address.to_string().as_str(), service.port)).await;
        let first = client.ask(&request(1, "dir/small", "octet", &[])).await;
        assert_eq!(first.1.ip(), IpAddr::V4(address));
        assert_eq!(client.read(first, 512, 1, |_| false).await[..], bytes(10)[..]);
        let refused = client.ask(&request(2, "x", "octet", &[])).await;
        assert_eq!(refused.1.ip(), IpAddr::V4(address));
    }
}

#[tokio::test]
async fn one_socket_serves_both_families() {
    let service = start_on("[::]:0", 64);
    for address in ["127.0.0.1", "::1"] {
        let client = Client::new((address, service.port)).await;
        let first = client.ask(&request(1, "dir/small", "octet", &[])).await;
        assert_eq!(client.read(first, 512, 1, |_| false).await[..], bytes(10)[..]);
        let asked = service.files.asked.lock().unwrap().pop().unwrap();
        assert_eq!((asked.1.ip(), asked.2), (address.parse().unwrap(), address.parse().unwrap()));
        let (refused, _) = client.ask(&request(2, "x", "octet", &[])).await;
        assert_eq!(refused[1], 5);
    }
}

#[tokio::test]
async fn client_whose_port_closed_is_noticed_before_the_timer_gives_up() {
    let service = start();
    let client = Client::new(("127.0.0.1", service.port)).await;
    client.ask(&request(1, "ipxe.efi", "octet", &[])).await;
    drop(client);
    let began = tokio::time::Instant::now();
    until(|| service.counters.snapshot().aborted == 1).await;
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn hundred_clients_at_once_get_the_whole_file() {
    let service = start_on("0.0.0.0:0", 4096);
    let port = service.port;
    let clients = (0..100).map(|_| {
        tokio::spawn(async move {
            let client = Client::new(("127.0.0.1", port)).await;
            let options = [("blksize", "1468"), ("windowsize", "4")];
            let first = client.ask(&request(1, "ipxe.efi", "octet", &options)).await;
            client.read(first, 1468, 4, |_| false).await[..] == bytes(300_000)[..]
        })
    });
    for client in clients.collect::<Vec<_>>() {
        assert!(client.await.unwrap());
    }
    until(|| service.counters.snapshot().completed == 100).await;
}
