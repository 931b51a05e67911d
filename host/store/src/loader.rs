//! Building the first state out of what a backend holds.

use std::{num::NonZero, panic::resume_unwind, sync::Arc, thread};

use formwork_model::Object;

use crate::{Entry, Revision, codec, facts::Facts, published::Log, state::State};

/// A row that this release cannot read.
#[derive(Debug)]
pub(crate) struct BadRow {
    /// Prefix and key with a slash between.
    pub(crate) key: String,
    pub(crate) reason: String,
}

/// Rows that are decoded at once, by all processors.
const TOGETHER: usize = 8192;

/// Rows that one thread decodes at least: fewer are done before it has started.
const SHARE: usize = 512;

/// Takes the rows and entries of a backend and decodes them.
pub(crate) struct Loader {
    state: State,
    log: Log,
    waiting: Vec<RawRow>,
}

/// Key and value of a row.
type RawRow = (Vec<u8>, Vec<u8>);

/// An object out of a row.
struct Row {
    key: Arc<str>,
    object: Arc<dyn Object>,
    revision: Revision,
    facts: Facts,
}

impl Loader {
    pub(crate) fn new(base: Vec<Arc<dyn Object>>) -> Self {
        Self { state: State::new(base), log: Log::default(), waiting: Vec::new() }
    }

    /// Takes a row of an object. What is wrong with it may be told by a later row, or by [`Loader::rows_end`].
    pub(crate) fn row(&mut self, key: &[u8], value: &[u8]) -> Result<(), BadRow> {
        self.waiting.push((key.to_vec(), value.to_vec()));
        if self.waiting.len() < TOGETHER { Ok(()) } else { self.rows_end() }
    }

    /// Takes in the rows that still wait. The entries come after that.
    pub(crate) fn rows_end(&mut self) -> Result<(), BadRow> {
        let rows = std::mem::take(&mut self.waiting);
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let share = rows.len().div_ceil(threads).max(SHARE);
        let decoded: Vec<_> = thread::scope(|scope| {
            let shares: Vec<_> =
                rows.chunks(share).map(|share| scope.spawn(|| share.iter().map(decode).collect())).collect();
            shares
                .into_iter()
                .map(|share| share.join().unwrap_or_else(|panic| resume_unwind(panic)))
                .collect()
        });
        for row in decoded.into_iter().flat_map(|share: Vec<_>| share) {
            let Row { key, object, revision, facts } = row?;
            self.state.put(key, object, revision, Some(facts));
        }
        Ok(())
    }

    /// Takes an entry of the feed, in revision order.
    ///
    /// The log only serves to resume feeds, so an entry that does not decode or does not follow its predecessor
    /// costs the entries up to it and not the start.
    pub(crate) fn entry(&mut self, revision: Revision, value: &[u8]) {
        if self.log.newest().is_some_and(|newest| newest.next() != revision) {
            tracing::warn!(feed.revision = revision.0, "the feed has a gap; older entries are left out");
            self.log = Log::default();
        }
        match codec::decode_entry(revision, value) {
            Ok(entry) => self.log.push(Arc::new(self.shared(entry)), value.len()),
            Err(reason) => {
                tracing::warn!(
                    feed.revision = revision.0,
                    reason,
                    "an entry of the feed does not decode; older entries are left out"
                );
                self.log = Log::default();
            }
        }
    }

    /// Ends the loading, after the last row and entry, at the revision of the backend.
    pub(crate) fn finish(mut self, revision: Revision) -> (State, Log) {
        if self.log.newest().is_some_and(|newest| newest != revision) {
            tracing::warn!(feed.revision = revision.0, "the feed does not end at the store's revision");
            self.log = Log::default();
        }
        (self.state.share(revision), self.log)
    }

    /// Lets an entry hold the objects of the state where it made them what they are, as it did before the restart: a second
    /// copy of each would take as much memory again.
    fn shared(&self, mut entry: Entry) -> Entry {
        for change in Arc::make_mut(&mut entry.changes) {
            let stored = self.state.stored(change.prefix, &change.key);
            if let Some(stored) = stored.filter(|stored| stored.revision == change.revision)
                && let Some(after) = &mut change.after
            {
                *after = Arc::clone(&stored.object);
            }
        }
        entry
    }
}

fn decode((key, value): &RawRow) -> Result<Row, BadRow> {
    let bad = |reason| BadRow { key: String::from_utf8_lossy(key).replacen('\0', "/", 1), reason };
    let (prefix, key) =
        codec::split_row_key(key).ok_or_else(|| bad(String::from("its name is no prefix and key")))?;
    let (object, revision) = codec::decode_row(prefix, key, value).map_err(bad)?;
    Ok(Row { key: key.into(), facts: Facts::of(&*object), object, revision })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_entry_costs_the_entries_up_to_it_and_not_the_start() {
        let mut loader = Loader::new(Vec::new());
        let good = br#"{"principal":"p","changes":[]}"#;
        loader.entry(Revision(4), good);
        loader.entry(Revision(5), b"{");
        loader.entry(Revision(6), good);
        loader.entry(Revision(7), good);
        let (state, log) = loader.finish(Revision(7));
        assert_eq!(state.revision, Revision(7));
        assert_eq!((log.oldest(), log.newest()), (Some(Revision(6)), Some(Revision(7))));
    }

    #[test]
    fn entry_shares_the_object_that_it_made() {
        let profile = |text: &str| serde_json::json!({"Name": "aa", "Description": text});
        let mut loader = Loader::new(Vec::new());
        take(&mut loader, b"profiles\0aa", &row(5, &profile("new"))).unwrap();
        for (revision, text) in [(4, "old"), (5, "new")] {
            let change = serde_json::json!({"prefix": "profiles", "key": "aa", "action": "updated", "after": profile(text)});
            let entry = serde_json::json!({"principal": "p", "changes": [change]}).to_string();
            loader.entry(Revision(revision), entry.as_bytes());
        }
        let (state, log) = loader.finish(Revision(5));
        let made = |revision| log.entry(Revision(revision)).unwrap().changes[0].after.clone().unwrap();
        assert!(Arc::ptr_eq(&made(5), &state.stored("profiles", "aa").unwrap().object));
        assert_eq!(made(4).to_json()["Description"], "old");
    }

    #[test]
    fn rows_of_many_shares_are_all_taken_and_a_bad_one_among_them_is_named() {
        let profile = |number: usize| row(1, &serde_json::json!({"Name": format!("p{number:05}")}));
        let mut loader = Loader::new(Vec::new());
        for number in 0..=2 * TOGETHER {
            loader.row(format!("profiles\0p{number:05}").as_bytes(), &profile(number)).unwrap();
        }
        loader.row(b"profiles\0other", &profile(0)).unwrap();
        let told = loader.rows_end().unwrap_err();
        assert_eq!((told.key.as_str(), told.reason.as_str()), ("profiles/other", "it calls itself `p00000`"));
        assert_eq!(formwork_model::Objects::count(&loader.state, "profiles"), 2 * TOGETHER + 1);
    }

    fn take(loader: &mut Loader, key: &[u8], value: &[u8]) -> Result<(), BadRow> {
        loader.row(key, value).and_then(|()| loader.rows_end())
    }

    fn row(revision: u64, object: &serde_json::Value) -> Vec<u8> {
        [&revision.to_be_bytes()[..], object.to_string().as_bytes()].concat()
    }

    /// No other test of this program may use the type: its kind is there for good.
    #[test]
    fn objects_survive_a_restart_before_their_declaration_is_read() {
        let rack = serde_json::json!({"Type": "racks", "Id": "r1", "Units": 42, "Params": {"a/b": 1}});
        assert!(formwork_model::kind_of("racks").is_none());
        let mut loader = Loader::new(Vec::new());
        let told = take(&mut loader, b"racks\0r1", &row(3, &serde_json::json!({"Id": "r1"}))).unwrap_err();
        assert_eq!((told.key.as_str(), told.reason.as_str()), ("racks/r1", "the type `racks` is unknown"));
        take(&mut loader, b"racks\0r1", &row(3, &rack)).unwrap();
        let declaration = row(2, &serde_json::json!({"Name": "racks"}));
        take(&mut loader, b"store_objects\0racks", &declaration).unwrap();
        let change = serde_json::json!({"prefix": "racks", "key": "r1", "action": "created", "before": null, "after": rack});
        let entry = serde_json::json!({"principal": "p", "changes": [change]}).to_string();
        loader.entry(Revision(3), entry.as_bytes());
        let (state, log) = loader.finish(Revision(3));
        assert_eq!(log.newest(), Some(Revision(3)), "the feed tells of it");
        let found = state.stored("racks", "r1").unwrap();
        assert_eq!(found.object.kind().prefix, "racks");
        assert_eq!(
            (&found.object.to_json()["Units"], found.object.params().unwrap().len()),
            (&rack["Units"], 1)
        );
    }

    #[test]
    fn feed_that_does_not_end_at_the_revision_is_left_out() {
        let mut loader = Loader::new(Vec::new());
        loader.entry(Revision(4), br#"{"principal":"p","changes":[]}"#);
        assert_eq!(loader.finish(Revision(5)).1.oldest(), None);
    }
}
