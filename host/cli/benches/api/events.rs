//! Events on their way to many listeners.
//!
//! The cost of a delivery is the time that the endpoint keeps processors busy: of a number of changes with listeners, less
//! that of as many changes without, by the listeners and the changes. It counts what is done for all listeners at once and
//! what is done for each: encryption and sending. With one listener it is that of an event that nobody shares.

use formwork_bench::{Row, Samples, Stopwatch};
use serde_json::json;
use tokio::task::JoinSet;

use crate::SUITE;
use crate::site::{self, Site, as_number};

/// Listeners of the crowd.
const CROWD: usize = 1_000;

/// Rounds, of which the medians count.
const ROUNDS: usize = 5;

/// Changes of a round with few listeners.
const CHANGES: usize = 1_000;

/// Changes of a round with a crowd.
const CHANGES_OF_CROWD: usize = 100;

/// Who listens to what.
#[derive(Clone, Copy)]
enum Filter {
    /// Everybody to all machines.
    All,
    /// Each to a machine of its own, as agents do.
    Own,
}

/// What a change costs.
struct Cost {
    /// Processor time of the endpoint, in microseconds.
    busy: f64,
    /// Time of the one who changes until he is answered, in microseconds.
    answered: f64,
}

pub(crate) async fn measure(site: &Site) {
    let alone = round(site, 0, Filter::All, CHANGES).await.busy;
    let one = round(site, 1, Filter::All, CHANGES).await;
    let crowd = round(site, CROWD, Filter::All, CHANGES_OF_CROWD).await;
    let delivery = |cost: &Cost, listeners| (cost.busy - alone) / as_number(listeners);
    let (of_one, of_many) = (delivery(&one, 1), delivery(&crowd, CROWD));
    let mut row = Row::new(SUITE, format!("event to each of {CROWD} listeners"), of_many, "us")
        .beside("an event to 1 listener", of_one);
    row.target = Some(String::from("<= 2x its peer"));
    row.met = Some(of_many <= 2.0 * of_one);
    row.print();
    Row::new(
        SUITE,
        format!("change that {CROWD} listeners are told of, until answered"),
        crowd.answered,
        "us",
    )
    .beside("1 listener", one.answered)
    .print();
    let one = round(site, 1, Filter::Own, CHANGES).await;
    let crowd = round(site, CROWD, Filter::Own, CHANGES).await;
    Row::new(SUITE, format!("change that 1 of {CROWD} listeners is told of"), crowd.busy, "us")
        .beside("1 listener", one.busy)
        .print();
}

/// Changes machines one after the other with a number of listeners.
async fn round(site: &Site, listeners: usize, filter: Filter, changes: usize) -> Cost {
    let mut wire = site::connect(site).await;
    let mut streams = Vec::new();
    for key in site.machines.iter().take(listeners) {
        let own = match filter {
            Filter::All => "machines.*.*".to_owned(),
            Filter::Own => format!("machines.*.{key}"),
        };
        streams.push(site::connect(site).await.listen(&own).await.expect("a stream"));
    }
    let told = |listener: usize| match filter {
        Filter::All => changes,
        // Changes go around the first machines.
        Filter::Own => changes / CROWD + usize::from(listener < changes % CROWD),
    };
    let (mut busy, mut answered) = (Samples::default(), Samples::default());
    for number in 0..ROUNDS {
        let before = site.busy();
        let mut reading = JoinSet::new();
        for (listener, mut stream) in streams.drain(..).enumerate() {
            let expected = told(listener);
            reading.spawn(async move {
                for _ in 0..expected {
                    stream.next().await.expect("an event");
                }
                (listener, stream)
            });
        }
        for change in 0..changes {
            let key = site.machines.get(change % CROWD).expect("a machine");
            let body = json!([{"op": "add", "path": "/Description", "value": format!("{number} {change}")}]);
            let clock = Stopwatch::start();
            let path = format!("/api/v3/machines/{key}");
            let answer = wire.ask("PATCH", &path, body.to_string().as_bytes()).await;
            answer.and_then(|answer| answer.good()).expect("a change");
            answered.add(clock.micros());
        }
        let mut all = reading.join_all().await;
        busy.add((site.busy() - before) * 1e6 / as_number(changes));
        all.sort_by_key(|(listener, _)| *listener);
        streams.extend(all.into_iter().map(|(_, stream)| stream));
    }
    Cost { busy: busy.median(), answered: answered.median() }
}
