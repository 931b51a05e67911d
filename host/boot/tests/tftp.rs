//! TFTP against a small client of its own: options, OVMF's habits, loss.

pub(super) mod harness;
mod limits;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use self::harness::{Client, ack, bytes, request, start, start_on};
use super::until;

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
async fn client_that_closes_its_port_after_the_last_acknowledgement_has_completed() {
    let service = start();
    for done in 1..=50 {
        let client = Client::new(("127.0.0.1", service.port)).await;
        let (_, transfer) = client.ask(&request(1, "dir/small", "octet", &[("tsize", "0")])).await;
        // The block goes to a closed port mostly, and the news of it comes before the second acknowledgement.
        client.send(&ack(0), transfer).await;
        client.send(&ack(1), transfer).await;
        drop(client);
        until(|| service.counters.snapshot().completed == done).await;
    }
}
