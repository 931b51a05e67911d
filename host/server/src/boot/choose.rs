//! What a client boots (drp-behaviour.md 5.7).

use formwork_boot_proto::boot::{BootClient, BootOffer, DEFAULT_SCRIPT, Firmware, Loaders, Platform, choose};
use formwork_core::{machine, params, preferences};
use formwork_model::{BootEnv, Machine, Object, Objects, ObjectsExt, Profile};
use serde_json::Value;

use crate::render::KnownMachine;

/// The loaders that firmware gets when nobody says otherwise, and what takes the place of one that is not there.
const USUAL: &[(&str, &str)] =
    &[("lpxelinux.0", "undionly.kpxe"), ("ipxe.efi", "snponly.efi"), ("ipxe-arm64.efi", "snponly-arm64.efi")];

/// The parameter with loaders by platform.
const LOADERS_PARAM: &str = "bootloaders";

/// Chooses what a client boots. `known` is the machine with its network card; `exists` tells whether the file root
/// has a file.
pub(super) fn boot_offer(
    objects: &impl Objects,
    known: Option<&KnownMachine>,
    client: &BootClient,
    http: &str,
    exists: &dyn Fn(&str) -> bool,
) -> BootOffer {
    let machine = known.and_then(|known| objects.get::<Machine>(&known.uuid));
    let env = match &machine {
        Some(machine) => machine::boot_env(objects, machine),
        None => objects.get::<BootEnv>(&preferences::value(objects, "unknownBootEnv")),
    };
    let Some(env) = env else { return BootOffer::None };
    let subject: &dyn Object = match &machine {
        Some(machine) => machine.as_ref(),
        None => &Profile { profiles: vec![String::from("global")], ..Profile::default() },
    };
    let (arch, loader_key) = names(client.platform);
    let own = own_loader(objects, subject, &env, arch, loader_key);
    let boots = !env.for_arch(arch).kernel.is_empty() || own.is_some();
    let script = known.and_then(|known| known.script.as_deref());
    let script = match (machine.is_some(), script) {
        // The file server says what an unknown machine does; one that nothing is meant for is left alone.
        (false, _) if !boots => return BootOffer::None,
        (true, None) if !boots => return BootOffer::None,
        (_, script) => script.unwrap_or(DEFAULT_SCRIPT),
    };
    choose(client, &loaders(client.platform, own, exists), http, script)
}

/// Returns the names of a platform in boot environments: its architecture, and its key among loaders.
fn names(platform: Platform) -> (&'static str, &'static str) {
    match platform {
        Platform::Bios => ("amd64", "386-pcbios"),
        Platform::UefiAmd64 => ("amd64", "amd64-uefi"),
        Platform::UefiArm64 => ("arm64", "arm64-uefi"),
        Platform::Other(_) => ("", ""),
    }
}

/// Returns the loader that somebody chose: in the environment, for its architecture, or as a parameter.
fn own_loader(
    objects: &impl Objects,
    subject: &dyn Object,
    env: &BootEnv,
    arch: &str,
    key: &str,
) -> Option<String> {
    let given = |loader: &String| !loader.is_empty();
    // The loader of an architecture is for UEFI, which is all that the other architectures have.
    let of_arch = Some(env.for_arch(arch).loader).filter(|_| key != "386-pcbios").filter(given);
    env.loaders.get(key).cloned().filter(given).or(of_arch).or_else(|| {
        let map = params::resolve(objects, subject, LOADERS_PARAM)?;
        map.get(key).and_then(Value::as_str).map(str::to_owned).filter(given)
    })
}

fn loaders(platform: Platform, own: Option<String>, exists: &dyn Fn(&str) -> bool) -> Loaders {
    let mut usual = USUAL.iter().map(|(first, second)| {
        if !exists(first) && exists(second) { (*second).to_owned() } else { (*first).to_owned() }
    });
    let mut next = || usual.next().unwrap_or_default();
    let mut loaders = Loaders { bios: next(), uefi_amd64: next(), uefi_arm64: next() };
    let Some(own) = own else { return loaders };
    match platform {
        Platform::Bios => loaders.bios = own,
        Platform::UefiAmd64 => loaders.uefi_amd64 = own,
        Platform::UefiArm64 => loaders.uefi_arm64 = own,
        Platform::Other(_) => {}
    }
    loaders
}

/// Returns what a firmware is called in logs.
pub(super) fn firmware_name(client: &BootClient) -> &'static str {
    match (client.firmware, client.platform) {
        (Firmware::Ipxe, _) => "ipxe",
        (Firmware::HttpUefi, _) => "uefi-http",
        (Firmware::PxeBios, _) => "bios",
        (Firmware::PxeUefi, Platform::UefiArm64) => "uefi-arm64",
        (Firmware::PxeUefi, _) => "uefi",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use formwork_boot_proto::dhcp::HardwareAddress;
    use formwork_model::Preference;
    use formwork_store::{Snapshot, Store};

    use super::*;

    const HTTP: &str = "http://10.0.0.1:8091";
    const UUID: &str = "c0ffee00-77aa-4c3d-9e1f-525400770001";

    fn client(firmware: Firmware, platform: Platform) -> BootClient {
        let mac = HardwareAddress::ethernet([2, 0, 0, 0, 0, 1]);
        BootClient { mac, architecture: 0, platform, firmware, uuid: None }
    }

    fn known(script: Option<&str>) -> KnownMachine {
        KnownMachine { uuid: UUID.to_owned(), script: script.map(str::to_owned) }
    }

    /// A store with a machine in an environment, and another environment for unknown machines.
    fn objects(boot_env: &str, unknown: &str) -> Snapshot {
        let env = |name: &str, kernel: &str| BootEnv {
            name: name.to_owned(),
            kernel: kernel.to_owned(),
            ..BootEnv::default()
        };
        let mut secure = env("secure", "vmlinuz");
        secure.loaders.insert(String::from("amd64-uefi"), String::from("shim.efi"));
        let machine =
            Machine { uuid: UUID.into(), name: "m1".into(), boot_env: boot_env.into(), ..Machine::default() };
        let preference =
            Preference { name: "unknownBootEnv".into(), val: unknown.into(), ..Preference::default() };
        let all: Vec<Arc<dyn Object>> = vec![
            Arc::new(env("local", "")),
            Arc::new(env("ignore", "")),
            Arc::new(env("discovery", "vmlinuz")),
            Arc::new(secure),
            Arc::new(machine),
            Arc::new(preference),
        ];
        Store::memory(all).snapshot()
    }

    fn offer(
        objects: &Snapshot,
        known: Option<&KnownMachine>,
        client: &BootClient,
        present: &[&str],
    ) -> BootOffer {
        boot_offer(objects, known, client, HTTP, &|name| present.contains(&name))
    }

    fn url(path: &str) -> BootOffer {
        BootOffer::Url(format!("{HTTP}/{path}"))
    }

    #[tokio::test]
    async fn unknown_machine_boots_only_where_something_is_meant_for_it() {
        let ipxe = client(Firmware::Ipxe, Platform::Bios);
        let bios = client(Firmware::PxeBios, Platform::Bios);
        let nothing = objects("local", "ignore");
        assert_eq!(offer(&nothing, None, &ipxe, &[]), BootOffer::None);
        assert_eq!(offer(&nothing, None, &bios, &["lpxelinux.0"]), BootOffer::None);
        let discovery = objects("local", "discovery");
        assert_eq!(offer(&discovery, None, &ipxe, &[]), url("default.ipxe"));
        assert_eq!(offer(&discovery, None, &bios, &[]), BootOffer::File("lpxelinux.0".into()));
    }

    #[tokio::test]
    async fn loader_that_is_not_there_gives_way_to_the_one_that_is() {
        let objects = objects("local", "discovery");
        let bios = client(Firmware::PxeBios, Platform::Bios);
        let uefi = client(Firmware::PxeUefi, Platform::UefiAmd64);
        let http = client(Firmware::HttpUefi, Platform::UefiAmd64);
        assert_eq!(offer(&objects, None, &bios, &["undionly.kpxe"]), BootOffer::File("undionly.kpxe".into()));
        assert_eq!(offer(&objects, None, &uefi, &["snponly.efi"]), BootOffer::File("snponly.efi".into()));
        assert_eq!(offer(&objects, None, &http, &["snponly.efi", "ipxe.efi"]), url("ipxe.efi"));
    }

    #[tokio::test]
    async fn known_machine_gets_its_own_script_and_its_environment_names_the_loader() {
        let ipxe = client(Firmware::Ipxe, Platform::UefiAmd64);
        let uefi = client(Firmware::PxeUefi, Platform::UefiAmd64);
        let objects = objects("secure", "ignore");
        let own = known(Some("02:00:00:00:00:01.ipxe"));
        assert_eq!(offer(&objects, Some(&own), &ipxe, &[]), url("02:00:00:00:00:01.ipxe"));
        assert_eq!(offer(&objects, Some(&own), &uefi, &["ipxe.efi"]), BootOffer::File("shim.efi".into()));
    }

    #[tokio::test]
    async fn machine_in_local_gets_a_script_that_ends_or_nothing() {
        let objects = objects("local", "discovery");
        let ipxe = client(Firmware::Ipxe, Platform::Bios);
        let bios = client(Firmware::PxeBios, Platform::Bios);
        let own = known(Some("m.ipxe"));
        assert_eq!(offer(&objects, Some(&own), &ipxe, &[]), url("m.ipxe"));
        assert_eq!(
            offer(&objects, Some(&own), &bios, &["undionly.kpxe"]),
            BootOffer::File("undionly.kpxe".into())
        );
        assert_eq!(offer(&objects, Some(&known(None)), &ipxe, &[]), BootOffer::None);
    }
}
