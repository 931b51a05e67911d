//! Files by HTTP, by wrk.

use std::fs;
use std::path::Path;

use formwork_bench::{Row, Samples, Target};
use formwork_lab::output;

use crate::peers::{Peers, with};
use crate::place::{Place, Processors, SERVER, bytes};
use crate::{RUNS, SUITE};

/// The files: a rendered script, and a part of a system.
const FILES: [(&str, usize, &str); 2] = [
    ("small.bin", 4 << 10, "http: a file of 4 KiB, 16 connections"),
    ("big.bin", 16 << 20, "http: a file of 16 MiB, 16 connections"),
];

/// The port of nginx.
const PORT: u16 = 80;

pub(crate) fn measure(place: &Place, peers: &Peers) {
    let own = own(place, peers);
    let peer = nginx(place, peers);
    for (index, (_, size, case)) in FILES.iter().enumerate() {
        // Of large files the bytes count.
        #[expect(clippy::cast_precision_loss, reason = "the sizes above")]
        let (scale, unit) = if *size > 1 << 20 { (*size as f64 / 1e9, "GB/s") } else { (1.0, "requests/s") };
        let figure = |figures: &[f64]| figures.get(index).copied().unwrap_or(f64::NAN) * scale;
        match (&own, &peer) {
            (Ok(own), Ok(peer)) => Row::new(SUITE, *case, figure(own), unit)
                .beside("nginx with 2 workers", figure(peer))
                .reaches(Target::AtLeast(figure(peer) * 0.8)),
            (Ok(own), Err(reason)) => Row::new(SUITE, *case, figure(own), unit).with_note(reason.as_str()),
            (Err(reason), _) => Row::without(SUITE, *case, unit, reason.as_str()),
        }
        .print();
    }
}

fn own(place: &Place, peers: &Peers) -> Result<Vec<f64>, String> {
    let folder = place.folder("http-own");
    let endpoint = place.endpoint(&folder, Processors::All);
    write_files(&endpoint.files());
    requests(place, peers, 8091)
}

fn nginx(place: &Place, peers: &Peers) -> Result<Vec<f64>, String> {
    let words = peers.find("nginx")?;
    let folder = place.folder("http-nginx");
    write_files(&folder);
    let path = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {path}/{name};\n"))
        .concat();
    let settings = format!(
        "worker_processes 2; daemon off; user root; pid {path}/pid; error_log {path}/error;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; open_file_cache max=100;\n\
         {temporary} server {{ listen {PORT}; root {path}; }} }}\n"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, settings).expect("settings");
    let words = with(words, &["-c", &file.display().to_string(), "-p", &path.to_string()]);
    let _server = place.peer(&words, &folder, Processors::All, |place| place.is_open("t", PORT));
    requests(place, peers, PORT)
}

fn write_files(folder: &Path) {
    for (name, size, _) in FILES {
        fs::write(folder.join(name), bytes(size)).expect("a file");
    }
}

/// Returns requests a second for each file, the median of each.
fn requests(place: &Place, peers: &Peers, port: u16) -> Result<Vec<f64>, String> {
    let wrk = peers.find("wrk")?;
    let mut figures = Vec::new();
    for (name, _, _) in FILES {
        let mut samples = Samples::default();
        for _ in 0..RUNS {
            let mut command = place.load.command("env");
            command
                .args(with(wrk.clone(), &["-t1", "-c16", "-d5s", &format!("http://{SERVER}:{port}/{name}")]));
            let printed = output(&mut command).map_err(|error| format!("not run: {error:#}"))?;
            let wrong =
                printed.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors"));
            if let Some(line) = wrong {
                return Err(format!("not all were answered: {}", line.trim()));
            }
            let rate = printed.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
            samples.add(rate.and_then(|rate| rate.trim().parse().ok()).expect("a rate"));
        }
        figures.push(samples.median());
    }
    Ok(figures)
}
