use formwork_model::{Param, Preference};
use serde_json::{Value, json};

use super::*;
use crate::machine::tests::Shelf;

const UUID: &str = "c0ffee00-77aa-4c3d-9e1f-525400770001";

/// A few objects.
struct Few(Shelf);

impl Few {
    /// A machine in one environment, and another environment for unknown machines.
    fn new(boot_env: &str, unknown: &str) -> Self {
        let made = Self(Shelf::default());
        made.and(env("local", json!({})))
            .and(env("ignore", json!({"OnlyUnknown": true})))
            .and(env("discovery", json!({"OnlyUnknown": true, "Kernel": "vmlinuz", "Initrds": ["initrd.img"]})))
            .and(env("debian", json!({"Kernel": "linux", "OS": {"Name": "debian-12"}})))
            .and(env("secure", json!({"Kernel": "linux", "Loaders": {"amd64-uefi": "shimx64.efi"}})))
            .and(env(
                "arm",
                json!({"OS": {"SupportedArchitectures": {"aarch64": {"Kernel": "k", "Loader": "grubaa64.efi"}}}}),
            ))
            .and(Machine { uuid: UUID.into(), boot_env: boot_env.into(), ..Machine::default() })
            .and(Preference { name: "unknownBootEnv".into(), val: unknown.into(), ..Preference::default() })
    }

    fn and(self, object: impl Object + Clone) -> Self {
        Self(self.0.with(object))
    }

    /// Adds the profile of everybody with one parameter.
    fn with_global(self, name: &str, value: Value) -> Self {
        let profile: Profile = decoded(json!({"Name": "global", "Params": {name: value}}));
        self.and(profile)
    }
}

fn decoded<T: serde::de::DeserializeOwned>(members: Value) -> T {
    serde_json::from_value(members).unwrap()
}

fn env(name: &str, mut members: Value) -> BootEnv {
    members["Name"] = json!(name);
    decoded(members)
}

fn unknown(platform: Platform, asks: Asks) -> Client<'static> {
    Client { machine: None, script: None, platform, asks }
}

fn known(platform: Platform, asks: Asks) -> Client<'static> {
    Client { machine: Some(UUID), ..unknown(platform, asks) }
}

fn chosen(objects: &Few, client: &Client<'_>, present: &[&str]) -> (Offer, Rule) {
    let choice = decide(&objects.0, client, &|name| present.contains(&name));
    (choice.offer, choice.rule)
}

fn tftp(file: &str) -> Offer {
    Offer::Tftp(file.to_owned())
}

fn http(file: &str) -> Offer {
    Offer::Http(file.to_owned())
}

#[test]
fn row_191_each_platform_gets_its_loader_in_the_way_it_asks() {
    let arm = json!({"OnlyUnknown": true, "Kernel": "k", "OS": {"SupportedArchitectures": {"arm64": {}, "amd64": {}}}});
    let objects = Few::new("local", "both").and(env("both", arm));
    for (platform, asks, offer) in [
        (Platform::Bios, Asks::File, tftp("lpxelinux.0")),
        (Platform::UefiAmd64, Asks::File, tftp("ipxe.efi")),
        (Platform::UefiAmd64, Asks::Url, http("ipxe.efi")),
        (Platform::UefiArm64, Asks::File, tftp("ipxe-arm64.efi")),
        (Platform::UefiArm64, Asks::Url, http("ipxe-arm64.efi")),
        (Platform::Bios, Asks::Script, http("default.ipxe")),
        (Platform::UefiArm64, Asks::Script, http("default.ipxe")),
        (Platform::Other(6), Asks::File, Offer::Nothing),
        (Platform::RaspberryPi4, Asks::File, Offer::Nothing),
    ] {
        let found = chosen(&objects, &unknown(platform, asks), &[]);
        assert_eq!(found.0, offer, "{platform} {asks:?}: {}", found.1);
    }
}

#[test]
fn raspberry_pi_boots_an_environment_that_is_for_it() {
    let pi =
        json!({"OnlyUnknown": true, "OS": {"SupportedArchitectures": {"rpi4": {"Kernel": "kernel8.img"}}}});
    let objects = Few::new("local", "pi").and(env("pi", pi));
    let client = unknown(Platform::RaspberryPi4, Asks::File);
    assert_eq!(chosen(&objects, &client, &["start4.elf"]), (tftp("start4.elf"), Rule::UsualLoader));
}

#[test]
fn environment_for_another_architecture_boots_nothing() {
    let objects = Few::new("local", "discovery");
    let client = unknown(Platform::UefiArm64, Asks::File);
    let choice = decide(&objects.0, &client, &|_| true);
    assert_eq!((choice.offer, choice.rule), (Offer::Nothing, Rule::NothingToBoot("discovery".into())));
    assert_eq!(choice.passed_over[0], PassedOver::NoKernel { env: "discovery".into(), arch: "arm64" });
}

#[test]
fn unknown_machine_boots_only_where_something_is_meant_for_it() {
    for (asks, offer) in [(Asks::File, tftp("lpxelinux.0")), (Asks::Script, http("default.ipxe"))] {
        let client = unknown(Platform::Bios, asks);
        let nothing = (Offer::Nothing, Rule::NothingToBoot("ignore".into()));
        assert_eq!(chosen(&Few::new("local", "ignore"), &client, &["lpxelinux.0"]), nothing);
        assert_eq!(chosen(&Few::new("local", "discovery"), &client, &["lpxelinux.0"]).0, offer);
    }
    let client = unknown(Platform::Bios, Asks::File);
    assert_eq!(chosen(&Few::new("local", "gone"), &client, &[]).1, Rule::NoBootEnv("gone".into()));
}

#[test]
fn loader_that_is_not_there_gives_way_to_the_first_that_is() {
    let objects = Few::new("local", "discovery");
    let bios = unknown(Platform::Bios, Asks::File);
    let there = ["ipxe.pxe", "undionly.kpxe"];
    assert_eq!(chosen(&objects, &bios, &there), (tftp("undionly.kpxe"), Rule::StandIn));
    assert_eq!(chosen(&objects, &bios, &["ipxe.pxe"]), (tftp("ipxe.pxe"), Rule::StandIn));
    let choice = decide(&objects.0, &bios, &|_| false);
    assert_eq!((choice.offer, choice.rule), (tftp("lpxelinux.0"), Rule::UsualLoader));
    let missed = choice.passed_over.iter().filter(|passed| matches!(passed, PassedOver::NotThere(_)));
    assert_eq!(missed.count(), 3);
    let uefi = unknown(Platform::UefiAmd64, Asks::Url);
    assert_eq!(chosen(&objects, &uefi, &["snponly.efi"]), (http("snponly.efi"), Rule::StandIn));
}

#[test]
fn environment_goes_before_its_architecture_and_that_before_the_param() {
    let param = json!({"amd64-uefi": "param.efi", "arm64-uefi": "param.efi", "386-pcbios": "param.0"});
    let objects = |env: &str| Few::new(env, "ignore").with_global("bootloaders", param.clone());
    let amd64 = known(Platform::UefiAmd64, Asks::File);
    let found = chosen(&objects("secure"), &amd64, &["ipxe.efi"]);
    assert_eq!(found, (tftp("shimx64.efi"), Rule::EnvLoader("secure".into())));
    let found = chosen(&objects("arm"), &known(Platform::UefiArm64, Asks::File), &[]);
    assert_eq!(found, (tftp("grubaa64.efi"), Rule::ArchLoader("arm".into())));
    let of_param = Rule::ParamLoader("profiles:global".into());
    assert_eq!(chosen(&objects("debian"), &amd64, &[]), (tftp("param.efi"), of_param.clone()));
    let bios = known(Platform::Bios, Asks::File);
    assert_eq!(chosen(&objects("debian"), &bios, &["lpxelinux.0"]), (tftp("param.0"), of_param));
}

#[test]
fn loader_of_everybody_can_be_the_default_of_the_param() {
    let param: Param =
        decoded(json!({"Name": "bootloaders", "Schema": {"default": {"amd64-uefi": "shimx64.efi"}}}));
    let objects = Few::new("debian", "ignore").and(param);
    let found = chosen(&objects, &known(Platform::UefiAmd64, Asks::File), &[]);
    assert_eq!(found, (tftp("shimx64.efi"), Rule::ParamLoader("params:bootloaders".into())));
}

#[test]
fn ipxe_gets_a_script_and_never_itself() {
    let ipxe = known(Platform::UefiAmd64, Asks::Script);
    let own = Client { script: Some("02:00:00:00:00:01.ipxe"), ..ipxe };
    let objects = Few::new("secure", "ignore");
    assert_eq!(chosen(&objects, &own, &[]), (http("02:00:00:00:00:01.ipxe"), Rule::MachineScript));
    // Without a script of its own it gets the loader that the environment is made for.
    assert_eq!(chosen(&objects, &ipxe, &[]), (tftp("shimx64.efi"), Rule::EnvLoader("secure".into())));
    let loops = json!({"amd64-uefi": "boot/snponly.efi", "386-pcbios": "undionly.kpxe"});
    let objects = Few::new("debian", "ignore").with_global("bootloaders", loops);
    for platform in [Platform::UefiAmd64, Platform::Bios] {
        let found = chosen(&objects, &known(platform, Asks::Script), &["ipxe.pxe"]);
        assert_eq!(found, (http("default.ipxe"), Rule::DefaultScript), "{platform}");
    }
}

#[test]
fn machine_in_local_gets_what_sends_it_to_its_disk_or_nothing() {
    let objects = Few::new("local", "discovery");
    let ipxe = known(Platform::Bios, Asks::Script);
    let own = Client { script: Some("m.ipxe"), ..ipxe };
    assert_eq!(chosen(&objects, &own, &[]), (http("m.ipxe"), Rule::MachineScript));
    let bios = Client { asks: Asks::File, ..own };
    assert_eq!(chosen(&objects, &bios, &["undionly.kpxe"]).0, tftp("undionly.kpxe"));
    assert_eq!(chosen(&objects, &ipxe, &[]).0, Offer::Nothing);
}

#[test]
fn customised_environment_names_the_loader() {
    let custom = json!({"debian": {"Loaders": {"amd64-uefi": "other.efi"}}});
    let objects = Few::new("debian", "ignore").with_global("bootenv-customize", custom);
    let found = chosen(&objects, &known(Platform::UefiAmd64, Asks::File), &["ipxe.efi"]);
    assert_eq!(found, (tftp("other.efi"), Rule::EnvLoader("debian".into())));
}

#[test]
fn levels_customise_an_environment_from_the_least_specific_to_the_most() {
    let custom = |template: &str, version: &str| {
        json!({"debian": {
            "OS": {"Version": version, "Name": "", "SupportedArchitectures": {"x86_64": {"BootParams": template}}},
            "Templates": [{"Name": "one", "Path": "p", "Contents": template}, {"Name": template, "Path": template}],
        }, "other": {"Loaders": {"amd64-uefi": "no.efi"}}})
    };
    let objects = Few::new("debian", "ignore")
        .with_global("bootenv-customize", custom("everybody", "12"))
        .and(env("debian-own", json!({})));
    let machine: Machine =
        decoded(json!({"Uuid": UUID, "Params": {"bootenv-customize": custom("mine", "")}}));
    let before = objects.0.get::<BootEnv>("debian").unwrap();
    let levels = params::levels(&objects.0, &machine);
    let env = customized(&objects.0, &levels, Arc::clone(&before));
    assert_eq!((env.os.name.as_str(), env.os.version.as_str()), ("debian-12", "12"));
    let names: Vec<_> =
        env.templates.iter().map(|entry| (entry.name.as_str(), entry.contents.as_str())).collect();
    assert_eq!(names, [("one", "mine"), ("everybody", ""), ("mine", "")]);
    let arch = env.for_arch("amd64");
    // The data at the top count as those of amd64, and stay what nobody replaced.
    assert_eq!((arch.kernel.as_str(), arch.boot_params.as_str()), ("linux", "mine"));
    assert_eq!(env.loaders.len(), 0);
    // Nothing of it is about this one, and what has another form is nothing.
    let own = objects.0.get::<BootEnv>("debian-own").unwrap();
    assert!(Arc::ptr_eq(&customized(&objects.0, &levels, Arc::clone(&own)), &own));
    let odd =
        Few::new("debian", "ignore").with_global("bootenv-customize", json!({"debian": {"Loaders": 1}}));
    let levels = params::levels(&odd.0, &machine);
    assert!(
        !Arc::ptr_eq(&customized(&odd.0, &levels, Arc::clone(&before)), &before),
        "the machine's own is left"
    );
}

#[test]
fn nearest_change_for_an_unknown_machine_is_to_discover_it() {
    let objects = Few::new("local", "ignore");
    let client = unknown(Platform::UefiAmd64, Asks::File);
    let there = ["ipxe.efi", "discovery/install/vmlinuz", "discovery/install/initrd.img"];
    let found = nearest(&objects.0, &client, &|name| there.contains(&name)).unwrap();
    assert_eq!(found.edits, [Edit::UnknownBootEnv("discovery".into())]);
    assert_eq!(found.choice.offer, tftp("ipxe.efi"));
    assert_eq!(found.edits[0].to_string(), "set the preference `unknownBootEnv` to `discovery`");
}

#[test]
fn nearest_change_names_the_files_that_are_missing() {
    let objects = Few::new("local", "discovery");
    let client = unknown(Platform::UefiAmd64, Asks::File);
    let found = nearest(&objects.0, &client, &|name| name != "ipxe.efi" && name != "snponly.efi").unwrap();
    assert_eq!(found.edits, [Edit::Loader("ipxe.efi".into())]);
    let found = nearest(&objects.0, &client, &|name| name == "ipxe.efi").unwrap();
    let file = |path: &str| Edit::EnvFile { env: "discovery".into(), path: path.into() };
    assert_eq!(found.edits, [file("discovery/install/vmlinuz"), file("discovery/install/initrd.img")]);
    assert_eq!(nearest(&objects.0, &client, &|_| true), None, "it boots");
}

#[test]
fn nearest_change_of_a_known_machine_is_the_environment_that_lacks_the_least() {
    let objects = Few::new("local", "discovery");
    let client = Client { script: Some("m.ipxe"), ..known(Platform::Bios, Asks::Script) };
    let found = nearest(&objects.0, &client, &|name| name == "debian-12/install/linux").unwrap();
    assert_eq!(found.edits, [Edit::BootEnv { machine: UUID.into(), env: "debian".into() }]);
    let nothing = known(Platform::Other(6), Asks::File);
    assert_eq!(nearest(&objects.0, &nothing, &|_| true), None);
}
