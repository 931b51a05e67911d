//! One process a data folder.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, Write},
    path::Path,
};

use nix::fcntl::{Flock, FlockArg};

use super::{ServeError, folder};

/// Holds the folder for as long as it lives. The system lets go of it whatever ends the process.
pub(super) struct Holder {
    _lock: Flock<File>,
}

/// Takes hold of a data folder.
pub(super) fn hold(base_root: &Path) -> Result<Holder, ServeError> {
    let path = base_root.join("formwork.pid");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|source| folder(&path, source))?;
    let mut holder = String::new();
    let _ = (&mut file).take(32).read_to_string(&mut holder);
    let mut lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        nix::errno::Errno::EWOULDBLOCK => {
            ServeError::Held { folder: base_root.to_owned(), holder: holder.trim().to_owned() }
        }
        other => folder(&path, other.into()),
    })?;
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut lock).map_err(|source| folder(&path, source))?;
    Ok(Holder { _lock: lock })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_holder_is_refused_and_told_the_first() {
        let base = tempfile::tempdir().unwrap();
        let first = hold(base.path()).unwrap();
        let refused = hold(base.path()).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(first);
        assert!(hold(base.path()).is_ok());
    }
}
