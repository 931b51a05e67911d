//! Files by TFTP.

use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use formwork_bench::{Row, Samples, Stopwatch, Target};
use formwork_lab::{Daemon, Endpoint};

use crate::peers::{Peers, with};
use crate::place::{Place, Processors, SERVER, bytes};
use crate::transfer::{Ask, fetch};
use crate::{RUNS, SUITE};

/// The files: of a system, and of a boot loader.
const BIG: (&str, usize) = ("big.bin", 32 << 20);
const SMALL: (&str, usize) = ("small.bin", 1 << 20);

/// What fits into a packet of Ethernet.
const BLOCK: usize = 1468;

/// Packets of ten thousand that are lost, each way.
const LOSS: u16 = 100;

/// What is fetched, by how many at once.
#[derive(Clone, Copy)]
struct Load {
    file: (&'static str, usize),
    window: u16,
    clients: usize,
}

impl Load {
    /// One client waits for each block, so both sides share a processor; many keep all of them busy.
    fn processors(self) -> Processors {
        if self.clients == 1 { Processors::One } else { Processors::All }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    Own,
    Hpa,
    Atftpd,
}

const PEERS: [(Server, &str); 2] = [(Server::Hpa, "tftpd-hpa"), (Server::Atftpd, "atftpd")];

enum Running<'a> {
    Own(#[expect(dead_code, reason = "it runs until it is dropped")] Endpoint<'a>),
    Peer(#[expect(dead_code, reason = "it runs until it is dropped")] Daemon),
}

/// What is fetched in a second.
pub(crate) fn rates(place: &Place, peers: &Peers) {
    let one = Load { file: BIG, window: 1, clients: 1 };
    let many = Load { file: SMALL, window: 1, clients: 50 };
    let windows = Load { window: 16, ..one };
    let cases = [
        ("tftp: 32 MiB, one client, blksize 1468", one, 1.0, &PEERS[..]),
        ("tftp: 1 MiB each, 50 clients at once, blksize 1468", many, 1.0, &PEERS[..]),
        // The other peer knows no windows.
        ("tftp: 32 MiB, one client, blksize 1468, windowsize 16", windows, 1.5, &PEERS[1..]),
    ];
    for (case, load, factor, others) in cases {
        let own = figure(place, peers, Server::Own, load, rate).expect("the product");
        let row = Row::new(SUITE, case, own, "MB/s");
        match best(place, peers, others, load, rate, f64::gt) {
            Ok((name, best)) => row.beside(name, best).reaches(Target::AtLeast(best * factor)),
            Err(reason) => row.with_note(reason),
        }
        .print();
    }
}

/// How long a boot loader takes when packets are lost.
pub(crate) fn losses(place: &Place, peers: &Peers) {
    let case = "loss: 1 MiB by TFTP, blksize 1468, 1 % of the packets lost each way";
    for host in [&place.server, &place.load] {
        if let Err(error) = host.lose(LOSS) {
            return Row::without(SUITE, case, "s", format!("not run: {error:#}")).print();
        }
    }
    let load = Load { file: SMALL, window: 1, clients: 1 };
    let own = figure(place, peers, Server::Own, load, seconds).expect("the product");
    let row = Row::new(SUITE, case, own, "s");
    match best(place, peers, &PEERS, load, seconds, f64::lt) {
        Ok((name, best)) => row.beside(name, best).reaches(Target::Below(best / 4.0)),
        Err(reason) => row.with_note(reason),
    }
    .print();
    for host in [&place.server, &place.load] {
        host.lose(0).expect("no losses again");
    }
}

/// Returns the best of some peers, or why one is not there: without it nobody knows which is the best.
fn best(
    place: &Place,
    peers: &Peers,
    others: &[(Server, &'static str)],
    load: Load,
    of: fn(Load, f64) -> f64,
    is_better: fn(&f64, &f64) -> bool,
) -> Result<(&'static str, f64), String> {
    let mut best: Option<(&str, f64)> = None;
    for (server, name) in others {
        let figure = figure(place, peers, *server, load, of)?;
        if best.is_none_or(|(_, best)| is_better(&figure, &best)) {
            best = Some((name, figure));
        }
    }
    best.ok_or_else(|| "no peer".to_owned())
}

/// Returns the median of what a server gives.
fn figure(
    place: &Place,
    peers: &Peers,
    server: Server,
    load: Load,
    of: fn(Load, f64) -> f64,
) -> Result<f64, String> {
    let folder = place.folder("tftp");
    let running = start(place, peers, server, load, &folder)?;
    let mut samples = Samples::default();
    // The first run has the file read from the disk.
    for run in 0..=RUNS {
        let seconds = place.on_load(load.processors(), || fetch_all(load));
        if run > 0 {
            samples.add(of(load, seconds));
        }
    }
    drop(running);
    Ok(samples.median())
}

fn start<'a>(
    place: &'a Place,
    peers: &Peers,
    server: Server,
    load: Load,
    folder: &Path,
) -> Result<Running<'a>, String> {
    let (name, size) = load.file;
    let root = folder.display().to_string();
    let is_ready = |place: &Place| place.is_open("u", 69);
    let words = match server {
        Server::Own => {
            let endpoint = place.endpoint(folder, load.processors());
            fs::write(endpoint.files().join(name), bytes(size)).expect("a file");
            return Ok(Running::Own(endpoint));
        }
        Server::Hpa => {
            let address = format!("{SERVER}:69");
            let flags = ["-L", "-4", "-a", &address, "-B", "65464", "-u", "root", "-s", &root];
            with(peers.find("in.tftpd")?, &flags)
        }
        Server::Atftpd => {
            let flags = ["--daemon", "--no-fork", "--no-multicast", "--bind-address", SERVER, "--port", "69"];
            let more =
                ["--maxthread", "1000", "--user", "root", "--group", "root", "--logfile", "/dev/null", &root];
            with(with(peers.find("atftpd")?, &flags), &more)
        }
    };
    fs::write(folder.join(name), bytes(size)).expect("a file");
    Ok(Running::Peer(place.peer(&words, folder, load.processors(), is_ready)))
}

/// Returns how many seconds all clients take together.
fn fetch_all(load: Load) -> f64 {
    let (file, size) = load.file;
    let ask = Ask { server: SERVER, file, block: BLOCK, window: load.window };
    let start = Barrier::new(load.clients + 1);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..load.clients)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    fetch(ask)
                })
            })
            .collect();
        start.wait();
        let clock = Stopwatch::start();
        for client in clients {
            assert_eq!(client.join().expect("a client").expect("a transfer"), size, "the whole file");
        }
        clock.elapsed().as_secs_f64()
    })
}

fn rate(load: Load, seconds: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "sizes of files that are fetched here")]
    let bytes = (load.file.1 * load.clients) as f64;
    bytes / seconds / 1e6
}

fn seconds(_: Load, seconds: f64) -> f64 {
    seconds
}
