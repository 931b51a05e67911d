//! Random ids and secrets, from the system.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};

/// Returns random bytes.
///
/// # Panics
///
/// The system has no random numbers; nothing that needs a secret may go on then.
pub(crate) fn bytes<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    #[expect(clippy::expect_used, reason = "a secret that is not random is worse than an end")]
    SystemRandom::new().fill(&mut bytes).expect("the system gives random numbers");
    bytes
}

/// Returns sixteen characters that are safe in URLs.
pub(crate) fn secret() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<12>())
}

/// Returns a random number below another, which is not 0.
pub(crate) fn below(count: usize) -> usize {
    usize::try_from(u64::from_le_bytes(bytes::<8>()) % count.max(1) as u64).unwrap_or(0)
}

/// Returns a random UUID.
pub(crate) fn uuid() -> String {
    uuid::Builder::from_random_bytes(bytes::<16>()).into_uuid().to_string()
}

/// Returns the key in a file, at least 32 bytes; makes one that only the owner of the process can read where there is none.
/// A key that was made is durable when this returns.
///
/// # Errors
///
/// The file cannot be read or written, or is too short.
pub(crate) fn key_file(file: &Path) -> io::Result<Vec<u8>> {
    match fs::read(file) {
        Ok(bytes) if bytes.len() >= 32 => return Ok(bytes),
        Ok(_) => return Err(io::Error::new(ErrorKind::InvalidData, "the key is too short")),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let bytes = bytes::<32>().to_vec();
    let partial = file.with_extension("new");
    let mut out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    out.write_all(&bytes)?;
    out.sync_all()?;
    fs::rename(&partial, file)?;
    if let Some(folder) = file.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(bytes)
}
