//! What machines boot, on its way to the endpoint: archives of boot environments, and boot loaders.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Output,
};

use serde_json::{Value, json};

use crate::endpoint::Endpoint;

fn rows(output: &Output) -> Vec<Value> {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", words(output)))
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Serves one file and breaks off in the middle of the first two answers.
fn mirror(content: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let head = head(&mut stream);
            if !head.starts_with("GET /mirror/netboot.tar.gz ") {
                stream
                    .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    .unwrap();
                continue;
            }
            let range = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
            let from: usize = range.map_or(0, |range| range.trim_end_matches('-').parse().unwrap());
            let all = content.len();
            let status = match from {
                0 => String::from("200 OK"),
                _ => format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{all}", all - 1),
            };
            let rest = &content[from..];
            let length = rest.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nETag: \"one\"\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            // The first request is for another name of the file.
            let sent = if number <= 2 { length / 2 } else { length };
            stream.write_all(&rest[..sent]).unwrap();
        }
    });
    url
}

fn head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Makes an archive with a kernel in it.
fn archive() -> Vec<u8> {
    let mut builder =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none()));
    let kernel = vec![7; 300_000];
    let mut header = tar::Header::new_gnu();
    header.set_size(kernel.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, "installer/linux", kernel.as_slice()).unwrap();
    builder.into_inner().unwrap().finish().unwrap()
}

#[test]
fn archive_comes_from_a_mirror_that_breaks_off_and_makes_its_boot_environment_available() {
    let endpoint = Endpoint::start();
    let (content, downloads) = (archive(), tempfile::tempdir().unwrap());
    let url = mirror(content.clone());
    let env = json!({"Name": "plum-install", "Kernel": "installer/linux", "OS": {
        "Name": "plum-9", "IsoFile": "plum.tar.gz", "IsoUrl": "https://plum.example/pub/netboot.tar.gz",
    }});
    assert!(endpoint.cli(&["bootenvs", "create", &env.to_string()]).status.success());
    let downloads = downloads.path().to_str().unwrap();
    let fetch = |from: &str| {
        endpoint.cli(&["bootenvs", "fetch", "plum-install", "--from", from, "--downloads", downloads])
    };
    let fetched = fetch(&format!("{url}/mirror"));
    assert!(fetched.status.success(), "{}", words(&fetched));
    let row = json!({"BootEnv": "plum-install", "Arch": "amd64", "Archive": "plum.tar.gz", "Bytes": content.len(), "State": "sent"});
    assert_eq!(rows(&fetched), [row]);
    let kernel = endpoint.folder().join("tftpboot/plum-9/install/installer/linux");
    endpoint.eventually("the tree", || kernel.metadata().is_ok_and(|kernel| kernel.len() == 300_000));
    assert_eq!(std::fs::read_dir(downloads).unwrap().count(), 0, "nothing is left behind");
    assert_eq!(rows(&fetch(&url))[0]["State"], "there already");

    // A sum that is not met, and a mirror that has nothing.
    let folder = tempfile::tempdir().unwrap();
    let mut other = env;
    other["Name"] = json!("pear-install");
    other["OS"]["IsoSha256"] = json!("0".repeat(64));
    assert!(endpoint.cli(&["bootenvs", "create", &other.to_string()]).status.success());
    let from = folder.path().to_str().unwrap();
    let none = endpoint.cli(&["bootenvs", "fetch", "pear-install", "--from", from]);
    assert!(!none.status.success() && words(&none).contains("there is none of"), "{}", words(&none));
    std::fs::write(folder.path().join("netboot.tar.gz"), "another").unwrap();
    let wrong = endpoint.cli(&["bootenvs", "fetch", "--all", "--from", from]);
    assert!(words(&wrong).contains(&format!("wants {}", "0".repeat(64))), "{}", words(&wrong));
    assert!(folder.path().join("netboot.tar.gz").is_file(), "a mirror keeps what it has");
    let local = endpoint.cli(&["bootenvs", "fetch", "local"]);
    assert!(words(&local).contains("names no archive"), "{}", words(&local));
}

#[test]
fn loaders_are_sent_to_where_firmware_asks_for_them() {
    let endpoint = Endpoint::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("usr/lib/ipxe")).unwrap();
    std::fs::write(folder.path().join("usr/lib/ipxe/undionly.kpxe"), "iPXE").unwrap();
    let from = folder.path().to_str().unwrap();
    let sent = endpoint.cli(&["loaders", "import", "--from", from]);
    assert!(sent.status.success(), "{}", words(&sent));
    let rows = rows(&sent);
    let states: Vec<_> =
        rows.iter().map(|row| (row["Name"].as_str().unwrap(), row["State"].as_str().unwrap())).collect();
    assert!(
        states.contains(&("undionly.kpxe", "sent")) && states.contains(&("shimx64.efi", "not found")),
        "{states:?}"
    );
    let mut stream = TcpStream::connect(("127.0.0.1", endpoint.ports.files)).unwrap();
    stream.write_all(b"GET /undionly.kpxe HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200") && answer.ends_with("\r\n\r\niPXE"), "{answer}");
    let empty = tempfile::tempdir().unwrap();
    let none = endpoint.cli(&["loaders", "copy", from, "--from", empty.path().to_str().unwrap()]);
    assert!(!none.status.success() && words(&none).contains("apt-get download"), "{}", words(&none));
}
