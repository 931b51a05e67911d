//! Each case of `tests/packs/invalid/archive-*` is a recipe, from which a pack file is made, and what is said about it.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write as _},
    path::PathBuf,
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use formwork_model::Publisher;
use proptest::prelude::*;
use serde::Deserialize;

use super::{
    write::{BLOCK, header},
    *,
};
use crate::{MAX_FILE_BYTES, Trust, manifest::parse_yaml};

/// Set to rewrite the `expected.txt` of all cases from what is answered now.
const REWRITE: &str = "FORMWORK_REWRITE_EXPECTED";

/// The time at which all signatures of the tests are made and judged.
const NOW: i64 = 1_700_000_000_000;

/// The pack that the recipes spoil.
const GOOD: [(&str, &str); 3] =
    [("files/a.txt", "first"), ("files/b.txt", "second"), ("pack.yaml", "{name: sample, version: 1.0.0}\n")];

/// How a pack file is made. All that is not said is as in the good one.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
struct Recipe {
    /// The files of the pack, in the place of the good ones.
    files: BTreeMap<String, String>,
    /// Members of `pack.json` that are set.
    list: serde_json::Map<String, serde_json::Value>,
    /// Replaces all of `pack.json`.
    list_text: Option<String>,
    /// Members of `pack.sig` that are set.
    signature: serde_json::Map<String, serde_json::Value>,
    /// The number of the key that `pack.sig` names, in the place of the one that signs.
    shown_key: Option<u8>,
    /// True signs another list.
    signs_other: bool,
    /// The members in their order; a word is `list`, `signature`, `end`, or a path of the good pack.
    tar: Option<Vec<Entry>>,
    /// False leaves the tar as it is.
    compress: Option<bool>,
    /// So many bytes are cut from the end of the file.
    cut: usize,
    /// What is added behind the end of the file.
    tail: String,
    /// When trust in the key of the signature ends, in milliseconds; without it, nobody is trusted.
    not_after: Option<i64>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Entry {
    Word(String),
    Made(Made),
}

/// A member that the good pack has not.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Made {
    path: String,
    /// Bytes that follow the path, hexadecimal.
    hex: String,
    text: String,
    /// So many zeros follow the text.
    zeros: usize,
    /// The type of the member; `0` is a file.
    kind: Option<char>,
    /// What the header says of the length.
    size: Option<u64>,
    /// True writes the header in the form of GNU.
    gnu: bool,
    /// True spoils the checksum.
    checksum: bool,
    /// What is written where zeros fill the last block.
    padding: String,
    /// True writes no header.
    bare: bool,
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

fn signer(key: &SigningKey) -> Signer<'_> {
    Signer { key, now: Timestamp::from_millis(NOW) }
}

fn good_files() -> Files {
    GOOD.iter().map(|(path, text)| ((*path).to_owned(), bytes::Bytes::from_static(text.as_bytes()))).collect()
}

fn good() -> Archive {
    Archive::of_files(good_files()).unwrap()
}

fn written(archive: &Archive, signer: Option<Signer<'_>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    archive.write(&mut bytes, signer).unwrap();
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

impl Recipe {
    fn files(&self) -> Files {
        let own = self.files.iter().map(|(path, text)| (path.clone(), bytes::Bytes::from(text.clone())));
        if self.files.is_empty() { good_files() } else { own.collect() }
    }

    fn list(&self) -> Vec<u8> {
        let manifest = ArchiveManifest::of(&good().pack.meta, &self.files());
        let text = self.list_text.as_ref().map(|text| text.clone().into_bytes());
        text.unwrap_or_else(|| set(&manifest.to_json().unwrap(), &self.list))
    }

    fn signature(&self, list: &[u8]) -> Vec<u8> {
        let signed = if self.signs_other { b"another list" } else { list };
        let mut members = self.signature.clone();
        if let Some(number) = self.shown_key {
            let public = key(number).public();
            members.insert("public-key".into(), public.to_string().into());
            members.insert("key-id".into(), public.id().into());
        }
        set(&signature::sign(signed, signer(&key(1))).unwrap(), &members)
    }

    fn bytes(&self) -> Vec<u8> {
        let (files, list) = (self.files(), self.list());
        let usual = || {
            let words =
                ["list", "signature"].into_iter().chain(files.keys().map(String::as_str)).chain(["end"]);
            words.map(|word| Entry::Word(word.to_owned())).collect()
        };
        let member = |path: &str, text: &[u8]| Made {
            path: path.to_owned(),
            text: String::from_utf8(text.to_vec()).unwrap(),
            ..Made::default()
        };
        let mut tar = Vec::new();
        for entry in self.tar.clone().unwrap_or_else(usual) {
            let made = match entry {
                Entry::Made(made) => made,
                Entry::Word(word) => match word.as_str() {
                    "end" => Made { zeros: 2 * BLOCK, bare: true, ..Made::default() },
                    "list" => member(LIST, &list),
                    "signature" => member(SIGNATURE, &self.signature(&list)),
                    path => member(path, &files[path]),
                },
            };
            made.write(&mut tar);
        }
        let mut file = if self.compress == Some(false) { tar } else { gzip(&tar) };
        file.truncate(file.len() - self.cut);
        file.extend_from_slice(self.tail.as_bytes());
        file
    }

    /// Returns what is said about the file.
    fn refusal(&self) -> String {
        let archive = match Archive::read(&self.bytes()[..]) {
            Err(error) => return error.to_string(),
            Ok(archive) => archive,
        };
        let publisher = self.not_after.map(|not_after| Publisher {
            id: "acme".into(),
            public_key: key(1).public().to_string(),
            not_after: Timestamp::from_millis(not_after),
            ..Publisher::default()
        });
        let verdict = Trust::new(&publisher).verify(archive.signature(), Timestamp::from_millis(NOW));
        assert!(!verdict.is_trusted(), "the case is no bad one");
        verdict.to_string()
    }
}

/// Sets members of a JSON object.
fn set(json: &[u8], members: &serde_json::Map<String, serde_json::Value>) -> Vec<u8> {
    if members.is_empty() {
        return json.to_vec();
    }
    let mut value: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(json).unwrap();
    value.extend(members.clone());
    serde_json::to_vec(&value).unwrap()
}

impl Made {
    fn write(&self, tar: &mut Vec<u8>) {
        let mut contents = self.text.clone().into_bytes();
        contents.resize(contents.len() + self.zeros, 0);
        if !self.bare {
            tar.extend_from_slice(self.header(contents.len() as u64).as_bytes());
        }
        let mut padding = vec![0; contents.len().next_multiple_of(BLOCK) - contents.len()];
        padding[..self.padding.len()].copy_from_slice(self.padding.as_bytes());
        tar.extend([contents, padding].concat());
    }

    fn header(&self, length: u64) -> tar::Header {
        let size = self.size.unwrap_or(length);
        let mut header = if self.gnu { tar::Header::new_gnu() } else { header("x", size).unwrap() };
        let digits = |at: usize| u8::from_str_radix(&self.hex[at..at + 2], 16).unwrap();
        let name: Vec<u8> = self.path.bytes().chain((0..self.hex.len()).step_by(2).map(digits)).collect();
        let field = &mut header.as_old_mut().name;
        field.fill(0);
        field[..name.len()].copy_from_slice(&name);
        header.set_size(size);
        header.set_entry_type(tar::EntryType::new(self.kind.unwrap_or('0') as u8));
        header.set_cksum();
        if self.checksum {
            header.set_uid(1);
        }
        header
    }
}

fn invalid() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/packs/invalid")
}

fn check(case: &str) {
    let folder = invalid().join(case);
    let recipe: Recipe = parse_yaml(&fs::read(folder.join("recipe.yaml")).unwrap()).unwrap();
    let refusal = format!("{}\n", recipe.refusal());
    let expected = folder.join("expected.txt");
    if std::env::var_os(REWRITE).is_some() {
        fs::write(&expected, &refusal).unwrap();
    }
    assert_eq!(refusal, fs::read_to_string(&expected).unwrap());
}

/// One test a folder of `tests/packs/invalid/archive-*`, and a test that none was forgotten.
macro_rules! cases {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(&format!("archive-{}", stringify!($name).replace('_', "-"))); })*

        #[test]
        fn every_invalid_archive_has_a_test() {
            let listed = [$(format!("archive-{}", stringify!($name).replace('_', "-"))),*];
            let mut folders: Vec<String> = fs::read_dir(invalid())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name.starts_with("archive-"))
                .collect();
            folders.sort();
            assert_eq!(folders, listed);
        }
    };
}

cases! {
    absolute_path
    bad_json
    bad_key
    bare_list_name
    bomb
    broken_pack
    device
    duplicate_in_list
    duplicate_member
    empty
    expired_key
    fifo
    folder
    foreign_list
    gnu_header
    gnu_long_name
    hard_link
    hidden_bytes
    key_id_of_another
    late_signature
    list_not_first
    list_too_large
    list_without_manifest
    long_member
    many_parents
    missing_end
    missing_last_member
    missing_member
    non_utf8_name
    not_gzip
    order
    path_traversal
    pax_header
    repeated_list
    second_end
    signature_by_another_key
    signature_of_another_list
    signature_too_long
    size_beyond_limit
    sparse
    symlink
    trailing_data
    trailing_file
    truncated
    unknown_format
    unknown_key
    unknown_word
    unlisted_member
    unsigned
    unsorted_list
    wrong_checksum
    wrong_digest
    zeros
}

#[test]
fn what_is_written_is_read_back_with_its_signature() {
    let archive = good();
    let read = Archive::read(&written(&archive, Some(signer(&key(1))))[..]).unwrap();
    let expected = Signature { key: key(1).public(), signed_at: Timestamp::from_millis(NOW) };
    assert_eq!(read.signature(), Some(&expected));
    assert_eq!((read.manifest(), &read.files), (archive.manifest(), &archive.files));
    assert_eq!(read.pack().meta, archive.pack().meta);
    assert_eq!(read.pack().files[1].bytes, "second");
    assert!(Archive::read(&written(&archive, None)[..]).unwrap().signature().is_none());
}

#[test]
fn recipe_without_a_fault_makes_a_good_archive() {
    assert!(Archive::read(&Recipe::default().bytes()[..]).unwrap().signature().is_some());
}

#[test]
fn bytes_depend_on_the_pack_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("files")).unwrap();
    // In another order, and with a time and permissions of their own.
    for (path, text) in GOOD.iter().rev() {
        fs::write(folder.path().join(path), text).unwrap();
    }
    let bytes = written(&Archive::from_folder(folder.path()).unwrap(), Some(signer(&key(1))));
    assert_eq!(bytes, written(&good(), Some(signer(&key(1)))));
    let again = Archive::read(&bytes[..]).unwrap();
    assert_eq!(written(&again, Some(signer(&key(1)))), bytes);
    assert_eq!(again.digest(), good().digest());
}

#[test]
fn core_goes_through_an_archive() {
    let core = crate::core().unwrap();
    let mut files = Files::from([(
        "pack.yaml".to_owned(),
        bytes::Bytes::from_static(include_bytes!("../../../../content/core/pack.yaml")),
    )]);
    for component in &core.components {
        files.insert(format!("components/{}.wasm", component.record.name), component.wasm.clone());
    }
    let archive = Archive::of_files(files).unwrap();
    let read = Archive::read(&written(&archive, None)[..]).unwrap();
    let records =
        |pack: &Pack| pack.components.iter().map(|component| component.record.clone()).collect::<Vec<_>>();
    assert_eq!(records(read.pack()), records(core));
}

#[test]
fn path_that_does_not_fit_is_refused_when_it_is_written() {
    let mut archive = good();
    let path = format!("files/{}", "x".repeat(120));
    archive.files.insert(path.clone(), bytes::Bytes::new());
    let error = archive.write(std::io::sink(), None).unwrap_err();
    assert!(error.to_string().starts_with(&format!("`{path}`: the path is too long")), "{error}");
}

/// Counts what is taken from a reader.
struct Counted<'a>(&'a [u8], usize);

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.0.read(buffer)?;
        self.1 += length;
        Ok(length)
    }
}

#[test]
fn what_is_not_allowed_is_refused_before_it_is_read() {
    let contents: Vec<u8> = (0..200_000_u32)
        .flat_map(|number| blake3::hash(&number.to_le_bytes()).as_bytes()[..16].to_vec())
        .collect();
    let mut tar = header(LIST, contents.len() as u64 * 2).unwrap().as_bytes().to_vec();
    tar.extend(contents.repeat(2));
    let file = gzip(&tar);
    let mut reader = Counted(&file, 0);
    let error = Archive::read(&mut reader).unwrap_err();
    assert_eq!(error.to_string(), "`pack.json`: longer than 4194304 bytes");
    assert!(reader.1 < 100_000 && file.len() > 3_000_000, "{} of {}", reader.1, file.len());
}

#[test]
fn sizes_that_are_small_one_by_one_are_added_up() {
    let members: Vec<String> = (10..19)
        .map(|number| {
            format!(
                r#"{{"path": "files/{number}", "size": {MAX_FILE_BYTES}, "blake3": "{}"}}"#,
                "0".repeat(64)
            )
        })
        .collect();
    let text = format!(
        r#"{{"format": 1, "name": "sample", "version": "1", "packed-by": "x", "members": [{}]}}"#,
        members.join(",")
    );
    let error = ArchiveManifest::parse(text.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "`pack.json`: the pack is larger than 268435456 bytes");
}

#[test]
fn error_of_the_reader_is_told_as_its_cause() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }
    assert!(matches!(Archive::read(Broken), Err(ArchiveError::Transfer { action: "read", .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A file in which bytes were changed is refused, or says the same and is signed by the same key.
    #[test]
    fn changed_bytes_never_change_the_pack(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        inside in any::<bool>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let whole = written(&good(), Some(signer(&key(1))));
        let mut bytes = whole.clone();
        if inside {
            bytes.clear();
            GzDecoder::new(&whole[..]).read_to_end(&mut bytes).unwrap();
        }
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let file = if inside { gzip(&bytes) } else { bytes };
        if let Ok(archive) = Archive::read(&file[..]) {
            prop_assert_eq!(&archive.manifest, &good().manifest);
            prop_assert_eq!(archive.files, good_files());
            prop_assert_eq!(archive.signature.map(|signature| signature.key), Some(key(1).public()));
        }
    }

    #[test]
    fn no_bytes_make_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), compressed in any::<bool>()) {
        let file = if compressed { gzip(&bytes) } else { bytes };
        prop_assert!(Archive::read(&file[..]).is_err());
    }
}
