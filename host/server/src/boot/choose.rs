//! What a client boots: the choice of the core, between the words of DHCP and the machines that are known.

use formwork_boot_proto::boot::{BootClient, BootOffer, Firmware, Platform};
use formwork_core::boot::{self, Asks, Client, Offer, decide};
use formwork_model::Objects;

use crate::render::KnownMachine;

/// Chooses what a client boots. `known` is the machine with its network card, `http` the base URL of the file server;
/// `exists` tells whether the file root has a file.
pub(super) fn boot_offer(
    objects: &impl Objects,
    known: Option<&KnownMachine>,
    client: &BootClient,
    http: &str,
    exists: &dyn Fn(&str) -> bool,
) -> BootOffer {
    match decide(objects, &asking(known, client), exists).offer {
        Offer::Nothing => BootOffer::None,
        Offer::Tftp(file) => BootOffer::File(file),
        Offer::Http(path) => BootOffer::Url(absolute(http, path)),
    }
}

/// Returns what the choice depends on.
pub(super) fn asking<'a>(known: Option<&'a KnownMachine>, client: &BootClient) -> Client<'a> {
    Client {
        machine: known.map(|known| known.uuid.as_str()),
        script: known.and_then(|known| known.script.as_deref()),
        platform: match client.platform {
            Platform::Bios => boot::Platform::Bios,
            Platform::UefiAmd64 => boot::Platform::UefiAmd64,
            Platform::UefiArm64 => boot::Platform::UefiArm64,
            Platform::RaspberryPi4 => boot::Platform::RaspberryPi4,
            Platform::Other(number) => boot::Platform::Other(number),
        },
        asks: match client.firmware {
            Firmware::PxeBios | Firmware::PxeUefi => Asks::File,
            Firmware::HttpUefi => Asks::Url,
            Firmware::Ipxe => Asks::Script,
        },
    }
}

fn absolute(base: &str, path: String) -> String {
    if path.contains("://") {
        return path;
    }
    format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'))
}

/// Returns what a firmware is called in logs.
pub(super) fn firmware_name(client: &BootClient) -> &'static str {
    match (client.firmware, client.platform) {
        (Firmware::Ipxe, _) => "ipxe",
        (Firmware::HttpUefi, _) => "uefi-http",
        (Firmware::PxeBios, _) => "bios",
        (Firmware::PxeUefi, Platform::RaspberryPi4) => "raspberry-pi",
        (Firmware::PxeUefi, Platform::UefiArm64) => "uefi-arm64",
        (Firmware::PxeUefi, _) => "uefi",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use formwork_boot_proto::dhcp::HardwareAddress;
    use formwork_model::{BootEnv, Machine, Object, Preference};
    use formwork_store::{Snapshot, Store};

    use super::*;

    const UUID: &str = "c0ffee00-77aa-4c3d-9e1f-525400770001";

    fn client(firmware: Firmware, platform: Platform) -> BootClient {
        let mac = HardwareAddress::ethernet([2, 0, 0, 0, 0, 1]);
        BootClient { mac, architecture: 0, platform, firmware, uuid: None }
    }

    /// A store with a machine in an environment that boots, which unknown machines boot too.
    fn objects() -> Snapshot {
        let env = BootEnv { name: "debian".into(), kernel: "vmlinuz".into(), ..BootEnv::default() };
        let machine = Machine { uuid: UUID.into(), boot_env: "debian".into(), ..Machine::default() };
        let unknown =
            Preference { name: "unknownBootEnv".into(), val: "debian".into(), ..Preference::default() };
        let all: Vec<Arc<dyn Object>> = vec![Arc::new(env), Arc::new(machine), Arc::new(unknown)];
        Store::memory(all).snapshot()
    }

    fn offer(known: Option<KnownMachine>, client: &BootClient, http: &str) -> BootOffer {
        boot_offer(&objects(), known.as_ref(), client, http, &|_| true)
    }

    #[tokio::test]
    async fn each_firmware_is_answered_in_its_own_way() {
        let http = "http://10.0.0.1:8091/";
        let url = |path: &str| BootOffer::Url(format!("{http}{path}"));
        let uefi = Platform::UefiAmd64;
        assert_eq!(offer(None, &client(Firmware::PxeUefi, uefi), http), BootOffer::File("ipxe.efi".into()));
        assert_eq!(offer(None, &client(Firmware::HttpUefi, uefi), http), url("ipxe.efi"));
        assert_eq!(offer(None, &client(Firmware::Ipxe, uefi), http), url("default.ipxe"));
        assert_eq!(offer(None, &client(Firmware::PxeUefi, Platform::Other(6)), http), BootOffer::None);
        assert_eq!(offer(None, &client(Firmware::PxeUefi, Platform::RaspberryPi4), http), BootOffer::None);
    }

    #[tokio::test]
    async fn script_is_that_of_the_card_and_a_whole_url_stays_one() {
        let ipxe = client(Firmware::Ipxe, Platform::Bios);
        let own = |script: &str| KnownMachine { uuid: UUID.into(), script: Some(script.to_owned()) };
        let http = "http://10.0.0.1:8091";
        let found = offer(Some(own("m.ipxe")), &ipxe, http);
        assert_eq!(found, BootOffer::Url(format!("{http}/m.ipxe")));
        let whole = "https://boot.example/machines/1.ipxe";
        assert_eq!(offer(Some(own(whole)), &ipxe, http), BootOffer::Url(whole.to_owned()));
    }
}
