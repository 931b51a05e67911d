//! Transfers and connections out of packets that are made here, for what no recorded boot did.

use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep, TcpHeader};

use super::super::*;
use super::classic;
use crate::story::{ClosedSeen, HttpEnd, HttpSeen, TftpSeen, Transport, What};

const CLIENT: [u8; 4] = [10, 0, 0, 50];
const SERVER: [u8; 4] = [10, 0, 0, 1];

/// Makes a frame from or to the client at its port 1000.
fn frame(
    by_client: bool,
    server: [u8; 4],
    build: impl FnOnce(PacketBuilderStep<IpHeaders>, &mut Vec<u8>),
) -> Vec<u8> {
    let (client_mac, server_mac) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let ends = if by_client {
        (client_mac, server_mac, CLIENT, server)
    } else {
        (server_mac, client_mac, server, CLIENT)
    };
    let mut bytes = Vec::new();
    build(PacketBuilder::ethernet2(ends.0, ends.1).ipv4(ends.2, ends.3, 64), &mut bytes);
    bytes
}

fn seen(packets: &[Vec<u8>]) -> Vec<What> {
    let frames =
        (0..).zip(packets).map(|(number, bytes)| Frame { at_us: number * 2000, link_type: 1, bytes });
    let recording = record(&classic(&frames.collect::<Vec<_>>(), false, false, 1)).unwrap();
    recording.sightings.into_iter().map(|sighting| sighting.what).collect()
}

#[test]
fn connection_that_nobody_takes_is_told_and_one_that_is_taken_is_not() {
    let ask = || frame(true, SERVER, |ip, out| ip.tcp(1000, 80, 7, 100).syn().write(out, &[]).unwrap());
    let take = frame(false, SERVER, |ip, out| ip.tcp(80, 1000, 9, 100).syn().ack(8).write(out, &[]).unwrap());
    let refuse = frame(false, SERVER, |ip, out| ip.tcp(80, 1000, 0, 0).rst().ack(8).write(out, &[]).unwrap());
    let closed = |silent| What::Closed(ClosedSeen { transport: Transport::Tcp, port: 80, silent });
    assert_eq!(seen(&[ask(), refuse]), [closed(false)]);
    assert_eq!(seen(&[ask(), ask(), ask()]), [closed(true)]);
    assert_eq!(seen(&[ask(), take]), []);
}

#[test]
fn answer_without_length_ends_with_its_connection() {
    let get = frame(true, SERVER, |ip, out| {
        ip.tcp(1000, 80, 8, 100).ack(10).write(out, b"GET /a HTTP/1.1\r\nHost: b\r\n\r\n").unwrap();
    });
    let head = b"HTTP/1.1 200 OK\r\n\r\n12345";
    let answer = frame(false, SERVER, |ip, out| ip.tcp(80, 1000, 10, 100).ack(35).write(out, head).unwrap());
    let finish = |flags: fn(PacketBuilderStep<TcpHeader>) -> PacketBuilderStep<TcpHeader>| {
        let sequence = 10 + head.len() as u32;
        frame(false, SERVER, |ip, out| flags(ip.tcp(80, 1000, sequence, 100)).write(out, &[]).unwrap())
    };
    let whole = seen(&[get.clone(), answer.clone(), finish(|tcp| tcp.fin())]);
    assert!(matches!(whole[2], What::Http(HttpSeen::Done { bytes: 5, status: 200, .. })), "{whole:?}");
    let reset = seen(&[get.clone(), answer.clone(), finish(|tcp| tcp.rst())]);
    assert!(
        matches!(reset[2], What::Http(HttpSeen::Broken { bytes: 5, end: HttpEnd::Reset, .. })),
        "{reset:?}"
    );
    let silent = seen(&[get, answer]);
    assert!(matches!(silent[2], What::Http(HttpSeen::Broken { end: HttpEnd::Silence, .. })), "{silent:?}");
}

#[test]
fn what_the_client_acknowledges_arrived_though_the_capture_missed_it() {
    let get = |sequence, acknowledged, target: &str| {
        let request = format!("GET {target} HTTP/1.1\r\n\r\n");
        frame(true, SERVER, |ip, out| {
            ip.tcp(1000, 80, sequence, 100).ack(acknowledged).write(out, request.as_bytes()).unwrap();
        })
    };
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";
    let answer = frame(false, SERVER, |ip, out| ip.tcp(80, 1000, 10, 100).ack(35).write(out, head).unwrap());
    let behind = 10 + head.len() as u32 + 5000;
    let all = seen(&[get(8, 10, "/a"), answer.clone(), get(35, behind, "/b")]);
    assert!(matches!(all[2], What::Http(HttpSeen::Done { bytes: 5000, .. })), "{all:?}");
    let all = seen(&[get(8, 10, "/a"), answer, get(35, behind - 1, "/b")]);
    assert!(
        matches!(all[2], What::Http(HttpSeen::Broken { bytes: 4999, length: Some(5000), .. })),
        "{all:?}"
    );
}

/// An option of DHCPv6.
fn option(code: u16, value: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
}

#[test]
fn message_of_dhcpv6_is_read_out_of_the_envelopes_of_relays() {
    let duid = option(1, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 1]);
    let refusal = option(13, b"\0\x02none left");
    let inner = [&[7, 0, 0, 9][..], &duid, &option(3, &[&[0; 12][..], &refusal].concat())].concat();
    let envelope = |inner: &[u8]| [&[13, 0][..], &[0; 32], &option(9, inner)].concat();
    for message in [inner.clone(), envelope(&inner), envelope(&envelope(&inner))] {
        let packet = frame(false, SERVER, |ip, out| ip.udp(547, 546).write(out, &message).unwrap());
        let all = seen(&[packet]);
        let What::Dhcp6(reply) = &all[0] else { panic!("{all:?}") };
        assert_eq!((reply.message, reply.transaction), (7, 9));
        assert_eq!(reply.status, Some((2, "none left".to_owned())));
    }
    let endless = (0..20).fold(inner, |inner, _| envelope(&inner));
    let packet = frame(false, SERVER, |ip, out| ip.udp(547, 546).write(out, &endless).unwrap());
    assert!(matches!(seen(&[packet])[..], [What::Unreadable { .. }]));
}

#[test]
fn blocks_of_a_transfer_are_counted_past_65535() {
    let packet = |by_client, port, bytes: &[u8]| {
        let (from, to) = if by_client { (1000, port) } else { (port, 1000) };
        frame(by_client, SERVER, |ip, out| ip.udp(from, to).write(out, bytes).unwrap())
    };
    let block = |number: u32, len| {
        let number = (number as u16).to_be_bytes();
        (
            packet(false, 3000, &[&[0, 3], &number[..], &vec![0; len]].concat()),
            packet(true, 3000, &[0, 4, number[0], number[1]]),
        )
    };
    let mut packets = vec![packet(true, 69, b"\0\x01x\0octet\0")];
    // Every 30,000th block: the others were not captured.
    for (data, ack) in [block(1, 512), block(30_001, 512), block(60_001, 512), block(70_000, 100)] {
        packets.extend([data, ack]);
    }
    let all = seen(&packets);
    let Some(What::Tftp(TftpSeen::Done { bytes, .. })) = all.last() else { panic!("{all:?}") };
    assert_eq!(*bytes, 69_999 * 512 + 100);
    packets.pop();
    packets.pop();
    let all = seen(&packets);
    let stopped = What::Tftp(TftpSeen::Unfinished {
        file: "x".into(),
        bytes: 60_001 * 512,
        acknowledged: Some(60_001),
        answered: true,
        millis: 12,
    });
    assert_eq!(all.last(), Some(&stopped));
}
