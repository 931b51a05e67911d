//! The files of the pack `content/debian`.

use std::path::Path;

use super::*;

/// A machine in the installer, with values of its own for some params.
fn case(params: Json) -> Case {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/debian");
    let pack = formwork_packs::load_folder(&folder).unwrap();
    let mut machine = Machine { boot_env: "debian-12-install".into(), ..machine() };
    machine.params = serde_json::from_value(params).unwrap();
    let mut objects: Vec<Arc<dyn Object>> = vec![Arc::new(machine)];
    objects.extend(pack.objects);
    let site: Arc<dyn Site> = Arc::new(Here::default());
    Case { store: Store::memory(objects), renderer: Renderer::default(), site }
}

fn own(file: &str) -> String {
    format!("machines/{UUID}/{file}")
}

/// Returns the lines of a preseed about one question.
fn answers<'a>(preseed: &'a str, question: &str) -> Vec<&'a str> {
    let about = |line: &&str| line.split_whitespace().nth(1) == Some(question);
    preseed.lines().filter(about).collect()
}

#[tokio::test]
async fn installer_is_booted_by_every_loader() {
    let case = case(json!({}));
    let params = format!(
        "auto=true priority=critical interface=auto netcfg/dhcp_timeout=60 hostname=m1 domain= \
         url=http://10.0.0.1:8091/machines/{UUID}/preseed.cfg console=tty0 console=ttyS0,115200"
    );
    let tree = "debian-12/install/debian-installer/amd64";
    for script in ["52:54:00:77:00:01.ipxe", "10.0.0.50.ipxe"] {
        let script = case.text(script);
        let kernel = format!(
            "http://10.0.0.1:8091/{tree}/linux initrd=initrd0 BOOTIF=01-${{netX/mac:hexhyp}} {params} "
        );
        assert!(script.starts_with(&format!("#!ipxe\nkernel {kernel}|| goto failed\n")), "{script}");
        assert!(
            script.contains(&format!("initrd --name initrd0 http://10.0.0.1:8091/{tree}/initrd.gz |")),
            "{script}"
        );
    }
    for path in ["pxelinux.cfg/0A000032", "pxelinux.cfg/01-52-54-00-77-00-02"] {
        let text = case.text(path);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for line in
            [format!("kernel {tree}/linux"), format!("initrd {tree}/initrd.gz"), format!("append {params}")]
        {
            assert!(lines.contains(&line.as_str()), "{line}: {text}");
        }
    }
    let grub = case.text("grub/52:54:00:77:00:01.cfg");
    let expected =
        format!("linux /{tree}/linux BOOTIF=01-$net_default_mac {params}\ninitrd /{tree}/initrd.gz\nboot\n");
    assert_eq!(grub, expected);
}

#[tokio::test]
async fn preseed_answers_with_the_params_of_the_machine() {
    let case = case(json!({
        "debian/mirror": "https://mirror.example:8443/debian", "debian/security-mirror": "", "debian/proxy": "http://10.0.0.2:3128",
        "debian/disk": "/dev/nvme0n1", "debian/root-password-hash": "$6$salt$hash", "debian/packages": ["vim", "tcpdump"],
        "debian/time-zone": "Europe/Berlin",
    }));
    let preseed = case.text(&own("preseed.cfg"));
    assert!(preseed.starts_with("#_preseed_V1\n"), "{preseed}");
    for line in [
        "d-i mirror/protocol string https",
        "d-i mirror/https/hostname string mirror.example:8443",
        "d-i mirror/https/directory string /debian",
        "d-i mirror/https/proxy string http://10.0.0.2:3128",
        "d-i partman-auto/disk string /dev/nvme0n1",
        "d-i grub-installer/bootdev string /dev/nvme0n1",
        "d-i passwd/root-password-crypted password $6$salt$hash",
        "d-i pkgsel/include string openssh-server vim tcpdump",
        "d-i time/zone string Europe/Berlin",
        "d-i netcfg/get_hostname string m1",
    ] {
        assert!(preseed.lines().any(|found| found == line), "{line}: {preseed}");
    }
    assert!(answers(&preseed, "partman/early_command").is_empty());
    assert_eq!(
        answers(&preseed, "apt-setup/services-select"),
        ["d-i apt-setup/services-select multiselect "]
    );
    assert!(answers(&preseed, "apt-setup/security_host").is_empty());
}

#[tokio::test]
async fn preseed_without_params_takes_the_first_disk_and_no_password() {
    let preseed = case(json!({})).text(&own("preseed.cfg"));
    assert_eq!(answers(&preseed, "partman/early_command").len(), 1);
    assert!(answers(&preseed, "partman-auto/disk").is_empty());
    let expected = ["d-i passwd/root-password-crypted password !"];
    assert_eq!(answers(&preseed, "passwd/root-password-crypted"), expected);
    let expected = ["d-i apt-setup/security_host string security.debian.org"];
    assert_eq!(answers(&preseed, "apt-setup/security_host"), expected);
    let late = format!("http://10.0.0.1:8091/machines/{UUID}/debian-late.sh");
    assert!(answers(&preseed, "preseed/late_command").iter().all(|line| line.contains(&late)), "{preseed}");
    // A question that is answered twice has an answer that nobody expects.
    let mut questions: Vec<_> = preseed.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    let count = questions.len();
    questions.sort_unstable();
    questions.dedup();
    assert_eq!(questions.len(), count, "{preseed}");
}

#[tokio::test]
async fn installer_ends_with_the_agent_on_the_disk() {
    let case = case(json!({"debian/ssh-keys": ["ssh-ed25519 AAAA anna", "ssh-ed25519 BBBB ben"]}));
    let late = case.text(&own("debian-late.sh"));
    assert!(late.starts_with("#!/bin/sh\n"), "{late}");
    for words in [
        "http://10.0.0.1:8091/files/drpcli.amd64.linux",
        "RS_ENDPOINT='https://10.0.0.1:8092'",
        "RS_TOKEN='token-m1.example-false'",
        "install --root /target --no-start",
        "<<'END-OF-KEYS'\nssh-ed25519 AAAA anna\nssh-ed25519 BBBB ben\nEND-OF-KEYS\n",
    ] {
        assert!(late.contains(words), "{words}: {late}");
    }
    for keys in [json!([]), json!(["ssh-ed25519 AAAA anna"])] {
        let late = self::case(json!({"debian/ssh-keys": keys})).text(&own("debian-late.sh"));
        let script = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(script.path(), &late).unwrap();
        let parsed = std::process::Command::new("sh").arg("-n").arg(script.path()).output().unwrap();
        assert!(parsed.status.success(), "{late}\n{parsed:?}");
        assert_eq!(late.contains("authorized_keys <<") || late.contains("END-OF-KEYS"), keys != json!([]));
    }
}

#[tokio::test]
async fn workflow_goes_from_the_installer_to_the_disk() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/debian");
    let pack = formwork_packs::load_folder(&folder).unwrap();
    let stages = ["debian-12-install", "debian-12"].map(|name| {
        let stage = pack.objects.iter().filter_map(|object| object.as_any().downcast_ref::<Stage>());
        stage.into_iter().find(|stage| stage.name == name).unwrap().boot_env.clone()
    });
    assert_eq!(stages, ["debian-12-install", "local"]);
    let problems: Vec<String> = pack.objects.iter().flat_map(|object| object.problems()).collect();
    assert_eq!(problems, Vec::<String>::new());
    for object in &pack.objects {
        assert_eq!(
            template_problems(&Store::memory(Vec::new()).snapshot(), object.as_ref()),
            Vec::<String>::new()
        );
    }
}
