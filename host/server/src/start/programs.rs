//! The programs that clients expect among the files of a fresh endpoint (drp-api.md 11.1).
//!
//! Machines fetch `drpcli.ARCH.SYSTEM` to run their jobs, so the one for this system is this very program. Their other
//! names are told as well; what they hold says where such a program comes from.

use std::{fs::File, io::Read, path::Path};

use formwork_blobs::{BlobError, BlobPath, Space};

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

/// Puts those that are missing among the files. What is there stays: an operator may have put it there. Blocks.
pub(super) fn provide(files: &Space, program: &Path) {
    for name in NAMES {
        if let Err(error) = provide_one(files, name, program) {
            tracing::warn!(name, %error, "a program that clients fetch is not among the files");
        }
    }
}

fn provide_one(files: &Space, name: &str, program: &Path) -> Result<(), BlobError> {
    let Ok(path) = BlobPath::parse(name) else { return Ok(()) };
    if files.read(&path).is_ok() {
        return Ok(());
    }
    let mut upload = files.begin(&path)?;
    match File::open(program) {
        Ok(mut program) if name == own_name() => {
            let mut buffer = vec![0; CHUNK_BYTES];
            loop {
                let read = program
                    .read(&mut buffer)
                    .map_err(|source| BlobError::Io { path: path.clone(), source })?;
                if read == 0 {
                    break;
                }
                upload.write(buffer.get(..read).unwrap_or_default())?;
            }
        }
        _ => upload.write(
            format!(
                "#!/bin/sh\necho '{name} is not part of this endpoint: put a program for this system here, as \
                 `formwork files upload {name} as {name}` does' >&2\nexit 1\n"
            )
            .as_bytes(),
        )?,
    }
    upload.finish().map(drop)
}

/// Returns the name of this very program.
fn own_name() -> String {
    let arch = formwork_model::canonical_arch(std::env::consts::ARCH).unwrap_or(std::env::consts::ARCH);
    format!("drpcli.{arch}.{}", std::env::consts::OS)
}

#[cfg(test)]
mod tests {
    use std::{io::Read, sync::Arc};

    use super::*;

    #[test]
    fn fresh_endpoint_lists_the_programs_that_clients_expect() {
        let folder = tempfile::tempdir().unwrap();
        let files = Space::open(&folder.path().join("files"), Arc::default()).unwrap();
        let program = folder.path().join("program");
        std::fs::write(&program, "this very program").unwrap();
        provide(&files, &program);
        assert_eq!(files.list(&BlobPath::default(), true).unwrap(), NAMES);
        let text = |name: &str| {
            let mut text = String::new();
            files.read(&BlobPath::parse(name).unwrap()).unwrap().file.read_to_string(&mut text).unwrap();
            text
        };
        assert_eq!(text(&own_name()), "this very program");
        assert!(text("jq").contains("not part of this endpoint"));
        let mut own = files.begin(&BlobPath::parse("jq").unwrap()).unwrap();
        own.write(b"the operator's").unwrap();
        own.finish().unwrap();
        provide(&files, &program);
        assert_eq!(text("jq"), "the operator's");
    }
}
