//! What a boot network takes: addresses, files by TFTP with and without losses, files by HTTP, each beside the servers of
//! Debian; and a whole room that is switched on.
//!
//! `cargo xtask bench boot` builds the product, fetches the peers, runs this and prints a table. What is printed here is one JSON
//! object a line ([`formwork_bench::Row`]). Server and load are on two hosts inside this machine that a cable joins, and share its
//! processors; all of them go before what else runs here. Each figure is the median of three, taken of one server after the other.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a program that measures ends where a step fails, as a test does"
)]

mod dhcp;
mod http;
mod peers;
mod place;
mod storm;
mod tftp;
mod transfer;

use formwork_bench::Chosen;

use peers::Peers;
use place::Place;

/// The name of this suite.
const SUITE: &str = "boot";

/// How often a figure is taken; the one in the middle counts.
const RUNS: usize = 3;

fn main() {
    let Some(chosen) = Chosen::from_arguments() else { return };
    formwork_lab::sweep();
    place::hurry();
    let place = Place::make();
    let peers = Peers::read();
    if chosen.has("dhcp") {
        dhcp::measure(&place, &peers);
    }
    if chosen.has("tftp") {
        tftp::rates(&place, &peers);
    }
    if chosen.has("loss") {
        tftp::losses(&place, &peers);
    }
    if chosen.has("http") {
        http::measure(&place, &peers);
    }
    if chosen.has("storm") {
        storm::measure(&place);
    }
}
