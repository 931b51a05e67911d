//! Files and archives as clients send and get them, and the boot environments that archives make available.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::endpoint::Endpoint;

/// An answer as it came.
pub(crate) struct Answer {
    pub(crate) code: String,
    headers: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.body)))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.lines().filter_map(|line| line.split_once(':'));
        found.filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next_back()
    }
}

/// Sends a request as curl does, which is what people use for files.
pub(crate) fn curl(endpoint: &Endpoint, path: &str, arguments: &[&str], input: &[u8]) -> Answer {
    let folder = tempfile::tempdir().unwrap();
    let (headers, body) = (folder.path().join("headers"), folder.path().join("body"));
    let mut child = Command::new("curl")
        .args(["-sk", "--path-as-is", "-u", "rocketskates:test-password", "-w", "%{http_code}", "-D"])
        .arg(&headers)
        .arg("-o")
        .arg(&body)
        .args(arguments)
        .arg(format!("{}/api/v3/{path}", endpoint.url()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    Answer {
        code: String::from_utf8(output.stdout).unwrap(),
        headers: std::fs::read_to_string(headers).unwrap(),
        body: std::fs::read(body).unwrap_or_default(),
    }
}

pub(crate) fn post(endpoint: &Endpoint, path: &str, bytes: &[u8]) -> Answer {
    let octets = "Content-Type: application/octet-stream";
    curl(endpoint, path, &["-X", "POST", "-H", octets, "--data-binary", "@-"], bytes)
}

#[test]
fn files_go_up_and_come_down_as_the_api_says() {
    let endpoint = Endpoint::start();
    assert_eq!(curl(&endpoint, "isos", &[], b"").json(), json!([]));
    let stored = post(&endpoint, "files/some/dir/f.bin", b"0123456789");
    assert_eq!(
        (stored.code.as_str(), stored.json()),
        ("201", json!({"Path": "/some/dir/f.bin", "Size": 10}))
    );
    assert_eq!(post(&endpoint, "isos/a.iso", b"").json(), json!({"Path": "a.iso", "Size": 0}));
    let chunked = ["-X", "POST", "-H", "Transfer-Encoding: chunked", "-T", "-"];
    assert_eq!(curl(&endpoint, "files/chunked", &chunked, b"abc").json()["Size"], 3);
    let form = curl(&endpoint, "files/form", &["-F", "other=x", "-F", "file=@-"], b"from a form");
    assert_eq!(form.json()["Size"], 11);
    let sum = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";

    let whole = curl(&endpoint, "files/some%2Fdir%2Ff.bin", &[], b"");
    assert_eq!(whole.body, b"0123456789");
    assert_eq!(whole.header("content-type"), Some("application/octet-stream"));
    assert_eq!(whole.header("etag"), Some(format!("\"SHA256:{sum}\"").as_str()));
    assert_eq!(whole.header("x-drp-sha256sum"), Some(sum));
    let part = curl(&endpoint, "files/some/dir/f.bin", &["-r", "2-4"], b"");
    assert_eq!((part.code.as_str(), part.body.as_slice()), ("206", &b"234"[..]));
    let known = format!("If-None-Match: \"SHA256:{sum}\"");
    let known = curl(&endpoint, "files/some/dir/f.bin", &["-H", &known], b"");
    assert_eq!((known.code.as_str(), known.body.len()), ("304", 0));
    assert_eq!(curl(&endpoint, "files/some/dir/f.bin", &["-r", "99-"], b"").code, "416");
    let head = curl(&endpoint, "files/some/dir/f.bin", &["-I"], b"");
    assert_eq!(
        (head.code.as_str(), head.header("content-length"), head.header("x-drp-sha256sum")),
        ("200", Some("10"), Some(sum))
    );
    // The same is served to machines.
    let url = format!("http://127.0.0.1:{}/files/some/dir/f.bin", endpoint.ports.files);
    let of_machines = || Command::new("curl").args(["-s", &url]).output().unwrap().stdout;
    assert_eq!(of_machines(), b"0123456789");
    post(&endpoint, "files/some/dir/f.bin", b"another");
    assert_eq!(of_machines(), b"another", "at once");

    let names = |query: &str| curl(&endpoint, &format!("files{query}"), &[], b"").json();
    let fresh = ["drpcli.amd64.darwin", "drpcli.amd64.linux", "drpcli.amd64.windows", "drpcli.arm64.linux"];
    let fresh = fresh.iter().chain(&["drpcli.ppc64le.linux", "form", "jq", "some/"]);
    assert_eq!(names(""), json!(["chunked"].iter().chain(fresh).collect::<Vec<_>>()));
    assert_eq!(names("?path=some&all=true"), json!(["dir/", "dir/f.bin"]));
    assert_eq!(curl(&endpoint, "files?path=none", &[], b"").code, "404");

    let in_the_way = post(&endpoint, "files/form/below", b"x");
    assert_eq!(in_the_way.code, "409");
    assert_eq!(in_the_way.json()["Messages"], json!(["Failed to ensure final directory for below exists"]));
    for path in ["files/some", "files/none", "files/%2e%2e/formwork.redb", "files/..%2fisos/a.iso"] {
        let missing = curl(&endpoint, path, &[], b"");
        assert_eq!(missing.code, "404", "{path}");
    }
    let missing = curl(&endpoint, "files/none", &[], b"").json();
    assert_eq!(
        (&missing["Messages"], &missing["Key"], &missing["Type"]),
        (&json!(["Not a regular file"]), &json!("/none"), &json!("GET"))
    );
    let delete = |path: &str| curl(&endpoint, path, &["-X", "DELETE"], b"");
    let refused = delete("files/some");
    assert_eq!((refused.code.as_str(), &refused.json()["Messages"]), ("404", &json!(["Unable to delete"])));
    for path in ["files/some/dir/f.bin", "files/some/dir", "files/some"] {
        assert_eq!(delete(path).code, "204", "{path}");
    }
}

#[test]
fn upload_that_breaks_off_leaves_the_old_file() {
    let endpoint = Endpoint::start();
    post(&endpoint, "files/f", b"old");
    // Nobody speaks TLS by hand: a child that is killed in the middle of what it sends does.
    let mut child = Command::new("curl")
        .args(["-sk", "-u", "rocketskates:test-password", "-X", "POST", "-T", "-"])
        .arg(format!("{}/api/v3/files/f", endpoint.url()))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&vec![7; 3 << 20]).unwrap();
    let files = endpoint.folder().join("tftpboot/files");
    let is_under_way = || {
        std::fs::read_dir(&files)
            .unwrap()
            .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with(".part-"))
    };
    endpoint.eventually("the upload has begun", is_under_way);
    child.kill().unwrap();
    child.wait().unwrap();
    drop(input);
    endpoint.eventually("the rest of the upload is gone", || !is_under_way());
    assert_eq!(curl(&endpoint, "files/f", &[], b"").body, b"old");
    // The endpoint still takes connections that say nothing.
    let mut silent = TcpStream::connect(("127.0.0.1", endpoint.ports.api)).unwrap();
    silent.shutdown(Shutdown::Write).unwrap();
    let _ = silent.read(&mut [0; 1]);
}

/// Makes a small image with a kernel in it.
fn image(to: &Path, kernel: &str) -> Vec<u8> {
    let tree = to.join("tree");
    std::fs::create_dir_all(tree.join("boot")).unwrap();
    std::fs::write(tree.join("boot/vmlinuz"), kernel).unwrap();
    let out = to.join("out.iso");
    let made =
        Command::new("xorriso").args(["-as", "mkisofs", "-quiet", "-R", "-o"]).arg(&out).arg(&tree).output();
    assert!(made.expect("the package `xorriso` is needed").status.success());
    std::fs::read(out).unwrap()
}

fn env(endpoint: &Endpoint, name: &str) -> Value {
    curl(endpoint, &format!("bootenvs/{name}"), &[], b"").json()
}

#[test]
fn archive_makes_its_boot_environments_available() {
    let endpoint = Endpoint::start();
    let folder = tempfile::tempdir().unwrap();
    let iso = image(folder.path(), "kernel one");
    let create = |name: &str, os: Value| {
        let body = json!({"Name": name, "OS": os, "Kernel": "boot/vmlinuz"}).to_string();
        let made = curl(&endpoint, "bootenvs", &["-X", "POST", "--data-binary", "@-"], body.as_bytes());
        assert_eq!((made.code.as_str(), &made.json()["Available"]), ("201", &json!(true)), "{name}");
    };
    let becomes = |name: &str, available: bool, words: &str| {
        endpoint.eventually(&format!("{name}: {available}"), || {
            let found = env(&endpoint, name);
            found["Available"] == available && found["Errors"].to_string().contains(words)
        });
    };
    let os = json!({"Name": "plum-9", "IsoFile": "plum.iso", "IsoUrl": "https://plum.example/plum.iso"});
    create("plum-install", os.clone());
    create("plum-rescue", os);
    becomes(
        "plum-install",
        false,
        "missing; upload it as an iso. It can be had at https://plum.example/plum.iso",
    );
    assert_eq!(post(&endpoint, "isos/plum.iso", &iso).code, "201");
    becomes("plum-install", true, "[]");
    becomes("plum-rescue", true, "[]");
    let tree = endpoint.folder().join("tftpboot/plum-9/install");
    assert_eq!(std::fs::read_to_string(tree.join("boot/vmlinuz")).unwrap(), "kernel one");

    // Another one of the same name takes the place of the first.
    let iso = image(folder.path(), "kernel two, longer");
    post(&endpoint, "isos/plum.iso", &iso);
    endpoint.eventually("the new tree", || {
        std::fs::read_to_string(tree.join("boot/vmlinuz")).is_ok_and(|text| text == "kernel two, longer")
    });

    let bad = "0".repeat(64);
    create("pear-install", json!({"Name": "pear-1", "IsoFile": "pear.iso", "IsoSha256": bad}));
    post(&endpoint, "isos/pear.iso", &iso);
    becomes("pear-install", false, &format!("not {bad}"));
    create("fig-install", json!({"Name": "fig", "IsoFile": "fig.tar"}));
    post(&endpoint, "isos/fig.tar", b"this is no archive at all");
    becomes("fig-install", false, "no archive that is known here");
    // A published client ends with an archive without a byte.
    create("nut-install", json!({"Name": "nut", "IsoFile": "nut.iso"}));
    post(&endpoint, "isos/nut.iso", b"");
    let mark = endpoint.folder().join("tftpboot/nut/install/.formwork-archive");
    endpoint.eventually("the empty tree", || mark.is_file());
    becomes("nut-install", true, "[]");

    let purge = |query: &str| {
        let path = format!("bootenvs/plum-install/purgeLocal{query}");
        loop {
            let answer = curl(&endpoint, &path, &["-X", "DELETE", "--data-binary", "@-"], b"[\"amd64\"]");
            // A tree may be in the making for longer than the endpoint waits for it.
            if answer.code != "409" {
                return answer;
            }
        }
    };
    let again = purge("?reexplodeIsos=true");
    assert_eq!((again.code.as_str(), again.json()), ("200", json!(true)));
    becomes("plum-install", true, "[]");
    endpoint.eventually("the tree again", || tree.join("boot/vmlinuz").is_file());
    assert_eq!(purge("").json(), json!(true));
    becomes("plum-rescue", false, "is missing");
    assert!(!tree.exists());
    assert_eq!(curl(&endpoint, "isos", &[], b"").json(), json!(["fig.tar", "nut.iso", "pear.iso"]));
}

#[test]
fn archive_is_taken_apart_beside_itself() {
    let endpoint = Endpoint::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("ux")).unwrap();
    std::fs::write(folder.path().join("ux/index.html"), "<p>").unwrap();
    let tar =
        Command::new("tar").arg("-C").arg(folder.path()).args(["-czf", "-", "ux"]).output().unwrap().stdout;
    assert_eq!(post(&endpoint, "files/web/ux.tgz?explode=true", &tar).code, "201");
    assert_eq!(curl(&endpoint, "files/web/ux/index.html", &[], b"").body, b"<p>");
    let names = curl(&endpoint, "files?path=web&all=true", &[], b"").json();
    assert_eq!(names, json!(["ux.tgz", "ux/", "ux/index.html"]), "the archive stays");
    let refused = post(&endpoint, "files/web/bad.tgz?explode=true", b"no archive");
    assert_eq!(refused.code, "400");
    let words = refused.json()["Messages"][0].as_str().unwrap().to_owned();
    assert!(words.starts_with("it was stored, but not taken apart: it is no archive"), "{words}");
}

#[test]
fn command_line_sends_fetches_and_removes_files() {
    let endpoint = Endpoint::start();
    let folder = tempfile::tempdir().unwrap();
    let (source, copy) = (folder.path().join("a.bin"), folder.path().join("copy"));
    std::fs::write(&source, vec![9; 200_000]).unwrap();
    let (source, copy) = (source.to_str().unwrap(), copy.to_str().unwrap());
    let run = |words: &[&str]| {
        let output = endpoint.cli(words);
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let sent = run(&["files", "upload", source, "as", "some dir/b.bin"]);
    assert_eq!(
        serde_json::from_str::<Value>(&sent.1).unwrap(),
        json!({"Path": "/some dir/b.bin", "Size": 200_000})
    );
    assert!(run(&["isos", "upload", source]).0);
    assert_eq!(serde_json::from_str::<Value>(&run(&["isos", "list"]).1).unwrap(), json!(["a.bin"]));
    assert_eq!(run(&["-F", "table", "files", "list", "some dir"]).1, "b.bin\n");
    assert!(run(&["files", "download", "some dir/b.bin", "to", copy]).0);
    assert_eq!(std::fs::read(copy).unwrap(), [9; 200_000]);
    assert_eq!(endpoint.cli(&["files", "download", "some dir/b.bin"]).stdout, [9; 200_000]);
    assert!(run(&["files", "exists", "some dir/b.bin"]).0);
    assert!(run(&["files", "destroy", "some dir/b.bin"]).0);
    let gone = run(&["files", "download", "some dir/b.bin", "to", copy]);
    assert!(!gone.0 && gone.2.contains("Not a regular file"), "{}", gone.2);
    assert_eq!(std::fs::read(copy).unwrap().len(), 200_000, "what was there stays");
    assert!(run(&["files", "upload", "-"]).2.contains("hint: add `as NAME`"));
}
