//! Many clients, and what one of them can do to the others.

use std::time::Duration;

use super::super::{soon, until};
use super::harness::{Client, bytes, request, start, start_on};

#[tokio::test]
async fn request_over_the_limit_has_no_answer_and_its_repeat_is_served() {
    let service = start_on("127.0.0.1:0", 1);
    let (one, two) =
        (Client::new(("127.0.0.1", service.port)).await, Client::new(("127.0.0.1", service.port)).await);
    let first = one.ask(&request(1, "dir/small", "octet", &[("tsize", "0")])).await;
    let packet = request(1, "dir/small", "octet", &[]);
    two.send(&packet, two.server).await;
    until(|| service.counters.snapshot().dropped == 1).await;
    one.read(first, 512, 1, |_| false).await;
    until(|| service.counters.snapshot().completed == 1).await;
    // The place is free a moment after the count. A repeat that is served drops the next one too.
    let answer = soon(async {
        loop {
            two.send(&packet, two.server).await;
            if let Ok(answer) = tokio::time::timeout(Duration::from_millis(20), two.receive()).await {
                return answer;
            }
        }
    });
    let answer = answer.await;
    assert_eq!(answer.0[..4], [0, 3, 0, 1], "not an ERROR");
    assert_eq!(two.read(answer, 512, 1, |_| false).await[..], bytes(10)[..]);
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

#[tokio::test]
async fn one_address_leaves_places_to_others() {
    let service = start_on("0.0.0.0:0", 4);
    let packet = request(1, "dir/small", "octet", &[]);
    let mut clients = Vec::new();
    for _ in 0..3 {
        let client = Client::new(("127.0.0.1", service.port)).await;
        assert_eq!(client.ask(&packet).await.0[..4], [0, 3, 0, 1]);
        clients.push(client);
    }
    let greedy = Client::new(("127.0.0.1", service.port)).await;
    greedy.send(&packet, greedy.server).await;
    until(|| service.counters.snapshot().dropped == 1).await;
    let other = Client::bound("127.0.0.2:0", greedy.server).await;
    let first = other.ask(&packet).await;
    assert_eq!(other.read(first, 512, 1, |_| false).await[..], bytes(10)[..]);
}

#[tokio::test]
async fn source_that_is_slow_to_open_delays_no_other() {
    let service = start();
    let packet = request(1, "slow", "octet", &[]);
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let client = Client::new(("127.0.0.1", service.port)).await;
        client.send(&packet, client.server).await;
        waiting.push(client);
    }
    until(|| service.files.asked.lock().unwrap().len() == 20).await;
    let client = Client::new(("127.0.0.1", service.port)).await;
    let first = client.ask(&request(1, "ipxe.efi", "octet", &[("blksize", "1468")])).await;
    assert!(client.read(first, 1468, 1, |_| false).await[..] == bytes(300_000)[..]);
    service.files.release.notify_waiters();
    for client in waiting {
        let first = client.receive().await;
        assert_eq!(client.read(first, 512, 1, |_| false).await[..], bytes(5)[..]);
    }
}

#[tokio::test]
async fn content_that_panics_ends_its_own_transfer_only() {
    let service = start();
    let mut others = Vec::new();
    for _ in 0..8 {
        let client = Client::new(("127.0.0.1", service.port)).await;
        let first = client.ask(&request(1, "ipxe.efi", "octet", &[("tsize", "0")])).await;
        others.push((client, first));
    }
    for _ in 0..8 {
        let client = Client::new(("127.0.0.1", service.port)).await;
        let (_, transfer) = client.ask(&request(1, "faulty", "octet", &[("blksize", "1468")])).await;
        client.send(&super::ack(0), transfer).await;
        for block in 1..=22 {
            assert_eq!(client.receive().await.0[3], block);
            client.send(&super::ack(u16::from(block)), transfer).await;
        }
    }
    until(|| service.counters.snapshot().failed == 8).await;
    for (client, first) in others {
        assert!(client.read(first, 512, 1, |_| false).await[..] == bytes(300_000)[..]);
    }
}

#[tokio::test]
async fn block_over_ipv6_fits_the_frame_that_one_over_ipv4_fills() {
    let service = start_on("[::]:0", 64);
    for (address, size) in [("127.0.0.1", 1468), ("::1", 1448)] {
        let client = Client::new((address, service.port)).await;
        let options = [("blksize", "1468"), ("windowsize", "64")];
        let first = client.ask(&request(1, "ipxe.efi", "octet", &options)).await;
        assert_eq!(first.0, format!("\0\x06blksize\0{size}\0windowsize\064\0").into_bytes());
        assert!(client.read(first, size, 64, |_| false).await[..] == bytes(300_000)[..]);
    }
}
