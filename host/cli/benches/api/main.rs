//! The API's figures with many machines, many writers and many listeners, and beside OpenStack Ironic.
//!
//! `cargo xtask bench api` runs this and prints a table. What is printed here is one JSON object a line
//! ([`formwork_bench::Row`]). The endpoint runs in a process of its own and is spoken to over HTTPS on loopback, by a client
//! that shares its processors: all rates are those of both together.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a program that measures ends where a step fails, as a test does"
)]

#[path = "../../../../tests/e2e/endpoint.rs"]
#[expect(dead_code, reason = "the end to end tests need more of it")]
mod endpoint;
mod events;
mod inventory;
mod ironic;
mod patches;
mod site;
mod wire;

use formwork_bench::Chosen;

use site::Site;

/// The name of this suite.
const SUITE: &str = "api";

fn main() {
    let Some(chosen) = Chosen::from_arguments() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(run(&chosen));
}

async fn run(chosen: &Chosen) {
    if chosen.has("ironic") {
        ironic::measure().await;
    }
    let mut site = Site::start().await;
    site.start_again();
    let empty = site.resident();
    site.fill().await;
    if chosen.has("start") {
        inventory::start(&mut site, empty).await;
    }
    if chosen.has("lists") {
        inventory::lists(&site).await;
    }
    if chosen.has("patches") {
        patches::measure(&site).await;
    }
    if chosen.has("events") {
        events::measure(&site).await;
    }
}
