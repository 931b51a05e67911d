//! Durable changes from many writers at once, beside a bare database that takes the same values.
//!
//! The bare one is what the endpoint stands on: redb, one file on the same disk, commits with quick repair. One thread puts
//! what as many changes store as there are writers, rows and entries of the feed with their lengths, into a commit after the
//! other, and drops old entries as the endpoint does. It works nothing out, asks nobody and answers nobody.

use std::io::Result;
use std::time::Duration;

use formwork_bench::{Row, Samples, Stopwatch};
use redb::{Database, TableDefinition};
use serde_json::json;

use crate::SUITE;
use crate::site::{self, Site, WRITERS, as_number};

/// How long a window lasts; windows of the endpoint and of its peer take turns.
const WINDOW: Duration = Duration::from_secs(3);

/// Windows of each.
const WINDOWS: usize = 5;

/// Entries of the feed that are kept, as by the endpoint.
const KEPT: u64 = 10_000;

const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");
const FEED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("feed");

pub(crate) async fn measure(site: &Site) {
    let mut bare = Bare::open(site).await;
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    // The first of each warms up.
    for window in 0..=WINDOWS {
        let (rate, peer) = (endpoint(site, window).await, bare.window(window));
        if window > 0 {
            ours.add(rate);
            theirs.add(peer);
        }
    }
    let (ours, theirs) = (ours.median(), theirs.median());
    let mut row = Row::new(SUITE, format!("PATCH, durable, {WRITERS} writers"), ours, "changes/s")
        .beside("bare redb, the same values", theirs);
    row.target = Some(String::from("ratio >= 0.5"));
    row.met = row.ratio.map(|ratio| ratio >= 0.5);
    row.print();
}

/// Changes machines over HTTPS for the time of a window; returns how many a second.
async fn endpoint(site: &Site, window: usize) -> f64 {
    let clock = Stopwatch::start();
    let writers = (0..WRITERS).map(|writer| {
        let target = site.target.clone();
        let own: Vec<String> = site.machines.iter().skip(writer).step_by(WRITERS).cloned().collect();
        tokio::spawn(async move {
            let mut wire = target.connect().await?;
            let mut done = 0_usize;
            for key in own.iter().cycle() {
                if clock.elapsed() >= WINDOW {
                    break;
                }
                let change =
                    json!([{"op": "add", "path": "/Description", "value": format!("{window} {done}")}]);
                let path = format!("/api/v3/machines/{key}");
                wire.ask("PATCH", &path, change.to_string().as_bytes()).await?.good()?;
                done += 1;
            }
            Result::Ok(done)
        })
    });
    let mut done = 0;
    for writer in writers.collect::<Vec<_>>() {
        done += writer.await.expect("a writer that ends").expect("changes");
    }
    as_number(done) / clock.elapsed().as_secs_f64()
}

/// The bare database.
struct Bare {
    database: Database,
    keys: Vec<Vec<u8>>,
    row: Vec<u8>,
    entry: Vec<u8>,
    revision: u64,
}

impl Bare {
    /// Makes the database beside that of the endpoint, with as many rows as it has machines.
    async fn open(site: &Site) -> Self {
        let database =
            Database::builder().set_cache_size(64 << 20).create(site.endpoint.folder().join("bare"));
        let mut wire = site::connect(site).await;
        let path = format!("/api/v3/machines/{}", site.machines.first().expect("a machine"));
        let json = wire.ask("GET", &path, b"").await.and_then(|answer| answer.good()).expect("a machine");
        let row = [&[0; 8][..], &json].concat();
        // An entry holds the object before and after, and who changed what.
        let entry = [&json[..], &json, &[b' '; 150]].concat();
        let keys = site.machines.iter().map(|key| format!("machines\0{key}").into_bytes()).collect();
        let mut bare = Self { database: database.expect("a database"), keys, row, entry, revision: 0 };
        for rows in bare.keys.clone().chunks(10_000) {
            bare.commit(rows, false);
        }
        bare
    }

    fn window(&mut self, window: usize) -> f64 {
        let clock = Stopwatch::start();
        let keys = self.keys.clone();
        let mut done = 0;
        for rows in keys.chunks(WRITERS).skip(window * 100).cycle() {
            if clock.elapsed() >= WINDOW {
                break;
            }
            self.commit(rows, true);
            done += rows.len();
        }
        as_number(done) / clock.elapsed().as_secs_f64()
    }

    fn commit(&mut self, rows: &[Vec<u8>], tells: bool) {
        let mut transaction = self.database.begin_write().expect("a transaction");
        transaction.set_quick_repair(true);
        {
            let mut objects = transaction.open_table(OBJECTS).expect("a table");
            let mut feed = transaction.open_table(FEED).expect("a table");
            for key in rows {
                self.revision += 1;
                // No two values are the same.
                let stamp = self.revision.to_be_bytes();
                for value in [&mut self.row, &mut self.entry] {
                    value[..8].copy_from_slice(&stamp);
                }
                objects.insert(key.as_slice(), self.row.as_slice()).expect("a row");
                if tells {
                    feed.insert(self.revision, self.entry.as_slice()).expect("an entry");
                }
            }
            feed.retain_in(..self.revision.saturating_sub(KEPT), |_, _| false).expect("old entries go");
        }
        transaction.commit().expect("a commit");
    }
}
