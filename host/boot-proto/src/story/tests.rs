use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::*;
use crate::pcap;

mod made;

/// Real boots, recorded with the clients and servers that their README names.
const CAPTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/boot/captures");

fn captures() -> Vec<PathBuf> {
    let files = fs::read_dir(CAPTURES).unwrap().map(|entry| entry.unwrap().path());
    let mut files =
        files.filter(|path| path.extension().is_some_and(|end| end == "pcap")).collect::<Vec<_>>();
    files.sort();
    files
}

fn stories(name: &str) -> Vec<Story> {
    let recording = pcap::record(&fs::read(PathBuf::from(CAPTURES).join(name)).unwrap()).unwrap();
    assert_eq!(recording.fault, None, "{name}");
    let machines = machines(&recording.sightings).into_iter();
    machines.map(|mac| Story::tell(mac, &recording.sightings, recording.until_us)).collect()
}

/// `FORMWORK_GOLDEN=write` writes the texts anew.
#[test]
fn each_capture_tells_the_story_that_lies_beside_it() {
    for path in captures() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let found = stories(name).iter().map(Story::to_text).collect::<Vec<_>>().join("\n");
        let expected = path.with_extension("txt");
        if std::env::var_os("FORMWORK_GOLDEN").is_some_and(|value| value == "write") {
            fs::write(&expected, &found).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap();
        for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
            assert_eq!(found, expected, "{name}: line {}", number + 1);
        }
        assert_eq!(found.lines().count(), expected.lines().count(), "{name}");
    }
}

#[test]
fn what_stopped_or_slowed_each_recorded_boot_is_found() {
    use FindingId::*;
    let cases: &[(&str, &[FindingId])] = &[
        ("bios-ipxe.pcap", &[]),
        ("bios-no-ra.pcap", &[SlowProxyWait, SlowRouterWait]),
        ("bios-pxelinux.pcap", &[]),
        ("bios-rogue-server.pcap", &[SeveralServers]),
        ("dhclient.pcap", &[]),
        ("dhcpcd.pcap", &[]),
        ("udhcpc-relay.pcap", &[]),
        ("udhcpc.pcap", &[]),
        ("uefi-chain-loop.pcap", &[ChainLoadLoop]),
        ("uefi-file-only-in-ack.pcap", &[OfferWithoutBootFile]),
        ("uefi-http.pcap", &[]),
        ("uefi-http-without-60.pcap", &[HttpOfferWithoutClass]),
        ("uefi-missing-file.pcap", &[FileMissing]),
        ("uefi-no-mask.pcap", &[OfferWithoutMask, OfferWithoutMask]),
        ("uefi-no-server-id.pcap", &[OfferWithoutServerId]),
        ("uefi-nobody-answers.pcap", &[NoAnswer]),
        ("uefi-pxe.pcap", &[]),
        ("uefi-proxy.pcap", &[]),
        ("uefi-pxeclient-without-43.pcap", &[PxeClassWithout43, HttpOfferWithoutClass]),
        ("uefi-rogue-server.pcap", &[NoFileServer, SeveralServers]),
        ("uefi-secure-boot-unsigned.pcap", &[NextStageNeverCame, NextStageNeverCame, NoAnswer]),
        ("uefi-shim-grub.pcap", &[]),
        ("uefi-unicast-reply.pcap", &[OfferNotBroadcast]),
        ("uefi-wrong-loader.pcap", &[NextStageNeverCame]),
        ("uefi6-pxe.pcap", &[]),
    ];
    for (name, expected) in cases {
        let found = stories(name)
            .iter()
            .flat_map(|story| &story.findings)
            .map(|finding| finding.id)
            .collect::<Vec<_>>();
        assert_eq!(found, *expected, "{name}");
    }
    assert_eq!(captures().len(), cases.len(), "each capture has its case");
}

#[test]
fn rogue_server_is_named_by_both_its_addresses() {
    let story = &stories("uefi-rogue-server.pcap")[0];
    let finding = story.findings.iter().find(|finding| finding.id == FindingId::SeveralServers).unwrap();
    assert!(
        finding.text.contains("10.77.0.2 (52:54:00:77:00:07) offered 10.77.0.217, boot file `rogue.efi`")
    );
    assert_eq!(story.attempts[0].chosen, Some(Ipv4Addr::new(10, 77, 0, 2)));
}

#[test]
fn story_is_data_that_reads_back() {
    let story = &stories("uefi6-pxe.pcap")[0];
    let json = serde_json::to_string(story).unwrap();
    assert_eq!(&serde_json::from_str::<Story>(&json).unwrap(), story);
}

#[test]
fn name_of_a_finding_is_the_one_in_its_json() {
    for finding in [FindingId::NoAnswer, FindingId::PxeClassWithout43, FindingId::SlowRouterWait] {
        assert_eq!(serde_json::to_value(finding).unwrap(), finding.name());
    }
}
