use std::collections::BTreeMap;

use formwork_model::{BootEnv, ComponentKind, Object, Param, Role, Stage, Task};
use serde_json::{Value, json};

use super::*;

/// The objects of both packs.
fn objects() -> impl Iterator<Item = &'static std::sync::Arc<dyn Object>> {
    basic().unwrap().objects.iter().chain(&core().unwrap().objects)
}

fn find<T: Object>(key: &str) -> &'static T {
    let objects = objects();
    let mut found = objects.filter_map(|object| object.as_any().downcast_ref::<T>());
    found.find(|object| object.key() == key).unwrap()
}

fn template_names(bootenv: &BootEnv) -> Vec<(&str, &str)> {
    bootenv.templates.iter().map(|entry| (entry.name.as_str(), entry.path.as_str())).collect()
}

#[test]
fn every_object_is_in_order_read_only_and_names_its_pack() {
    for object in objects() {
        let name = format!("{}:{}", object.kind().prefix, object.key());
        assert_eq!(object.problems(), Vec::<String>::new(), "{name}");
        let header = object.header();
        let bundle = if basic().unwrap().objects.iter().any(|basic| std::sync::Arc::ptr_eq(basic, object)) {
            "BasicStore"
        } else {
            "core"
        };
        assert!(header.read_only && header.available && header.bundle == bundle, "{name}");
        let json = object.to_json();
        assert!(json["Description"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
        if object.kind().prefix != "templates" {
            assert!(!json["Documentation"].as_str().unwrap().is_empty(), "{name}");
            for word in ["icon", "color", "title"] {
                assert!(header.meta.contains_key(word), "{name}: {word}");
            }
        }
    }
}

#[test]
fn every_reference_stays_within_the_packs_and_below() {
    for pack in [basic().unwrap(), core().unwrap()] {
        for object in &pack.objects {
            for needed in object.references() {
                // What is below a layer is always there; what is above it is not.
                let there = pack
                    .objects
                    .iter()
                    .chain(&basic().unwrap().objects)
                    .any(|other| other.kind().prefix == needed.prefix && other.key() == needed.key);
                assert!(there, "{}", needed.message);
            }
        }
    }
}

fn keys(pack: &Pack) -> Value {
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for object in &pack.objects {
        found.entry(object.kind().prefix).or_default().push(object.key());
    }
    json!(found)
}

#[test]
fn basic_objects_are_those_of_the_reference_and_no_others() {
    let expected = json!({
        "bootenvs": ["ignore", "local"],
        "params": ["pxelinux-local-boot"],
        "roles": ["superuser"],
        "stages": ["local", "none"],
    });
    assert_eq!(keys(basic().unwrap()), expected);
    assert!(basic().unwrap().components.is_empty());
}

#[test]
fn objects_of_core_are_these() {
    let expected = json!({
        "bootenvs": ["discovery"],
        "params": ["bootenv-customize", "bootloaders", "cron-trigger/schedule", "dhcp6/dns", "dhcp6/domain", "dhcp6/lease-time",
            "dhcp6/prefix", "dhcp6/router-lifetime", "discovery/kernel-options", "event-trigger/event-match", "greet/message",
            "greet/name", "inventory/cpu", "inventory/disks", "inventory/dmi", "inventory/memory", "inventory/nics",
            "kexec-ok", "last-boot-macaddr", "rs-debug-enable", "rs-debug-output", "task-error-handlers", "task-reboots", "task-retry", "task-single-step", "task-stop-at", "task-timeout"],
        "stages": ["discover"],
        "tasks": ["greet", "inventory"],
        "templates": ["discovery-grub", "discovery-ipxe", "discovery-pxelinux", "prelude.tmpl", "setup.tmpl"],
        "trigger_providers": ["cron-trigger", "event-trigger", "webhook-trigger"],
        "workflows": ["discover"],
    });
    assert_eq!(keys(core().unwrap()), expected);
}

#[test]
fn layers_are_overwritable_and_of_their_types() {
    for (pack, name, kind) in
        [(basic().unwrap(), "BasicStore", "basic"), (core().unwrap(), "core", "default")]
    {
        let meta = &pack.meta;
        assert_eq!((meta.name.as_str(), meta.r#type.as_str(), meta.overwritable), (name, kind, true));
        assert!(!meta.writable);
    }
}

#[test]
fn built_in_bootenvs_are_those_of_the_api() {
    let ignore: &BootEnv = find("ignore");
    assert!(ignore.only_unknown && ignore.os.name == "ignore");
    let paths = [("pxelinux", "pxelinux.cfg/default"), ("ipxe", "default.ipxe"), ("grub", "grub/grub.cfg")];
    assert_eq!(template_names(ignore), paths);
    assert_eq!(template_names(find("discovery")), paths);
    let local: &BootEnv = find("local");
    assert!(!local.only_unknown && local.os.name == "local");
    let expected = [
        ("pxelinux", "pxelinux.cfg/{{.Machine.HexAddress}}"),
        ("ipxe", "{{.Machine.Address}}.ipxe"),
        ("pxelinux-mac", "pxelinux.cfg/{{.Machine.MacAddr \"pxelinux\"}}"),
        ("ipxe-mac", "{{.Machine.MacAddr \"ipxe\"}}.ipxe"),
        ("grub", "grub/{{.Machine.Address}}.cfg"),
        ("grub-mac", "grub/{{.Machine.MacAddr \"grub\"}}.cfg"),
    ];
    assert_eq!(template_names(local), expected);
    for (bootenv, icon) in [(ignore, "circle thin"), (local, "radio")] {
        let expected = [
            ("color", "green"),
            ("feature-flags", "change-stage-v2"),
            ("icon", icon),
            ("title", "Digital Rebar Provision"),
        ];
        let meta: Vec<_> =
            bootenv.header.meta.iter().map(|(name, word)| (name.as_str(), word.as_str())).collect();
        assert_eq!(meta, expected);
    }
    assert_eq!(find::<Stage>("local").boot_env, "local");
    assert_eq!(find::<Role>("superuser").claims, [formwork_model::Claim::new("*", "*", "*")]);
}

#[test]
fn boot_files_of_unknown_machines_do_not_ask_for_a_machine() {
    for name in ["ignore", "discovery"] {
        let bootenv: &BootEnv = find(name);
        for entry in &bootenv.templates {
            let text = if entry.id.is_empty() {
                entry.contents.clone()
            } else {
                find::<formwork_model::Template>(&entry.id).contents.clone()
            };
            assert!(!format!("{}{text}{}", entry.path, bootenv.boot_params).contains(".Machine"), "{name}");
        }
    }
}

#[test]
fn ipxe_scripts_are_known_by_their_first_line() {
    let script: &formwork_model::Template = find("discovery-ipxe");
    let (comment, body) = script.contents.split_once("*/ -}}\n").unwrap();
    assert!(comment.starts_with("{{/*") && body.starts_with("#!ipxe\n"));
    assert!(script.description.starts_with("iPXE script of the discovery system"), "{}", script.description);
    for name in ["ignore", "local"] {
        let bootenv: &BootEnv = find(name);
        let scripts = bootenv.templates.iter().filter(|entry| entry.name.starts_with("ipxe"));
        assert!(scripts.clone().count() > 0);
        scripts.for_each(|entry| assert!(entry.contents.starts_with("#!ipxe\n"), "{name}"));
    }
}

#[test]
fn components_are_built_and_may_do_what_the_manifest_says() {
    let pack = core().unwrap();
    let found: Vec<_> = pack
        .components
        .iter()
        .map(|component| {
            (component.record.name.as_str(), component.record.kind, component.record.grants.len())
        })
        .collect();
    let expected = [
        ("classic", ComponentKind::Workflow, 0),
        ("inventory", ComponentKind::Task, 4),
        ("greet", ComponentKind::Task, 3),
    ];
    assert_eq!(found, expected);
    for component in &pack.components {
        // The preamble of a component: magic number, then version 13 of layer 1.
        assert!(component.wasm.starts_with(b"\0asm\x0d\0\x01\0"), "{}", component.record.name);
        assert_eq!(component.record.digest, crate::digest(&component.wasm));
        assert_eq!(component.record.digest.len(), 64);
    }
    assert_eq!(pack.components[1].record.grants[..2], ["params: write inventory/*", "files: /sys ro"]);
    assert_eq!(find::<Task>("inventory").component, "core/inventory");
}

#[test]
fn every_schema_is_valid_and_accepts_its_default() {
    for object in objects() {
        let Some(param) = object.as_any().downcast_ref::<Param>() else { continue };
        let schema = jsonschema::draft4::new(&param.schema).unwrap();
        assert!(param.default_value().is_none_or(|value| schema.is_valid(value)), "{}", param.name);
        assert!(!schema.is_valid(&Value::Null), "{} accepts anything", param.name);
    }
}

#[test]
fn schemas_fit_what_the_inventory_writes() {
    let dimm = json!({"size_bytes": 1_073_741_824, "speed_mts": 3200, "slot": "A1", "part": "P"});
    let disk = json!({"name": "vda", "size_bytes": 4096, "serial": "S", "wwid": "w", "rotational": false});
    let nic = json!({"name": "eth0", "mac": "52:54:00:00:00:01", "operstate": "up", "speed_mbps": 10_000, "mtu": 1500});
    for (name, good, bad) in [
        ("inventory/dmi", json!({"sys_vendor": "V"}), json!({"sys_vendor": 1})),
        (
            "inventory/cpu",
            json!({"threads": 4, "cores": 2, "sockets": 1, "flags": ["fpu"]}),
            json!({"threads": 0}),
        ),
        (
            "inventory/memory",
            json!({"total_bytes": 1, "swap_bytes": 0, "modules": [dimm]}),
            json!({"modules": [{}]}),
        ),
        ("inventory/disks", json!([disk]), json!([{"name": "vda"}])),
        ("inventory/nics", json!([nic]), json!([{"name": "eth0"}])),
        ("task-retry", json!({"greet": 3}), json!({"greet": -1})),
        ("task-error-handlers", json!({"greet": ["mend"]}), json!({"greet": "mend"})),
        ("task-stop-at", json!(["greet"]), json!("greet")),
        ("task-single-step", json!(true), json!("true")),
    ] {
        let schema = jsonschema::draft4::new(&find::<Param>(name).schema).unwrap();
        assert!(schema.is_valid(&good), "{name}");
        assert!(!schema.is_valid(&bad), "{name}");
    }
}
