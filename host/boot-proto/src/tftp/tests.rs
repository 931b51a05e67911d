//! A transfer against a client that is played here, with an invented clock.

mod repeats;

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn request_packet(name: &str, mode: &str, options: &[(&str, &str)]) -> Vec<u8> {
    let mut packet = vec![0, 1];
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

fn transfer(len: usize, options: &[(&str, &str)]) -> (Transfer, Vec<u8>) {
    let content = (0..len).map(|index| (index % 251) as u8).collect::<Vec<_>>();
    let request = parse_request(&request_packet("file", "octet", options)).unwrap();
    let transfer = Transfer::start(0, &request, Arc::new(content.clone()), &Limits::default()).unwrap();
    (transfer, content)
}

/// Takes everything that is due.
fn packets(transfer: &mut Transfer) -> Vec<Vec<u8>> {
    let (mut batch, mut packets) = (Batch::default(), Vec::new());
    while transfer.next_batch(&mut batch) {
        packets.extend(batch.packets().map(<[u8]>::to_vec));
    }
    packets
}

fn blocks(transfer: &mut Transfer) -> Vec<u16> {
    packets(transfer).iter().map(|packet| u16::from_be_bytes([packet[2], packet[3]])).collect()
}

fn deadline(transfer: &Transfer) -> u64 {
    match transfer.progress() {
        Progress::WaitUntil(deadline) => deadline,
        Progress::Done(outcome) => panic!("already done: {outcome:?}"),
    }
}

/// A receiving client after RFC 7440: keeps what comes in order, and acknowledges ends of windows and gaps.
struct Client {
    received: Vec<u8>,
    next: u64,
    in_window: u64,
    window: u64,
    block_size: usize,
    gap_told: bool,
    /// Answers each packet that it does not expect, as OVMF does.
    talkative: bool,
    done: bool,
}

impl Client {
    fn new(block_size: usize, window: u64) -> Self {
        Self {
            received: Vec::new(),
            next: 1,
            in_window: 0,
            window,
            block_size,
            gap_told: false,
            talkative: false,
            done: false,
        }
    }

    fn receive(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        match packet[1] {
            6 => return Some(ack(0)),
            3 => {}
            other => panic!("operation {other}"),
        }
        let expected = (self.next & 0xffff) as u16;
        let last = (self.next.wrapping_sub(1) & 0xffff) as u16;
        let block = u16::from_be_bytes([packet[2], packet[3]]);
        if block != expected {
            self.in_window = 0;
            let told = std::mem::replace(&mut self.gap_told, true);
            return (!told || block == last || self.talkative).then(|| ack(last));
        }
        self.gap_told = false;
        self.received.extend_from_slice(&packet[4..]);
        self.next += 1;
        self.in_window += 1;
        self.done = packet.len() < self.block_size + 4;
        if self.done || self.in_window == self.window {
            self.in_window = 0;
            return Some(ack(expected));
        }
        None
    }
}

/// Runs a transfer where `lost` decides about each packet; returns the client, the outcome, the end of the invented
/// clock and the number of data packets sent.
fn run(
    mut transfer: Transfer,
    mut client: Client,
    mut lost: impl FnMut() -> bool,
) -> (Client, Outcome, u64, u64) {
    let (mut now, mut sent) = (0, 0);
    loop {
        let mut answers = Vec::new();
        for packet in packets(&mut transfer) {
            sent += u64::from(packet[1] == 3);
            if !lost() {
                answers.extend(client.receive(&packet).filter(|_| !lost()));
            }
        }
        if let Progress::Done(outcome) = transfer.progress() {
            return (client, outcome, now, sent);
        }
        if answers.is_empty() {
            now = deadline(&transfer).max(now + 1);
            transfer.handle_timeout(now);
        }
        for answer in answers {
            transfer.handle_packet(now, &answer);
        }
    }
}

#[test]
fn request_with_all_options_is_read() {
    let packet = request_packet(
        "a/b",
        "OcTeT",
        &[("BlkSize", "1468"), ("tsize", "0"), ("timeout", "3"), ("windowsize", "4"), ("multicast", "")],
    );
    let request = parse_request(&packet).unwrap();
    assert_eq!(request.kind, Kind::Read);
    assert_eq!((request.name.as_str(), request.mode), ("a/b", Mode::Octet));
    assert_eq!((request.block_size, request.window_size), (Some(1468), Some(4)));
    assert_eq!((request.transfer_size, request.timeout_secs), (true, Some(3)));
}

#[test]
fn sloppy_requests_are_read() {
    let mut packet = request_packet("f", "octet", &[("blksize", "512")]);
    packet.push(0);
    assert_eq!(parse_request(&packet).unwrap().block_size, Some(512), "odd trailing zero");
    packet.extend_from_slice(b"garbage");
    assert_eq!(parse_request(&packet).unwrap().block_size, Some(512), "odd trailing bytes");
    assert_eq!(parse_request(b"\0\x01f\0octet").unwrap().name, "f", "no last zero");
    assert_eq!(parse_request(b"\0\x01f\0\0").unwrap().mode, Mode::Octet, "empty mode");
    let request = parse_request(&request_packet("f", "octet", &[("blksize", "many"), ("windowsize", "-1")]));
    assert_eq!(request.map(|request| (request.block_size, request.window_size)), Ok((None, None)));
}

#[test]
fn broken_requests_are_refused() {
    assert_eq!(parse_request(b""), Err(RequestError::Operation));
    assert_eq!(parse_request(&ack(1)), Err(RequestError::Operation));
    assert_eq!(parse_request(b"\0\x01"), Err(RequestError::Truncated));
    assert_eq!(parse_request(b"\0\x01\0octet\0"), Err(RequestError::Truncated));
    assert_eq!(parse_request(b"\0\x01name"), Err(RequestError::Truncated));
    assert!(matches!(parse_request(b"\0\x01f\0mail\0"), Err(RequestError::Mode { .. })));
    let long = request_packet(&"x".repeat(4000), "octet", &[]);
    assert!(matches!(parse_request(&long), Err(RequestError::Oversized { .. })));
}

#[test]
fn paths_of_boot_loaders_are_cleaned_and_never_climb() {
    assert_eq!(clean_path("/grub//x86_64-efi/./command.lst"), Some("grub/x86_64-efi/command.lst".to_owned()));
    assert_eq!(clean_path("\\Boot\\BCD"), Some("Boot/BCD".to_owned()));
    for name in ["../etc/passwd", "a/../../b", "..\\..\\x", "a/..", "/", "", "a\u{1}b"] {
        assert_eq!(clean_path(name), None, "{name:?}");
    }
}

#[test]
fn options_are_confirmed_within_the_limits() {
    let (mut transfer, _) = transfer(
        5000,
        &[("tsize", "0"), ("blksize", "65464"), ("windowsize", "65535"), ("timeout", "2"), ("utimeout", "9")],
    );
    let oack = packets(&mut transfer).remove(0);
    let expected = b"\0\x06blksize\x001468\0tsize\x005000\0timeout\x002\0windowsize\x0064\0";
    assert_eq!(oack, expected);
}

#[test]
fn transfer_without_options_begins_with_data_of_512() {
    let (mut transfer, content) = transfer(600, &[]);
    let sent = packets(&mut transfer);
    assert_eq!(sent.len(), 1, "lock step");
    assert_eq!(sent[0][..4], [0, 3, 0, 1]);
    assert_eq!(sent[0][4..], content[..512]);
    transfer.handle_packet(1, &ack(1));
    assert_eq!(packets(&mut transfer)[0].len(), 4 + 88);
    transfer.handle_packet(2, &ack(2));
    assert_eq!(transfer.progress(), Progress::Done(Outcome::Complete));
}

#[test]
fn window_is_one_batch_of_equal_packets_as_far_as_one_datagram_reaches() {
    let (mut transfer, content) = transfer(100 * 1468 + 7, &[("blksize", "1468"), ("windowsize", "64")]);
    let mut batch = Batch::default();
    assert!(transfer.next_batch(&mut batch) && batch.is_single());
    let mut received = Vec::new();
    for (acked, counts) in [(0, [44, 20].as_slice()), (64, &[37])] {
        transfer.handle_packet(1, &ack(acked));
        for count in counts {
            assert!(transfer.next_batch(&mut batch) && !batch.is_single());
            assert_eq!((batch.packet_len(), batch.packets().count()), (1472, *count));
            received.extend(batch.packets().flat_map(|packet| packet[4..].to_vec()));
        }
        assert!(!transfer.next_batch(&mut batch));
    }
    assert_eq!(batch.packets().last().unwrap().len(), 4 + 7);
    assert!(received == content);
}

#[test]
fn file_of_whole_blocks_ends_with_an_empty_one() {
    for len in [0, 512, 1024] {
        let (transfer, content) = transfer(len, &[]);
        let (client, outcome, ..) = run(transfer, Client::new(512, 1), || false);
        assert!(client.done);
        assert_eq!((client.received, outcome), (content, Outcome::Complete));
    }
}

#[test]
fn error_of_the_client_ends_the_transfer_at_once() {
    let (mut transfer, _) = transfer(5000, &[("tsize", "0"), ("blksize", "1468")]);
    assert_eq!(packets(&mut transfer).len(), 1);
    transfer.handle_packet(1, b"\0\x05\0\x08User aborted the transfer\0");
    let message = "User aborted the transfer".to_owned();
    assert_eq!(transfer.progress(), Progress::Done(Outcome::Aborted { code: 8, message }));
    assert!(packets(&mut transfer).is_empty());
    transfer.handle_timeout(u64::MAX);
    assert!(packets(&mut transfer).is_empty(), "nothing is repeated afterwards");
}

#[test]
fn blocks_roll_over_past_65535() {
    let len = 8 * 140_000 + 3;
    let (transfer, content) = transfer(len, &[("blksize", "8"), ("windowsize", "64")]);
    let (client, outcome, ..) = run(transfer, Client::new(8, 64), || false);
    assert_eq!(outcome, Outcome::Complete);
    assert!(client.received == content);
}

#[test]
fn netascii_is_rewritten_and_its_length_is_that_of_what_is_sent() {
    let request = parse_request(&request_packet("f", "netascii", &[("tsize", "0")])).unwrap();
    let content = Arc::new(b"a\nb\rc".to_vec());
    let mut transfer = Transfer::start(0, &request, content, &Limits::default()).unwrap();
    assert_eq!(packets(&mut transfer), [b"\0\x06tsize\x007\0"]);
    transfer.handle_packet(1, &ack(0));
    assert_eq!(packets(&mut transfer), [b"\0\x03\0\x01a\r\nb\r\0c"]);
}

#[test]
fn long_netascii_is_refused() {
    let request = parse_request(&request_packet("f", "netascii", &[])).unwrap();
    let content = Arc::new(vec![0; (64 << 10) + 1]);
    let refused = Transfer::start(0, &request, content, &Limits::default()).err();
    assert!(matches!(refused, Some(TransferError::NetasciiTooLong { .. })));
}

#[test]
fn content_that_shrinks_is_an_error_for_the_client() {
    struct Shrunk;
    impl Content for Shrunk {
        fn len(&self) -> u64 {
            1000
        }
        fn read_at(&self, offset: u64, _: &mut [u8]) -> Result<(), ContentError> {
            Err(ContentError { offset, message: "gone".to_owned() })
        }
    }
    let request = parse_request(&request_packet("f", "octet", &[])).unwrap();
    let mut transfer = Transfer::start(0, &request, Arc::new(Shrunk), &Limits::default()).unwrap();
    assert_eq!(packets(&mut transfer), [b"\0\x05\0\0the file cannot be read\0"]);
    assert!(matches!(transfer.progress(), Progress::Done(Outcome::Unreadable(_))));
}

proptest! {
    #[test]
    fn random_requests_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = parse_request(&bytes);
        let mut read = vec![0, 1];
        read.extend(bytes);
        if let Ok(request) = parse_request(&read) {
            let _ = clean_path(&request.name);
            let content = Arc::new(vec![7; 100]);
            let mut transfer = Transfer::start(0, &request, content, &Limits::default()).unwrap();
            prop_assert!(!packets(&mut transfer).is_empty());
        }
    }

    #[test]
    fn random_packets_never_panic_and_never_flood(
        bytes in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..8), 0..40),
    ) {
        let (mut transfer, _) = transfer(100_000, &[("windowsize", "8")]);
        for (now, packet) in bytes.iter().enumerate() {
            transfer.handle_packet(now as u64, packet);
            prop_assert!(packets(&mut transfer).len() <= 9);
        }
    }

    #[test]
    fn every_loss_pattern_ends_with_the_right_bytes(
        losses in proptest::collection::vec(proptest::bool::weighted(0.05), 1..400),
        len in 0_usize..20_000,
        window in 1_u64..9,
    ) {
        let window_text = window.to_string();
        let (transfer, content) = transfer(len, &[("windowsize", &window_text)]);
        let mut pattern = losses.into_iter();
        let (client, outcome, ..) = run(transfer, Client::new(512, window), || pattern.next() == Some(true));
        prop_assert_eq!(outcome, Outcome::Complete);
        prop_assert!(client.received == content);
    }
}
