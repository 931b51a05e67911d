//! Events on their way to many listeners.
//!
//! The cost of a delivery is the time that the endpoint keeps processors busy: of a number of changes with listeners, less
//! that of as many changes without, by the listeners and the changes. It counts what is done for all listeners at once and
//! what is done for each: encryption and sending. With one listener it is that of an event that nobody shares.
//!
//! Whoever changes has a thread and a runtime of his own, apart from the readers': he is not to wait for them, only for the
//! endpoint.

use formwork_bench::{Row, Samples, Stopwatch};
use serde_json::json;
use tokio::{runtime::Builder, task::JoinSet};

use crate::SUITE;
use crate::site::{self, Site, as_number};
use crate::wire::Target;

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
    /// Time of whoever changes until he is answered, in microseconds.
    answered: f64,
}

pub(crate) async fn measure(site: &Site) {
    let alone = round(site, 0, Filter::All, CHANGES).await.busy;
    let one = round(site, 1, Filter::All, CHANGES).await;
    let crowd = round(site, CROWD, Filter::All, CHANGES_OF_CROWD).await;
    let delivery = |cost: &Cost, listeners| (cost.busy - alone) / as_number(listeners);
    let (of_one, of_many) = (delivery(&one, 1), delivery(&crowd, CROWD));
    let label = format!("event to each of {CROWD} listeners");
    no_more_than_twice(&label, of_many, ("an event to 1 listener", of_one));
    let label = format!("change that {CROWD} listeners are told of, until answered");
    no_more_than_twice(&label, crowd.answered, ("1 listener", one.answered));
    let one = round(site, 1, Filter::Own, CHANGES).await;
    let crowd = round(site, CROWD, Filter::Own, CHANGES).await;
    Row::new(SUITE, format!("change that 1 of {CROWD} listeners is told of"), crowd.busy, "us")
        .beside("1 listener", one.busy)
        .print();
}

/// Prints a figure that may be twice its peer.
fn no_more_than_twice(label: &str, figure: f64, (peer_label, peer): (&str, f64)) {
    let mut row = Row::new(SUITE, label.to_owned(), figure, "us").beside(peer_label, peer);
    row.target = Some(String::from("<= 2x its peer"));
    row.met = Some(figure <= 2.0 * peer);
    row.print();
}

/// Changes machines one after the other with a number of listeners.
async fn round(site: &Site, listeners: usize, filter: Filter, changes: usize) -> Cost {
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
        let (target, machines) = (site.target.clone(), site.machines.iter().take(CROWD).cloned().collect());
        let writing = tokio::task::spawn_blocking(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(write(&target, machines, number, changes))
        });
        for micros in writing.await.expect("a writer that ends") {
            answered.add(micros);
        }
        let mut all = reading.join_all().await;
        busy.add((site.busy() - before) * 1e6 / as_number(changes));
        all.sort_by_key(|(listener, _)| *listener);
        streams.extend(all.into_iter().map(|(_, stream)| stream));
    }
    Cost { busy: busy.median(), answered: answered.median() }
}

/// Changes machines one after the other; returns how long each took until it was answered, in microseconds.
async fn write(target: &Target, machines: Vec<String>, round: usize, changes: usize) -> Vec<f64> {
    let mut wire = target.connect().await.expect("a connection");
    let mut answered = Vec::new();
    for (change, key) in machines.iter().cycle().take(changes).enumerate() {
        let body = json!([{"op": "add", "path": "/Description", "value": format!("{round} {change}")}]);
        let path = format!("/api/v3/machines/{key}");
        let clock = Stopwatch::start();
        let answer = wire.ask("PATCH", &path, body.to_string().as_bytes()).await;
        answer.and_then(|answer| answer.good()).expect("a change");
        answered.push(clock.micros());
    }
    answered
}
