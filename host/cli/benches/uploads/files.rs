//! Pack files that are refused before what is in them is looked at.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use formwork_client::{Client, ClientError};

use crate::Hostile;
use crate::recipe::{EXPIRED, Recipe, UNKNOWN, upload};

/// A way to spoil a pack file.
pub(crate) struct Spoiled(fn(u64) -> Vec<u8>);

impl Hostile for Spoiled {
    async fn once(&self, client: &Client, number: u64) -> bool {
        matches!(upload(client, (self.0)(number)).await, Err(ClientError::Api(_)))
    }
}

/// All cases with their names.
pub(crate) fn all() -> Vec<(&'static str, Spoiled)> {
    vec![
        (
            "bomb",
            Spoiled(|number| gzip(Some(number), |tar| tar.write_all(&vec![0; 1 << 30]).expect("memory"))),
        ),
        ("not compressed", Spoiled(|number| number.to_le_bytes().repeat(1 << 17))),
        (
            "cut off",
            Spoiled(|number| {
                let mut bytes = good(number);
                bytes.truncate(bytes.len() / 2);
                bytes
            }),
        ),
        ("path traversal", Spoiled(|number| named(number, b"../../etc/passwd", tar::EntryType::Regular))),
        (
            "name that is no text",
            Spoiled(|number| named(number, b"tasks/\xff\xfe.yaml", tar::EntryType::Regular)),
        ),
        ("symbolic link", Spoiled(|number| named(number, b"tasks/a.yaml", tar::EntryType::Symlink))),
        (
            "member twice",
            Spoiled(|number| {
                unpacked(number, |tar, members| {
                    for (path, bytes) in members.iter().chain(members.last()) {
                        member(tar, path.as_bytes(), bytes, tar::EntryType::Regular);
                    }
                })
            }),
        ),
        (
            "wrong digest",
            Spoiled(|number| {
                unpacked(number, |tar, members| {
                    for (path, bytes) in members {
                        let mut bytes = bytes.clone();
                        if path == "components/probe.wasm"
                            && let Some(last) = bytes.last_mut()
                        {
                            *last ^= 1;
                        }
                        member(tar, path.as_bytes(), &bytes, tar::EntryType::Regular);
                    }
                })
            }),
        ),
        ("unknown key", Spoiled(|number| Recipe { number, key: UNKNOWN, ..Recipe::default() }.bytes())),
        ("expired key", Spoiled(|number| Recipe { number, key: EXPIRED, ..Recipe::default() }.bytes())),
    ]
}

fn good(number: u64) -> Vec<u8> {
    Recipe { number, ..Recipe::default() }.bytes()
}

fn gzip(number: Option<u64>, fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut tar = Vec::new();
    fill(&mut tar);
    tar.extend(number.unwrap_or_default().to_le_bytes());
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&tar).expect("memory");
    encoder.finish().expect("memory")
}

fn member(tar: &mut Vec<u8>, path: &[u8], bytes: &[u8], kind: tar::EntryType) {
    let mut header = tar::Header::new_ustar();
    let field = &mut header.as_old_mut().name;
    for (place, byte) in field.iter_mut().zip(path) {
        *place = *byte;
    }
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_entry_type(kind);
    header.set_cksum();
    tar.extend_from_slice(header.as_bytes());
    tar.extend_from_slice(bytes);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

/// A file whose first member has a name and a kind of its own.
fn named(number: u64, path: &[u8], kind: tar::EntryType) -> Vec<u8> {
    gzip(None, |tar| member(tar, path, &number.to_le_bytes(), kind))
}

/// A good file, written again otherwise.
fn unpacked(number: u64, write: impl FnOnce(&mut Vec<u8>, &[(String, Vec<u8>)])) -> Vec<u8> {
    let bytes = good(number);
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
    let members: Vec<_> = archive
        .entries()
        .expect("a pack file")
        .map(|entry| {
            let mut entry = entry.expect("a member");
            let path = String::from_utf8(entry.path_bytes().into_owned()).expect("a path");
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).expect("bytes");
            (path, bytes)
        })
        .collect();
    gzip(None, |tar| {
        write(tar, &members);
        tar.resize(tar.len() + 1024, 0);
    })
}
