//! Rules of the files that machines boot from, one named test each (features.md).

use super::*;
use crate::{
    housekeeping::note_rendering,
    render::{self, BootFile, RenderProblem},
};

impl Site {
    /// Makes a boot environment whose files, by their paths, say its name and that of the machine.
    async fn boot_env(&self, name: &str, paths: &[&str]) {
        let contents = format!("{name} of {{{{.Machine.Name}}}}");
        let entries: Vec<Value> =
            paths.iter().map(|path| json!({"Name": path, "Path": path, "Contents": contents})).collect();
        self.taken("POST", "/bootenvs", &json!({"Name": name, "Templates": entries})).await;
    }

    fn rendered(&self, path: &str) -> Option<Result<BootFile, RenderProblem>> {
        let endpoint = &self.endpoint;
        let located = render::locate(endpoint, path)?;
        let own = Arc::clone(endpoint) as Arc<dyn render::Site>;
        let rendered = endpoint.renderer.render(&located, &own, &endpoint.store)?;
        Some(rendered.map(|rendered| rendered.file))
    }

    /// Returns what a machine gets that asks for a path; nothing for one that is not there.
    fn served(&self, path: &str) -> Option<String> {
        match self.rendered(path)? {
            Ok(BootFile::Text(text)) => Some(text),
            other => panic!("{path}: {other:?}"),
        }
    }
}

/// Paths by the address of a machine, as usual content has them (drp-behaviour.md 5.5).
const BY_ADDRESS: &[&str] = &["pxelinux.cfg/{{.Machine.HexAddress}}", "{{.Machine.Address}}.ipxe"];

#[tokio::test]
async fn row_017_address_makes_the_files_whoever_has_set_it() {
    let site = Site::new(Wishes::default());
    site.boot_env("env", BY_ADDRESS).await;
    let (path, _) = site.machine_of(json!({"BootEnv": "env"})).await;
    assert_eq!(site.served("pxelinux.cfg/0A000032"), None);
    site.taken("PATCH", &path, &replace("/Address", json!("10.0.0.50"))).await;
    assert_eq!(site.now("/leases").await, json!([]));
    for file in ["pxelinux.cfg/0A000032", "10.0.0.50.ipxe"] {
        assert_eq!(site.served(file).as_deref(), Some("env of m1"), "{file}");
    }
    site.taken("PATCH", &path, &replace("/Address", json!("10.0.0.51"))).await;
    assert_eq!(site.served("pxelinux.cfg/0A000032"), None);
    assert_eq!(site.served("pxelinux.cfg/0A000033").as_deref(), Some("env of m1"));
}

#[tokio::test]
async fn row_019_arch_chooses_what_boots_and_other_spellings_are_refused_with_a_hint() {
    let site = Site::new(Wishes::default());
    let entry = json!({"Name": "script", "Path": "{{.Machine.Address}}.ipxe",
                       "Contents": "{{.Env.Kernel}} {{.BootParams}}"});
    let arches = json!({"amd64": {"Kernel": "vmlinuz", "BootParams": "quiet"},
                        "arm64": {"Kernel": "Image", "BootParams": "earlycon"}});
    for arch in ["amd64", "arm64"] {
        let tree = site.folder.path().join(if arch == "amd64" { "os/install" } else { "os/arm64/install" });
        std::fs::create_dir_all(&tree).unwrap();
        std::fs::write(tree.join(arches[arch]["Kernel"].as_str().unwrap()), "kernel").unwrap();
    }
    let env =
        json!({"Name": "env", "OS": {"Name": "os", "SupportedArchitectures": arches}, "Templates": [entry]});
    let (env, _) = site.taken("POST", "/bootenvs", &env).await;
    assert_eq!(env["Available"], true, "{}", env["Errors"]);
    let usual = site.machine_of(json!({"BootEnv": "env", "Address": "10.0.0.50"})).await.1;
    assert_eq!(usual["Arch"], "amd64");
    let other = json!({"Name": "m2", "Arch": "arm64", "BootEnv": "env", "Address": "10.0.0.51"});
    assert_eq!(site.machine_of(other).await.1["Arch"], "arm64");
    assert_eq!(site.served("10.0.0.50.ipxe").as_deref(), Some("vmlinuz quiet"));
    assert_eq!(site.served("10.0.0.51.ipxe").as_deref(), Some("Image earlycon"));
    let error = site.all_rights("POST", "/machines", json!({"Name": "m3", "Arch": "aarch64"})).await;
    assert!(error.code == 422 && error.to_string().contains("Please use arm64"), "{error}");
}

#[tokio::test]
async fn row_020_blank_boot_environment_is_the_default_one() {
    let site = Site::new(Wishes::default());
    for name in ["first", "second"] {
        site.boot_env(name, BY_ADDRESS).await;
    }
    site.taken("POST", "/prefs", &json!({"defaultBootEnv": "first"})).await;
    let (path, _) = site.machine_of(json!({"Address": "10.0.0.50"})).await;
    site.taken("PATCH", &path, &replace("/BootEnv", json!(""))).await;
    assert_eq!(site.now(&path).await["BootEnv"], "");
    assert_eq!(site.served("10.0.0.50.ipxe").as_deref(), Some("first of m1"));
    site.taken("POST", "/prefs", &json!({"defaultBootEnv": "second"})).await;
    assert_eq!(site.now(&path).await["BootEnv"], "", "it follows the preference");
    assert_eq!(site.served("10.0.0.50.ipxe").as_deref(), Some("second of m1"));
}

#[tokio::test]
async fn row_053_errors_of_a_machine_tell_why_its_files_cannot_be_rendered() {
    let site = Site::new(Wishes::default());
    let mut feed = site.endpoint.store.feed();
    let entry = |name: &str, path: &str, text: &str| json!({"Name": name, "Path": path, "Contents": text});
    let templates = json!([
        entry("good", "{{.Machine.Address}}.good", "fine"),
        entry("bad", "{{.Machine.Address}}.bad", "{{.Param \"missing\"}}")
    ]);
    site.taken("POST", "/bootenvs", &json!({"Name": "env", "Templates": templates})).await;
    let (path, made) = site.machine_of(json!({"BootEnv": "env", "Address": "10.0.0.50"})).await;
    let other = site.machine_of(json!({"Name": "m2", "Address": "10.0.0.51"})).await.0;
    let mut noted = async |path: &str| {
        note_rendering(&site.endpoint, &mut feed).await;
        let machine = site.now(path).await;
        (machine["Available"].as_bool().unwrap(), machine["Errors"].clone())
    };
    let (available, errors) = noted(&path).await;
    assert!(!available && errors.as_array().unwrap().len() == 1, "{errors}");
    let words = errors[0].as_str().unwrap();
    assert!(words.starts_with("render of bootenvs:env failed: ") && words.contains("`missing`"), "{words}");
    assert_eq!(noted(&other).await, (true, json!([])));
    assert_eq!(site.served("10.0.0.50.good").as_deref(), Some("fine"), "what can be rendered is served");
    let job = json!({"Machine": made["Uuid"]});
    assert_eq!(site.all_rights("POST", "/jobs", job).await.code, 409);
    site.taken("PATCH", &path, &replace("/Description", json!("d"))).await;
    assert_eq!(noted(&path).await, (false, errors.clone()), "no other change forgets it");

    site.taken("POST", "/profiles", &json!({"Name": "global", "Params": {"missing": "there"}})).await;
    assert_eq!(noted(&path).await, (true, json!([])));
    assert_eq!(site.served("10.0.0.50.bad").as_deref(), Some("there"));
    // A value that goes elsewhere is missed at the latest when the file is asked for.
    site.taken("DELETE", "/profiles/global/params/missing", &Value::Null).await;
    assert!(site.rendered("10.0.0.50.bad").unwrap().is_err());
    let failed: Vec<_> = site.endpoint.renderer.failed().await.collect();
    assert_eq!(failed, [Arc::from(made["Uuid"].as_str().unwrap())]);
    site.taken("PATCH", "/bootenvs/env", &replace("/Description", json!("touched"))).await;
    assert_eq!(noted(&path).await, (false, errors));
    let path_of_nothing = json!([entry("bad", "{{.Param \"missing\"}}/file", "x")]);
    site.taken("PATCH", "/bootenvs/env", &replace("/Templates", path_of_nothing)).await;
    let (available, errors) = noted(&path).await;
    assert!(!available && errors[0].as_str().unwrap().contains("`missing`"), "{errors}");
    site.taken("PATCH", &path, &replace("/BootEnv", json!("local"))).await;
    assert_eq!(noted(&path).await.1, json!([]));
}

#[tokio::test]
async fn row_058_each_address_gets_the_file_of_its_own_environment() {
    let site = Site::new(Wishes::default());
    for name in ["install", "rescue"] {
        site.boot_env(name, BY_ADDRESS).await;
    }
    let machines = [("m1", "10.0.0.50", "install"), ("m2", "10.0.0.51", "rescue")];
    for (name, address, env) in machines {
        site.machine_of(json!({"Name": name, "Address": address, "BootEnv": env})).await;
    }
    for (name, address, env) in machines {
        let own = site.served(&format!("{address}.ipxe"));
        assert_eq!(own.unwrap(), format!("{env} of {name}"));
    }
    assert_eq!(site.served("10.0.0.52.ipxe"), None, "an address that no machine has");
}
