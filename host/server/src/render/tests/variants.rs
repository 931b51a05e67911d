//! Files by the UUID of a machine, and boot environments that a parameter changes.

use super::*;

const SYSTEM: &str = "00112233-4455-6677-8899-aabbccddeeff";
const TURNED: &str = "33221100-5544-7766-8899-aabbccddeeff";

fn custom(contents: &str) -> Json {
    let script =
        json!({"Name": "ipxe-mac", "Path": "{{.Machine.MacAddr \"ipxe\"}}.ipxe", "Contents": contents});
    let more = json!({"Name": "more", "Path": "{{.Machine.Path}}/more", "Contents": "{{.Env.OS.Version}}"});
    json!({"discovery": {
        "Templates": [script, more],
        "OS": {"Version": "13", "SupportedArchitectures": {"amd64": {"Kernel": "other"}}},
    }})
}

fn site_profile(params: Json) -> Profile {
    serde_json::from_value(json!({"Name": "site", "Params": params})).unwrap()
}

#[tokio::test]
async fn machine_has_its_files_by_its_uuids_in_both_byte_orders() {
    let case = Case::new(Vec::new());
    assert!(case.file(&format!("pxelinux.cfg/{SYSTEM}")).is_none());
    let mut known = machine();
    known.fingerprint.system_uuid = SYSTEM.to_uppercase();
    case.put(known.clone()).await;
    for uuid in [UUID, SYSTEM, TURNED, &SYSTEM.to_uppercase()] {
        assert_eq!(case.text(&format!("pxelinux.cfg/{uuid}")), "common to m1", "{uuid}");
        // The script of the first card, not that of the address.
        let script = case.text(&format!("/{uuid}.ipxe"));
        assert_eq!(script, case.text("52:54:00:77:00:01.ipxe"), "{uuid}");
        assert!(case.file(&format!("grub/{uuid}.cfg")).is_none(), "the environment has nothing for grub");
    }
    // What the machine was known by before is forgotten.
    known.fingerprint.system_uuid = String::new();
    case.put(known).await;
    assert!(case.file(&format!("pxelinux.cfg/{TURNED}")).is_none());
    assert_eq!(case.text(&format!("pxelinux.cfg/{UUID}")), "common to m1");
}

#[tokio::test]
async fn param_of_a_profile_changes_the_files_of_its_machines() {
    let case = Case::new(Vec::new());
    let script = "52:54:00:77:00:01.ipxe";
    assert!(case.text(script).starts_with("#!ipxe\nkernel http://10.0.0.1:8091/discovery/install/vmlinuz"));
    case.put(site_profile(
        json!({"bootenv-customize": custom("kernel {{.Env.PathFor \"http\" .Env.Kernel}}")}),
    ))
    .await;
    assert_eq!(case.text(script), "kernel http://10.0.0.1:8091/discovery/install/other");
    assert_eq!(case.text(&format!("machines/{UUID}/more")), "13");
    assert_eq!(case.text("10.0.0.50.ipxe"), "chain 52:54:00:77:00:01.ipxe", "the other entries stay");
    case.put(site_profile(json!({}))).await;
    assert!(case.text(script).starts_with("#!ipxe"));
    assert!(case.file(&format!("machines/{UUID}/more")).is_none());
}

#[tokio::test]
async fn machine_has_the_last_word_on_its_boot_environment() {
    let case =
        Case::new(vec![Arc::new(Profile { name: "global".into(), ..Profile::default() }) as Arc<dyn Object>]);
    case.put(site_profile(json!({"bootenv-customize": custom("of the site")}))).await;
    let script = "52:54:00:77:00:02.ipxe";
    assert_eq!(case.text(script), "of the site");
    let mut own = machine();
    own.params = [("bootenv-customize".into(), custom("of its own"))].into();
    case.put(own).await;
    assert_eq!(case.text(script), "of its own");
    // A change of the environment is seen below what parameters say.
    let more = entry("last", "last", "of all");
    let templates = discovery().templates.into_iter().chain([more]).collect();
    case.put(BootEnv { templates, ..discovery() }).await;
    assert_eq!((case.text(script).as_str(), case.text("last").as_str()), ("of its own", "of all"));
    case.put(machine()).await;
    assert_eq!(case.text(script), "of the site");
}
