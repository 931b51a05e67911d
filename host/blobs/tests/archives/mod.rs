//! Archives of every kind, good and bad, through the real child.

use std::{
    fs::File,
    io::{Seek, Write},
    path::{Path, PathBuf},
    process::Command,
};

use cap_std::{ambient_authority, fs::Dir};
use formwork_blobs::{ArchiveWorker, ExplodeError, Exploded, TreeLimits, explode};
use proptest::prelude::*;
use tempfile::TempDir;

/// The program that reads archives, an example of this crate.
fn worker() -> ArchiveWorker {
    let program = std::env::current_exe().unwrap();
    let program = program.ancestors().nth(2).unwrap().join("examples/archive-worker");
    assert!(program.is_file(), "no {}: run `cargo test -p formwork-blobs --examples`", program.display());
    ArchiveWorker { program, args: Vec::new() }
}

/// A folder in which one is to be filled and others must stay as they are.
struct Place {
    outer: TempDir,
}

impl Place {
    fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        std::fs::create_dir(outer.path().join("tree")).unwrap();
        Self { outer }
    }

    fn tree(&self) -> PathBuf {
        self.outer.path().join("tree")
    }

    fn explode(&self, archive: &[u8], limits: TreeLimits) -> Result<Exploded, ExplodeError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(archive).unwrap();
        file.rewind().unwrap();
        self.explode_file(file, limits)
    }

    fn explode_file(&self, file: File, limits: TreeLimits) -> Result<Exploded, ExplodeError> {
        let into = Dir::open_ambient_dir(self.tree(), ambient_authority()).unwrap();
        let exploded = explode(&worker(), file, &into, limits, &|| false);
        let outside: Vec<_> =
            std::fs::read_dir(self.outer.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(outside, ["tree"], "something was written outside");
        exploded
    }

    fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.tree().join(path)).unwrap()
    }
}

/// What an entry of a made archive is.
enum Member<'a> {
    File(&'a [u8]),
    Folder,
    Symlink(&'a str),
    HardLink(&'a str),
    Device,
}

/// Makes a tar archive; names are written as they are, also bad ones.
fn tape(members: &[(&str, Member<'_>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, member) in members {
        let mut header = tar::Header::new_gnu();
        let (kind, content, target): (_, &[u8], _) = match member {
            Member::File(content) => (tar::EntryType::Regular, content, ""),
            Member::Folder => (tar::EntryType::Directory, b"", ""),
            Member::Symlink(target) => (tar::EntryType::Symlink, b"", *target),
            Member::HardLink(target) => (tar::EntryType::Link, b"", *target),
            Member::Device => (tar::EntryType::Char, b"", ""),
        };
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(if name.ends_with(".sh") { 0o755 } else { 0o644 });
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[..name.len()].copy_from_slice(name.as_bytes());
        gnu.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        archive.append(&header, content).unwrap();
    }
    archive.into_inner().unwrap()
}

fn usual() -> Vec<u8> {
    tape(&[
        ("./", Member::Folder),
        ("./boot", Member::Folder),
        ("boot/vmlinuz", Member::File(b"kernel")),
        ("run.sh", Member::File(b"#!/bin/sh\n")),
        ("boot/linux", Member::Symlink("vmlinuz")),
        ("deep/er/file", Member::File(&[7; 300_000])),
        ("again", Member::HardLink("boot/vmlinuz")),
        ("self", Member::Symlink(".")),
    ])
}

fn is_usual(place: &Place) {
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(place.text("boot/vmlinuz"), "kernel");
    assert_eq!(place.text("boot/linux"), "kernel");
    assert_eq!(place.text("again"), "kernel");
    assert_eq!(place.text("self/run.sh"), "#!/bin/sh\n");
    assert_eq!(std::fs::metadata(place.tree().join("deep/er/file")).unwrap().len(), 300_000);
    let mode = |name: &str| std::fs::metadata(place.tree().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("run.sh"), mode("boot/vmlinuz")), (0o755, 0o644));
}

/// Compresses bytes by a program.
fn by(program: &str, bytes: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    std::fs::write(&path, bytes).unwrap();
    let output = Command::new(program).arg("-c").arg(&path).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_kind_of_tar_archive_is_taken_apart() {
    let mut packed = vec![usual(), gzip(&usual())];
    for program in ["bzip2", "xz", "zstd"] {
        packed.push(by(program, &usual()));
    }
    for (index, archive) in packed.iter().enumerate() {
        let place = Place::new();
        let exploded =
            place.explode(archive, TreeLimits::default()).unwrap_or_else(|e| panic!("{index}: {e}"));
        assert_eq!((exploded.entries, exploded.left_out), (7, 0), "{index}");
        is_usual(&place);
    }
}

#[test]
fn zip_archive_is_taken_apart() {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let plain = zip::write::SimpleFileOptions::default();
    archive.add_directory("boot", plain).unwrap();
    archive.start_file("boot/vmlinuz", plain).unwrap();
    archive.write_all(b"kernel").unwrap();
    archive.start_file("run.sh", plain.unix_permissions(0o755)).unwrap();
    archive.write_all(b"#!/bin/sh\n").unwrap();
    archive.start_file("deep/er/file", plain.compression_method(zip::CompressionMethod::Bzip2)).unwrap();
    archive.write_all(&[7; 300_000]).unwrap();
    archive.add_symlink("boot/linux", "vmlinuz", plain).unwrap();
    archive.add_symlink("self", ".", plain).unwrap();
    archive.add_symlink("again", "boot/vmlinuz", plain).unwrap();
    let archive = archive.finish().unwrap().into_inner();
    let place = Place::new();
    assert_eq!(place.explode(&archive, TreeLimits::default()).unwrap().entries, 7);
    is_usual(&place);
}

/// Makes an image of a folder.
fn image(folder: &Path, options: &[&str]) -> File {
    let out = tempfile::NamedTempFile::new().unwrap();
    let made = Command::new("xorriso")
        .env("LC_ALL", "C.UTF-8")
        .args(["-as", "mkisofs", "-quiet"])
        .args(options)
        .arg("-o")
        .arg(out.path())
        .arg(folder)
        .output()
        .expect("the package `xorriso` is needed: `cargo xtask test` installs it");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    File::open(out.path()).unwrap()
}

#[test]
fn image_of_a_file_system_is_taken_apart_by_its_best_names() {
    let source = tempfile::tempdir().unwrap();
    let deep = "One/two/three/four/five/six/seven/eight/nine/ten";
    std::fs::create_dir_all(source.path().join(deep)).unwrap();
    std::fs::write(source.path().join(deep).join("a-rather-long-name.tar.gz"), [3; 5000]).unwrap();
    std::fs::write(source.path().join("Füße.txt"), "feet").unwrap();
    std::fs::write(source.path().join("empty"), "").unwrap();
    let long = "l/".repeat(120) + "end";
    std::os::unix::fs::symlink(&long, source.path().join("long")).unwrap();
    std::os::unix::fs::symlink("../One", source.path().join("One/again")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", source.path().join("out")).unwrap();
    let many = source.path().join("many");
    std::fs::create_dir(&many).unwrap();
    for number in 0..300 {
        std::fs::write(many.join(format!("file-{number:04}-{}", "x".repeat(100))), number.to_string())
            .unwrap();
    }

    let unix = Place::new();
    let exploded = unix.explode_file(image(source.path(), &["-R"]), TreeLimits::default()).unwrap();
    assert_eq!(exploded.named, ["`out` links to `/etc/passwd`, which is outside"]);
    assert_eq!(std::fs::read(unix.tree().join(deep).join("a-rather-long-name.tar.gz")).unwrap(), [3; 5000]);
    assert_eq!(unix.text("Füße.txt"), "feet");
    assert_eq!(unix.text("empty"), "");
    assert_eq!(std::fs::read_link(unix.tree().join("long")).unwrap(), Path::new(&long));
    assert!(unix.tree().join("One/again/two").is_dir());
    assert_eq!(std::fs::read_dir(unix.tree().join("many")).unwrap().count(), 300);
    assert_eq!(unix.text(&format!("many/file-0299-{}", "x".repeat(100))), "299");

    let joliet = Place::new();
    joliet
        .explode_file(image(source.path(), &["--norock", "-J", "-joliet-long"]), TreeLimits::default())
        .unwrap();
    assert_eq!(joliet.text("Füße.txt"), "feet");
    assert!(joliet.tree().join(deep).join("a-rather-long-name.tar.gz").is_file());

    let small = tempfile::tempdir().unwrap();
    std::fs::create_dir(small.path().join("boot")).unwrap();
    std::fs::write(small.path().join("boot/kernel.img"), "k").unwrap();
    std::fs::write(small.path().join("readme"), "r").unwrap();
    let plain = Place::new();
    plain.explode_file(image(small.path(), &["--norock", "-iso-level", "1"]), TreeLimits::default()).unwrap();
    assert_eq!(plain.text("BOOT/KERNEL.IMG"), "k");
    assert_eq!(plain.text("README"), "r");
}

#[test]
fn image_that_is_cut_off_is_refused_with_the_reason() {
    let source = tempfile::tempdir().unwrap();
    std::fs::write(source.path().join("big"), [5; 400_000]).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut image(source.path(), &["-R"]), &mut bytes).unwrap();
    bytes.truncate(200_000);
    let error = Place::new().explode(&bytes, TreeLimits::default()).unwrap_err();
    assert!(error.to_string().contains("was all of it uploaded?"), "{error}");
}

#[test]
fn empty_file_is_an_archive_without_members() {
    let place = Place::new();
    assert_eq!(place.explode(b"", TreeLimits::default()).unwrap(), Exploded::default());
    assert_eq!(place.explode(&[0; 1024], TreeLimits::default()).unwrap().entries, 0);
}

#[test]
fn archive_never_writes_outside() {
    let outside: [&[(&str, Member<'_>)]; 6] = [
        &[("/etc/formwork-test", Member::File(b"x"))],
        &[("../escaped", Member::File(b"x"))],
        &[("a/../../escaped", Member::File(b"x"))],
        &[("a", Member::HardLink("../../../../etc/passwd"))],
        &[("d", Member::Symlink(".")), ("d/l", Member::Symlink(".")), ("d/l/x", Member::File(b"x"))],
        &[("..", Member::Symlink("x"))],
    ];
    for members in outside {
        let error = Place::new().explode(&tape(members), TreeLimits::default()).unwrap_err();
        assert!(matches!(error, ExplodeError::Outside(_)), "{error}");
    }
    let place = Place::new();
    let left_out = tape(&[
        ("out", Member::Symlink("../..")),
        ("abs", Member::Symlink("/etc")),
        ("tty", Member::Device),
        ("in", Member::File(b"kept")),
    ]);
    let exploded = place.explode(&left_out, TreeLimits::default()).unwrap();
    assert_eq!((exploded.entries, exploded.left_out, exploded.named.len()), (1, 3, 3));
    assert_eq!(std::fs::read_dir(place.tree()).unwrap().count(), 1);
}

#[test]
fn more_than_the_limits_is_refused() {
    let few = TreeLimits { entries: 3, ..TreeLimits::default() };
    let error = Place::new().explode(&usual(), few).unwrap_err();
    assert_eq!(error.to_string(), "the archive has more than 3 entries");
    // A megabyte that says it is a million of them.
    let bomb = gzip(&tape(&[("bomb", Member::File(&vec![0; 20 << 20]))]));
    assert!(bomb.len() < 200_000);
    let error =
        Place::new().explode(&bomb, TreeLimits { bytes: 1 << 20, ..TreeLimits::default() }).unwrap_err();
    assert_eq!(error.to_string(), "the archive has more than 1048576 bytes");
}

#[test]
fn what_is_no_archive_is_refused_by_what_it_is() {
    for (bytes, words) in [
        (&b"just some text, long enough to be a file"[..], "no archive that is known"),
        (&gzip(b"text in gzip"), "no tar archive"),
        (&usual()[..700], "the archive is damaged"),
        (&gzip(&usual())[..400], "incomplete deflate stream"),
        (&b"PK\x03\x04 and then nothing of a zip"[..], "zip"),
    ] {
        let error = Place::new().explode(bytes, TreeLimits::default()).unwrap_err().to_string();
        assert!(error.to_lowercase().contains(words), "{words}: {error}");
    }
}

#[test]
fn one_that_nobody_wants_any_more_is_stopped() {
    let place = Place::new();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&usual()).unwrap();
    file.rewind().unwrap();
    let into = Dir::open_ambient_dir(place.tree(), ambient_authority()).unwrap();
    let stopped = explode(&worker(), file, &into, TreeLimits::default(), &|| true);
    assert!(matches!(stopped, Err(ExplodeError::Stopped)), "{stopped:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn damaged_archive_ends_in_a_tree_or_an_error(
        which in 0_usize..3,
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut bytes = match which {
            0 => usual(),
            1 => gzip(&usual()),
            _ => {
                let source = tempfile::tempdir().unwrap();
                std::fs::create_dir(source.path().join("boot")).unwrap();
                std::fs::write(source.path().join("boot/kernel"), "k").unwrap();
                std::os::unix::fs::symlink("boot/kernel", source.path().join("link")).unwrap();
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut image(source.path(), &["-R", "-J"]), &mut bytes).unwrap();
                bytes
            }
        };
        for (at, value) in damages {
            // The first sectors of an image say nothing; damage where the folders are is worth more.
            let length = if which == 2 { bytes.len().min(60 << 11) } else { bytes.len() };
            let at = at.index(length);
            bytes[at] = value;
        }
        let place = Place::new();
        if let Err(error) = place.explode(&bytes, TreeLimits { entries: 1000, bytes: 1 << 24 }) {
            prop_assert!(!error.to_string().is_empty());
            prop_assert!(!error.to_string().contains("panicked"), "{}", error);
        }
    }
}
