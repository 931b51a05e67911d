//! A small store for each pack: a file for each key, in a folder for each pack.
//!
//! All keys of a pack that is in use are in memory as well. A file is written whole and put into place, so that a crash
//! leaves the old value or the new one.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::{Digest, HostAnswer, HostError, KvCall};

/// Most keys of a pack.
const MAX_KEYS: usize = 10_000;

/// Most bytes of a pack's keys and values together.
const MAX_BYTES: usize = 16 << 20;

/// Largest file that is read: a value, its key and some braces, each byte of them escaped.
const MAX_FILE_BYTES: u64 = 2 << 20;

/// The stores of all packs, below one folder. Clones share everything.
#[derive(Debug, Clone)]
pub struct Kv {
    folder: Arc<Path>,
    packs: Arc<Mutex<HashMap<String, Arc<Mutex<Store>>>>>,
}

/// What one pack has stored.
#[derive(Debug, Default)]
struct Store {
    folder: PathBuf,
    loaded: bool,
    values: BTreeMap<String, String>,
    bytes: usize,
}

/// One file.
#[derive(Serialize, Deserialize)]
struct Record {
    key: String,
    json: String,
}

impl Kv {
    /// Keeps the stores below a folder, which is made when it is first written to. It must be used by one process alone.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into().into(), packs: Arc::default() }
    }

    /// Does one call for a pack, away from the threads that serve others.
    ///
    /// # Errors
    ///
    /// [`HostError::Invalid`] when the pack's share is full: 10,000 keys or 16 MiB. Else as the operating system does.
    pub async fn call(&self, pack: &str, call: KvCall) -> Result<HostAnswer, HostError> {
        let store = self.pack(pack);
        let done = spawn_blocking(move || locked(&store).perform(call)).await;
        done.unwrap_or_else(|error| Err(HostError::Other(error.to_string())))
    }

    /// Forgets all that a pack has stored, when it is removed.
    ///
    /// # Errors
    ///
    /// Fails when the files cannot be removed.
    pub async fn forget(&self, pack: &str) -> Result<(), HostError> {
        let store = self.pack(pack);
        let done = spawn_blocking(move || {
            let mut store = locked(&store);
            let removed = fs::remove_dir_all(&store.folder);
            *store = Store { folder: std::mem::take(&mut store.folder), ..Store::default() };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(other(&error)),
                _ => Ok(()),
            }
        });
        done.await.unwrap_or_else(|error| Err(HostError::Other(error.to_string())))
    }

    fn pack(&self, pack: &str) -> Arc<Mutex<Store>> {
        let mut packs = locked(&self.packs);
        let make = || {
            // The name of a pack may have what a name of a file may not.
            let folder = self.folder.join(Digest::of(pack.as_bytes()).to_string());
            Arc::new(Mutex::new(Store { folder, ..Store::default() }))
        };
        Arc::clone(packs.entry(pack.to_owned()).or_insert_with(make))
    }
}

impl Store {
    fn perform(&mut self, call: KvCall) -> Result<HostAnswer, HostError> {
        if !self.loaded {
            self.load().map_err(|error| other(&error))?;
        }
        match call {
            KvCall::Get { key } => Ok(HostAnswer::Text(self.values.get(&key).cloned())),
            KvCall::List { prefix } => {
                let keys = self.values.range(prefix.clone()..).map(|(key, _)| key);
                let keys = keys.take_while(|key| key.starts_with(&prefix)).take(MAX_KEYS);
                Ok(HostAnswer::Names(keys.cloned().collect()))
            }
            KvCall::Set { key, json } => self.set(key, json),
            KvCall::Delete { key } => self.delete(&key),
        }
    }

    fn set(&mut self, key: String, json: String) -> Result<HostAnswer, HostError> {
        let old = self.values.get(&key);
        if old == Some(&json) {
            return Ok(HostAnswer::Done);
        }
        let less = old.map_or(0, |old| key.len() + old.len());
        let bytes = self.bytes - less + key.len() + json.len();
        if bytes > MAX_BYTES || (old.is_none() && self.values.len() >= MAX_KEYS) {
            let words = format!("the pack's store is full: {MAX_KEYS} keys, {MAX_BYTES} bytes");
            return Err(HostError::Invalid(words));
        }
        let record = Record { key, json };
        self.write(&record).map_err(|error| other(&error))?;
        self.bytes = bytes;
        self.values.insert(record.key, record.json);
        Ok(HostAnswer::Done)
    }

    fn delete(&mut self, key: &str) -> Result<HostAnswer, HostError> {
        let Some(json) = self.values.get(key) else { return Ok(HostAnswer::Done) };
        let less = key.len() + json.len();
        fs::remove_file(self.path(key)).and_then(|()| self.sync()).map_err(|error| other(&error))?;
        self.bytes -= less;
        self.values.remove(key);
        Ok(HostAnswer::Done)
    }

    /// Reads all files. What a crash left half done is removed.
    fn load(&mut self) -> io::Result<()> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.loaded = true;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            match read(&path) {
                Some(Record { key, json }) if path == self.path(&key) => {
                    self.bytes += key.len() + json.len();
                    self.values.insert(key, json);
                }
                _ => {
                    tracing::warn!(path = %path.display(), "a file of a pack's store is no record and is removed");
                    fs::remove_file(&path)?;
                }
            }
        }
        self.loaded = true;
        Ok(())
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{}.json", Digest::of(key.as_bytes())))
    }

    /// Writes a record beside its place, makes it durable, and puts it there.
    fn write(&self, record: &Record) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let path = self.path(&record.key);
        let temporary = path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec(record)?)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        self.sync()
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

/// Reads a record; none when it is something else.
fn read(path: &Path) -> Option<Record> {
    use std::io::Read;
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn other(error: &io::Error) -> HostError {
    HostError::Other(format!("the pack's store failed: {error}"))
}

/// Locks; what a panicking thread left behind is checked against the files at the next start.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(kv: &Kv, pack: &str, key: &str) -> Option<String> {
        match kv.call(pack, KvCall::Get { key: key.to_owned() }).await.unwrap() {
            HostAnswer::Text(value) => value,
            other => panic!("{other:?}"),
        }
    }

    async fn set(kv: &Kv, pack: &str, key: &str, json: &str) -> Result<HostAnswer, HostError> {
        kv.call(pack, KvCall::Set { key: key.to_owned(), json: json.to_owned() }).await
    }

    async fn keys(kv: &Kv, pack: &str, prefix: &str) -> Vec<String> {
        match kv.call(pack, KvCall::List { prefix: prefix.to_owned() }).await.unwrap() {
            HostAnswer::Names(keys) => keys,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_was_set_is_there_after_a_restart_and_for_its_pack_alone() {
        let folder = tempfile::tempdir().unwrap();
        let kv = Kv::new(folder.path());
        for (key, json) in [("a/1", "1"), ("a/2", "2"), ("b", "\"x\""), ("a/1", "3")] {
            set(&kv, "one", key, json).await.unwrap();
        }
        kv.call("one", KvCall::Delete { key: "a/2".to_owned() }).await.unwrap();
        kv.call("one", KvCall::Delete { key: "a/2".to_owned() }).await.unwrap();
        let again = Kv::new(folder.path());
        for kv in [&kv, &again] {
            assert_eq!(get(kv, "one", "a/1").await.as_deref(), Some("3"));
            assert_eq!(get(kv, "one", "a/2").await, None);
            assert_eq!(get(kv, "two", "b").await, None);
            assert_eq!(keys(kv, "one", "a/").await, ["a/1"]);
            assert_eq!(keys(kv, "one", "").await, ["a/1", "b"]);
        }
    }

    #[tokio::test]
    async fn a_file_that_is_no_record_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        set(&Kv::new(folder.path()), "one", "a", "1").await.unwrap();
        let pack = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        fs::write(pack.join("half.new"), "{\"key\":\"b\"").unwrap();
        fs::write(pack.join("other.json"), "{\"key\":\"b\",\"json\":\"1\"}").unwrap();
        assert_eq!(keys(&Kv::new(folder.path()), "one", "").await, ["a"]);
        assert_eq!(fs::read_dir(&pack).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_pack_has_its_share_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let kv = Kv::new(folder.path());
        let large = format!("\"{}\"", "x".repeat(255 << 10));
        let mut stored = 0;
        let error = loop {
            match set(&kv, "one", &stored.to_string(), &large).await {
                Ok(_) => stored += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(&error, HostError::Invalid(words) if words.contains("full")), "{error:?}");
        assert_eq!(stored, MAX_BYTES / large.len());
        // There is room for the same key again, for another pack, and after a removal.
        set(&kv, "one", "0", "1").await.unwrap();
        set(&kv, "two", "0", &large).await.unwrap();
        kv.forget("one").await.unwrap();
        assert_eq!(keys(&kv, "one", "").await, [""; 0]);
        assert_eq!(keys(&kv, "two", "").await, ["0"]);
    }
}
