//! Pack files that are refused before what is in them is looked at.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

use crate::recipe::{Case, EXPIRED, Recipe, UNKNOWN};

/// The member that signs the list of all others.
const SIGNATURE: &str = "pack.sig";

/// All cases with their names.
pub(crate) fn all() -> Vec<Case> {
    use tar::EntryType::{Regular, Symlink};
    vec![
        Case::new("bomb", "there is no member in it", |number| {
            gzip(|tar| {
                tar.resize(1 << 30, 0);
                tar.extend(number.to_le_bytes());
            })
        }),
        Case::new("not compressed", "it is neither a `.fwpack` file nor a component", |number| {
            number.to_le_bytes().repeat(1 << 17)
        }),
        Case::new("cut off", "it ends too early", |number| {
            let mut bytes = good(number);
            bytes.truncate(bytes.len() / 2);
            bytes
        }),
        Case::new("path traversal", "leads out of the pack", |number| {
            named(number, b"../../etc/passwd", Regular)
        }),
        Case::new("name that is no text", "the name is not UTF-8", |number| {
            named(number, b"tasks/\xff\xfe.yaml", Regular)
        }),
        Case::new("symbolic link", "a symbolic link", |number| named(number, b"tasks/a.yaml", Symlink)),
        Case::new("member twice", "the member is there twice", |number| {
            unpacked(number, |tar, members| {
                for (path, bytes) in members.iter().chain(members.last()) {
                    member(tar, path.as_bytes(), bytes, Regular);
                }
            })
        }),
        Case::new("wrong digest", "do not have the digest", |number| {
            unpacked(number, |tar, members| {
                for (path, bytes) in members {
                    let mut bytes = bytes.clone();
                    if path == "components/probe.wasm"
                        && let Some(last) = bytes.last_mut()
                    {
                        *last ^= 1;
                    }
                    member(tar, path.as_bytes(), &bytes, Regular);
                }
            })
        }),
        Case::new("wrong signature", "the signature of the pack is wrong", |number| {
            unpacked(number, |tar, members| {
                unpacked(number + 1, |_, others| {
                    for ((path, bytes), (_, other)) in members.iter().zip(others) {
                        let bytes = if path == SIGNATURE { other } else { bytes };
                        member(tar, path.as_bytes(), bytes, Regular);
                    }
                });
            })
        }),
        Case::new("unknown key", "which belongs to no publisher", |number| {
            Recipe { number, key: UNKNOWN, ..Recipe::default() }.bytes()
        }),
        Case::new("expired key", "whose key was good until", |number| {
            Recipe { number, key: EXPIRED, ..Recipe::default() }.bytes()
        }),
    ]
}

fn good(number: u64) -> Vec<u8> {
    Recipe { number, ..Recipe::default() }.bytes()
}

fn gzip(fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut tar = Vec::new();
    fill(&mut tar);
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
    gzip(|tar| member(tar, path, &number.to_le_bytes(), kind))
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
    gzip(|tar| {
        write(tar, &members);
        tar.resize(tar.len() + 1024, 0);
    })
}
