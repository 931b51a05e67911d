//! A hundred thousand machines: how soon they are there, what they weigh, and how fast they are listed.

use formwork_bench::{Row, Samples, Stopwatch, Target};
use serde_json::Value;

use crate::SUITE;
use crate::site::{self, MACHINES, Site, as_number};

/// How often the endpoint is started.
const STARTS: usize = 3;

/// How often a page is asked for.
const PAGES: usize = 101;

/// How often the whole list is asked for.
const LISTS: usize = 7;

/// A page by two indexes: one of the profiles, in the order of addresses from the highest.
const INDEXED: &str = "/api/v3/machines?Profiles=rack-3&sort=Address&reverse=true&limit=100&offset=500";

/// A page by values that no index has: all machines are looked at.
const SCANNED: &str = "/api/v3/machines?rack/slot=7&sort=Name&limit=100";

/// All machines without what is long.
const SLIM: &str = "/api/v3/machines?slim=Params,Meta";

/// Measures the starts and the memory of an endpoint. `empty` is how many bytes it had resident without machines.
pub(crate) async fn start(site: &mut Site, empty: f64) {
    let (mut starts, mut resident) = (Samples::default(), Samples::default());
    for _ in 0..STARTS {
        starts.add(site.start_again());
        resident.add(site.resident());
    }
    Row::new(SUITE, format!("start with {MACHINES} machines"), starts.median(), "s")
        .reaches(Target::Below(5.0))
        .print();
    let own = own_json(site).await;
    let beyond = (resident.median() - empty) / as_number(MACHINES) - own;
    Row::new(SUITE, "memory of a machine beyond its JSON", beyond, "B")
        .with_note(format!("its JSON has {own:.0} B"))
        .reaches(Target::Below(3072.0))
        .print();
}

/// Measures lists.
pub(crate) async fn lists(site: &Site) {
    let mut wire = site::connect(site).await;
    for (case, path, target) in [
        ("page of 100 of a tenth, sorted", INDEXED, Some(Target::Below(3.0))),
        ("page of 100 by a param, which no index has", SCANNED, None),
    ] {
        let mut samples = Samples::default();
        for _ in 0..PAGES {
            let clock = Stopwatch::start();
            let body = wire.ask("GET", path, b"").await.and_then(|answer| answer.good()).expect("a page");
            samples.add(clock.millis());
            assert!(body.len() > 10_000, "the page is full");
        }
        let row = Row::new(SUITE, case, samples.median(), "ms");
        target.map_or(row.clone(), |target| row.reaches(target)).print();
    }
    let mut samples = Samples::default();
    for _ in 0..LISTS {
        let clock = Stopwatch::start();
        let body = wire.ask("GET", SLIM, b"").await.and_then(|answer| answer.good()).expect("the list");
        samples.add(as_number(MACHINES) * 1e3 / clock.millis());
        assert!(body.len() > MACHINES * 100, "the list is whole");
    }
    Row::new(SUITE, "whole list, slim", samples.median(), "objects/s")
        .reaches(Target::AtLeast(200_000.0))
        .print();
}

/// Returns how many bytes the JSON of a machine has, as the endpoint shows it whole.
async fn own_json(site: &Site) -> f64 {
    let mut wire = site::connect(site).await;
    let path = "/api/v3/machines?limit=1000";
    let body = wire.ask("GET", path, b"").await.and_then(|answer| answer.good()).expect("machines");
    let machines: Vec<Value> = serde_json::from_slice(&body).expect("machines");
    as_number(machines.iter().map(|machine| machine.to_string().len()).sum::<usize>())
        / as_number(machines.len())
}
