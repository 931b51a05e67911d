//! The programs that clients expect among the files of a fresh endpoint (drp-api.md 11.1).
//!
//! Machines fetch `drpcli.ARCH.SYSTEM` to run their jobs, so the one for this system is this very program. Their other
//! names are told as well; what they hold says where such a program comes from.
//!
//! What was put there is written down with its sum. So a file that is still what an earlier start put there is renewed when
//! this start would put something else, and one that an operator put in its place stays.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write as _},
    path::Path,
};

use formwork_blobs::{BlobError, BlobPath, Space};

use crate::files::sum_of;

/// The names, in the order in which a fresh endpoint lists them.
const NAMES: [&str; 6] = [
    "drpcli.amd64.darwin",
    "drpcli.amd64.linux",
    "drpcli.amd64.windows",
    "drpcli.arm64.linux",
    "drpcli.ppc64le.linux",
    "jq",
];

/// Bytes that are copied at once.
const CHUNK_BYTES: usize = 1 << 20;

/// The file below the base root that says which sums the programs had when they were put there.
const RECORD: &str = "programs.json";

/// Most bytes of that file.
const MAX_RECORD_BYTES: u64 = 64 << 10;

/// The SHA-256 of what was put there, by name.
type Sums = BTreeMap<String, String>;

/// Puts those that are missing among the files, and renews those that an earlier start put there. Blocks.
pub(super) fn provide(files: &Space, program: &Path, root: &Path) {
    let record = root.join(RECORD);
    let mut sums = read(&record);
    let before = sums.clone();
    for name in NAMES {
        match provide_one(files, name, program, sums.get(name)) {
            Ok(Some(sum)) => drop(sums.insert(name.to_owned(), sum)),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(name, %error, "a program that clients fetch is not among the files");
            }
        }
    }
    if sums == before {
        return;
    }
    if let Err(error) = write(&record, &sums) {
        tracing::warn!(%error, "the programs that clients fetch will not be renewed by a later release");
    }
}

/// Returns the sum of what was put there; nothing when what is there stays.
fn provide_one(
    files: &Space,
    name: &str,
    program: &Path,
    ours: Option<&String>,
) -> Result<Option<String>, BlobError> {
    let Ok(path) = BlobPath::parse(name) else { return Ok(None) };
    let failed = |source| BlobError::Io { path: path.clone(), source };
    let mut wanted = wanted(name, program);
    if files.read(&path).is_ok() {
        let there = files.sum(&path)?;
        if Some(&there) != ours || there == sum_of(&mut *wanted).map_err(failed)? {
            return Ok(None);
        }
        wanted = self::wanted(name, program);
    }
    let mut upload = files.begin(&path)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let read = wanted.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            return upload.finish().map(|stored| Some(stored.sha256));
        }
        upload.write(buffer.get(..read).unwrap_or_default())?;
    }
}

/// Returns what is to be there under a name.
fn wanted(name: &str, program: &Path) -> Box<dyn Read> {
    match File::open(program) {
        Ok(program) if name == own_name() => Box::new(program),
        _ => Box::new(io::Cursor::new(format!(
            "#!/bin/sh\necho '{name} is not part of this endpoint: put a program for this system here, as \
             `formwork files upload {name} as {name}` does' >&2\nexit 1\n"
        ))),
    }
}

/// Reads the record; what is no record is none.
fn read(record: &Path) -> Sums {
    let mut text = String::new();
    let read = File::open(record).and_then(|file| file.take(MAX_RECORD_BYTES).read_to_string(&mut text));
    read.ok().and_then(|_| serde_json::from_str(&text).ok()).unwrap_or_default()
}

fn write(record: &Path, sums: &Sums) -> io::Result<()> {
    let draft = record.with_extension("part");
    let mut file = File::create(&draft)?;
    file.write_all(&serde_json::to_vec_pretty(sums)?)?;
    file.sync_all()?;
    fs::rename(&draft, record)
}

/// Returns the name of this very program.
fn own_name() -> String {
    let arch = formwork_model::canonical_arch(std::env::consts::ARCH).unwrap_or(std::env::consts::ARCH);
    format!("drpcli.{arch}.{}", std::env::consts::OS)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// A folder of files, and the program of an endpoint.
    struct Endpoint {
        folder: tempfile::TempDir,
        files: Space,
    }

    impl Endpoint {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let files = Space::open(&folder.path().join("files"), Arc::default()).unwrap();
            Self { folder, files }
        }

        /// Starts with a program.
        fn start(&self, program: &str) {
            let path = self.folder.path().join("program");
            fs::write(&path, program).unwrap();
            provide(&self.files, &path, self.folder.path());
        }

        fn text(&self, name: &str) -> String {
            let mut text = String::new();
            let mut file = self.files.read(&BlobPath::parse(name).unwrap()).unwrap().file;
            file.read_to_string(&mut text).unwrap();
            text
        }

        fn upload(&self, name: &str, text: &str) {
            let mut upload = self.files.begin(&BlobPath::parse(name).unwrap()).unwrap();
            upload.write(text.as_bytes()).unwrap();
            upload.finish().unwrap();
        }
    }

    #[test]
    fn fresh_endpoint_lists_the_programs_that_clients_expect() {
        let endpoint = Endpoint::new();
        endpoint.start("this very program");
        assert_eq!(endpoint.files.list(&BlobPath::default(), true).unwrap(), NAMES);
        assert_eq!(endpoint.text(&own_name()), "this very program");
        assert!(endpoint.text("jq").contains("not part of this endpoint"));
    }

    #[test]
    fn what_an_earlier_release_put_there_is_renewed() {
        let endpoint = Endpoint::new();
        endpoint.start("one");
        endpoint.start("two");
        assert_eq!(endpoint.text(&own_name()), "two");
        endpoint.start("three");
        assert_eq!(endpoint.text(&own_name()), "three");
    }

    #[test]
    fn what_an_operator_put_there_stays() {
        let endpoint = Endpoint::new();
        endpoint.upload(&own_name(), "his own");
        endpoint.start("one");
        assert_eq!(endpoint.text(&own_name()), "his own");
        endpoint.upload("jq", "the operator's");
        endpoint.start("two");
        assert_eq!(
            (endpoint.text("jq"), endpoint.text(&own_name())),
            ("the operator's".into(), "his own".into())
        );
    }

    #[test]
    fn record_that_is_none_renews_nothing() {
        let endpoint = Endpoint::new();
        endpoint.start("one");
        fs::write(endpoint.folder.path().join(RECORD), "{").unwrap();
        endpoint.start("two");
        assert_eq!(endpoint.text(&own_name()), "one");
    }
}
