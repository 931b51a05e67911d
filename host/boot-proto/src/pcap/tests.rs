use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::story::{ArpSeen, FileOutcome, Story, What, machines};

mod transfers;

/// A boot of OVMF over TFTP, then iPXE over HTTP, then a system: every protocol that is followed.
const BOOT: &[u8] = include_bytes!("../../../../tests/boot/captures/uefi-pxe.pcap");

fn frames(file: &[u8]) -> Vec<Frame<'_>> {
    Capture::open(file).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Writes numbers in one byte order.
struct Writer {
    bytes: Vec<u8>,
    big_endian: bool,
}

impl Writer {
    fn u16(&mut self, number: u16) {
        self.bytes.extend(if self.big_endian { number.to_be_bytes() } else { number.to_le_bytes() });
    }

    fn u32(&mut self, number: u32) {
        self.bytes.extend(if self.big_endian { number.to_be_bytes() } else { number.to_le_bytes() });
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let len = u32::try_from(body.len().next_multiple_of(4) + 12).unwrap();
        self.u32(kind);
        self.u32(len);
        self.bytes.extend(body);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.u32(len);
    }

    fn part(&self) -> Self {
        Self { bytes: Vec::new(), big_endian: self.big_endian }
    }
}

fn classic(frames: &[Frame<'_>], big_endian: bool, nanoseconds: bool, link_type: u32) -> Vec<u8> {
    let mut out = Writer { bytes: Vec::new(), big_endian };
    out.u32(if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 });
    out.u16(2);
    out.u16(4);
    [0, 0, 65_535, link_type].into_iter().for_each(|number| out.u32(number));
    for frame in frames {
        let fraction = u32::try_from(frame.at_us % 1_000_000).unwrap();
        out.u32(u32::try_from(frame.at_us / 1_000_000).unwrap());
        out.u32(if nanoseconds { fraction * 1000 + 7 } else { fraction });
        let len = u32::try_from(frame.bytes.len()).unwrap();
        out.u32(len);
        out.u32(len);
        out.bytes.extend(frame.bytes);
    }
    out.bytes
}

/// Writes pcapng with one interface of a time resolution, and a block that no reader knows.
fn blocks(frames: &[Frame<'_>], big_endian: bool, resolution: u8, units: impl Fn(u64) -> u64) -> Vec<u8> {
    let mut out = Writer { bytes: Vec::new(), big_endian };
    let mut section = out.part();
    section.u32(0x1a2b_3c4d);
    section.u32(1);
    section.bytes.extend([0xff; 8]);
    out.block(0x0a0d_0d0a, &section.bytes);
    let mut interface = out.part();
    interface.u32(0);
    interface.bytes.clear();
    interface.u16(1);
    interface.u16(0);
    interface.u32(0);
    interface.u16(9);
    interface.u16(1);
    interface.bytes.extend([resolution, 0, 0, 0]);
    interface.u32(0);
    out.block(1, &interface.bytes);
    out.block(0x0bad, b"a custom block");
    for frame in frames {
        let time = units(frame.at_us);
        let mut packet = out.part();
        let len = u32::try_from(frame.bytes.len()).unwrap();
        for number in [0, u32::try_from(time >> 32).unwrap(), time as u32, len, len] {
            packet.u32(number);
        }
        packet.bytes.extend(frame.bytes);
        out.block(6, &packet.bytes);
    }
    out.bytes
}

#[test]
fn all_file_formats_say_the_same() {
    let frames = frames(BOOT);
    let expected = record(BOOT).unwrap();
    assert!(expected.sightings.len() > 30 && expected.fault.is_none());
    for big_endian in [false, true] {
        for nanoseconds in [false, true] {
            assert_eq!(record(&classic(&frames, big_endian, nanoseconds, 1)).unwrap(), expected);
        }
        assert_eq!(record(&blocks(&frames, big_endian, 6, |us| us)).unwrap(), expected);
        assert_eq!(record(&blocks(&frames, big_endian, 9, |us| us * 1000)).unwrap(), expected);
        let binary = |us| u64::try_from(u128::from(us) * (1 << 30) / 1_000_000 + 1).unwrap();
        assert_eq!(record(&blocks(&frames, big_endian, 0x80 | 30, binary)).unwrap(), expected);
    }
}

#[test]
fn simple_packet_blocks_and_sections_of_another_byte_order_are_read() {
    let frames = frames(BOOT);
    let mut file = blocks(&frames[..1], false, 6, |us| us);
    let mut simple = Writer { bytes: Vec::new(), big_endian: false };
    simple.u32(u32::try_from(frames[1].bytes.len()).unwrap());
    simple.bytes.extend(frames[1].bytes);
    let mut out = Writer { bytes: Vec::new(), big_endian: false };
    out.block(3, &simple.bytes);
    file.extend(out.bytes);
    file.extend(blocks(&frames[2..], true, 6, |us| us));
    let read = self::frames(&file);
    assert_eq!(read.len(), frames.len());
    assert_eq!(read[1].bytes, frames[1].bytes);
    assert_eq!(read[1].at_us, frames[0].at_us, "a simple packet block has no time");
    assert_eq!(read[2], frames[2]);
}

/// Puts another header before the IP header of each frame of Ethernet.
fn relink(link_type: u32, header: impl Fn(&[u8]) -> Vec<u8>) -> Recording {
    let frames = frames(BOOT);
    let changed =
        frames.iter().map(|frame| [&header(frame.bytes), &frame.bytes[14..]].concat()).collect::<Vec<_>>();
    let changed = frames.iter().zip(&changed).map(|(frame, bytes)| Frame { bytes, ..*frame });
    record(&classic(&changed.collect::<Vec<_>>(), false, false, link_type)).unwrap()
}

fn text(recording: &Recording) -> String {
    let mac = machines(&recording.sightings)[0];
    Story::tell(mac, &recording.sightings, recording.until_us).conclusion()
}

#[test]
fn all_link_types_are_read() {
    let expected = text(&record(BOOT).unwrap());
    let vlan = |tags: &'static [u8]| move |frame: &[u8]| [&frame[..12], tags, &frame[12..14]].concat();
    let one = relink(1, vlan(&[0x81, 0, 0, 42]));
    let two = relink(1, vlan(&[0x88, 0xa8, 0, 7, 0x81, 0, 0, 42]));
    let cooked = |frame: &[u8]| [&[0, 0, 0, 1, 0, 6][..], &frame[6..12], &[0, 0], &frame[12..14]].concat();
    let cooked_2 =
        |frame: &[u8]| [&frame[12..14], &[0, 0, 0, 0, 0, 3, 0, 1, 0, 6][..], &frame[6..12], &[0, 0]].concat();
    for (name, recording) in [
        ("one tag", one),
        ("two tags", two),
        ("cooked", relink(113, cooked)),
        ("cooked 2", relink(276, cooked_2)),
    ] {
        assert_eq!(text(&recording), expected, "{name}");
        assert_eq!(recording.sightings.len(), record(BOOT).unwrap().sightings.len(), "{name}");
    }
    // Without hardware addresses and ARP, the files still belong to the machine by its address.
    let raw = relink(101, |_| Vec::new());
    let mac = machines(&raw.sightings)[0];
    let story = Story::tell(mac, &raw.sightings, raw.until_us);
    assert_eq!(story.conclusion(), expected);
    assert!(
        story.attempts[0]
            .files
            .iter()
            .any(|file| matches!(file.outcome, FileOutcome::Done { bytes: 173_792, .. }))
    );
    assert_eq!(relink(147, |_| Vec::new()).unknown_frames, raw.frames, "a private link type is counted");
}

#[test]
fn file_that_is_cut_off_keeps_what_came_before() {
    let frames = frames(BOOT);
    let whole = classic(&frames[..3], false, false, 1);
    let cut = record(&whole[..whole.len() - 5]).unwrap();
    let last = 24 + 32 + frames[0].bytes.len() + frames[1].bytes.len();
    assert_eq!(cut.fault, Some(PcapError::Truncated { offset: last, part: "record" }));
    assert_eq!(cut.frames, 2);
    let whole = blocks(&frames[..3], true, 6, |us| us);
    let cut = record(&whole[..whole.len() - 5]).unwrap();
    let last = whole.len() - frames[2].bytes.len().next_multiple_of(4) - 32;
    assert_eq!(cut.fault, Some(PcapError::Truncated { offset: last, part: "block" }));
    assert_eq!(cut.frames, 2);
    assert!(cut.fault.unwrap().to_string().contains(&last.to_string()), "the message names the byte");
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let frames = frames(BOOT);
    let mut file = classic(&frames[..1], false, false, 1);
    file[24 + 8..24 + 12].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    let fault = record(&file).unwrap().fault;
    assert_eq!(fault, Some(PcapError::Length { offset: 24, part: "record", len: 0x7fff_ffff }));
    for len in [0_u32, 11, 29, u32::MAX] {
        let mut file = blocks(&frames[..1], false, 6, |us| us);
        file[4..8].copy_from_slice(&len.to_le_bytes());
        let fault = record(&file).unwrap().fault;
        assert!(
            matches!(
                fault,
                Some(PcapError::Length { offset: 0, .. } | PcapError::Truncated { offset: 0, .. })
            ),
            "{len}"
        );
    }
    let mut file = blocks(&frames[..1], false, 6, |us| us);
    let packet = file.len() - frames[0].bytes.len().next_multiple_of(4) - 32;
    file[packet + 8] = 9;
    assert_eq!(record(&file).unwrap().fault, Some(PcapError::Interface { offset: packet, index: 9 }));
    // Interfaces are those of their section: this one has none.
    let file = blocks(&frames[..1], false, 6, |us| us);
    let sections = [&file[..packet], &file[..28], &file[packet..]].concat();
    let fault = Some(PcapError::Interface { offset: packet + 28, index: 0 });
    assert_eq!(record(&sections).unwrap().fault, fault);
}

#[test]
fn other_files_are_no_captures() {
    for file in [&b""[..], b"\xa1\xb2", b"#!ipxe\n", b"\x7fELF...."] {
        assert!(matches!(record(file), Err(PcapError::NotACapture { .. })), "{file:?}");
    }
    let header = &BOOT[..23];
    assert_eq!(record(header), Err(PcapError::Truncated { offset: 0, part: "file header" }));
    assert_eq!(record(&BOOT[..24]).unwrap(), Recording::default());
}

#[test]
fn more_sightings_than_the_limit_are_counted() {
    let announcement = [
        &[0xff; 6][..],
        &[
            2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 7, 0, 0, 0, 0, 0, 0,
            10, 0, 0, 7,
        ],
    ]
    .concat();
    let frame = |number| Frame { at_us: number * 2000, link_type: 1, bytes: &announcement };
    let many = (0..MAX_SIGHTINGS as u64 + 3).map(frame).collect::<Vec<_>>();
    let recording = record(&classic(&many, false, false, 1)).unwrap();
    assert_eq!(recording.left_out, 3);
    let seen = &recording.sightings[MAX_SIGHTINGS - 1];
    assert_eq!(seen.what, What::Arp(ArpSeen::Has { address: [10, 0, 0, 7].into() }));
}

#[test]
fn first_fragment_of_an_answer_is_read_and_later_ones_are_counted() {
    let frames = frames(BOOT);
    // The OFFER of 342 bytes, sent as two fragments of which the first one holds its header alone.
    let offer = frames
        .iter()
        .find(|frame| frame.bytes.get(23) == Some(&17) && frame.bytes[34..38] == [0, 67, 0, 68])
        .unwrap();
    let mut first = offer.bytes.to_vec();
    first[20] = 0x20;
    let mut second = offer.bytes.to_vec();
    second[20..22].copy_from_slice(&[0, 37]);
    let both = [Frame { bytes: &first, ..*offer }, Frame { bytes: &second, ..*offer }];
    let recording = record(&classic(&both, false, false, 1)).unwrap();
    assert_eq!((recording.sightings.len(), recording.fragments), (1, 1));
    assert_eq!(recording.sightings[0].from.address, Some(IpAddr::from([10, 77, 0, 1])));
}

#[test]
fn packets_that_are_in_the_capture_twice_count_once() {
    let frames = frames(BOOT);
    let twice = frames.iter().flat_map(|frame| [*frame, *frame]).collect::<Vec<_>>();
    let (once, twice) = (record(BOOT).unwrap(), record(&classic(&twice, false, false, 1)).unwrap());
    assert_eq!(twice.sightings, once.sightings);
    assert!(twice.repeated > 20 && once.repeated == 0);
    assert!(
        twice.notes()[0].ends_with("packets are in the capture twice, and count once"),
        "{:?}",
        twice.notes()
    );
}

proptest! {
    #[test]
    fn random_bytes_never_panic(kind in 0..3_usize, bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let frames = [Frame { at_us: 0, link_type: 1, bytes: &bytes }];
        let file = match kind {
            0 => bytes.clone(),
            1 => classic(&frames, false, false, 1),
            _ => [&BOOT[..24], &bytes].concat(),
        };
        if let Ok(recording) = record(&file) {
            for mac in machines(&recording.sightings) {
                let _ = Story::tell(mac, &recording.sightings, recording.until_us).to_text();
            }
        }
    }

    #[test]
    fn damaged_captures_never_panic_and_stay_small(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24),
        len in any::<prop::sample::Index>(),
        as_blocks in any::<bool>(),
    ) {
        let mut file = if as_blocks { blocks(&frames(BOOT), true, 6, |us| us) } else { BOOT.to_vec() };
        for (place, byte) in &damage {
            let place = place.index(file.len());
            file[place] = *byte;
        }
        file.truncate(len.index(file.len()) + file.len() / 2);
        if let Ok(recording) = record(&file) {
            // A frame gives at most a request and the end of what it replaces.
            prop_assert!(recording.sightings.len() as u64 <= 3 * recording.frames);
            for mac in machines(&recording.sightings) {
                let story = Story::tell(mac, &recording.sightings, recording.until_us);
                let places = story.findings.iter().flat_map(|finding| &finding.evidence);
                prop_assert!(places.into_iter().all(|place| *place < story.sightings.len()));
                prop_assert!(story.attempts.iter().all(|attempt| attempt.end <= story.sightings.len()));
                let _ = story.to_text();
            }
        }
    }
}
