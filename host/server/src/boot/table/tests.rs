use formwork_boot_proto::dhcp::server;
use serde_json::json;

use super::*;
use crate::boot::stored::{Facts, to_stored};

fn mac() -> HardwareAddress {
    HardwareAddress::ethernet([2, 0, 0, 0, 0, 1])
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn lease(last: u8, expires_ms: u64) -> server::Lease {
    server::Lease {
        address: address(last),
        token: Some(mac()),
        state: LeaseState::Bound,
        expires_ms,
        duration_secs: 60,
    }
}

async fn put(store: &Store, principal: &'static str, object: impl Object + 'static) {
    let object: Arc<dyn Object> = Arc::new(object);
    let written = store.write(principal, move |tx| {
        tx.put(object);
        Ok::<(), ()>(())
    });
    written.await.unwrap();
}

async fn delete(store: &Store, prefix: &'static str, key: &'static str) {
    store.write("user:me", move |tx| tx.delete(prefix, key).map(|_| ()).ok_or(())).await.unwrap();
}

fn subnet(name: &str, network: &str, start: &str, end: &str) -> formwork_model::Subnet {
    let members = json!({
        "Name": name, "Subnet": network, "Enabled": true, "Strategy": "MAC", "ActiveStart": start, "ActiveEnd": end,
        "Pickers": ["nextFree"], "ActiveLeaseTime": 600, "ReservedLeaseTime": 7200,
        "Options": [{"Code": 15, "Value": name}],
    });
    serde_json::from_value(members).unwrap()
}

#[tokio::test]
async fn table_follows_what_others_do_and_keeps_what_was_renewed() {
    let store = Store::memory(Vec::new());
    let mut table = Table::new(&store, None);
    for last in [5, 6] {
        table.book.put(lease(last, 9000));
    }
    let stored = |lease: server::Lease| to_stored(&lease, None, Facts::default());
    put(&store, PRINCIPAL, stored(lease(5, 9000))).await;
    put(&store, "system", stored(server::Lease { state: LeaseState::Expired, ..lease(5, 8000) })).await;
    put(&store, "system", stored(server::Lease { state: LeaseState::Expired, ..lease(6, 9000) })).await;
    table.follow(&store);
    assert_eq!(table.book.record_at(address(5)).unwrap().state, LeaseState::Bound);
    assert_eq!(table.book.record_at(address(6)).unwrap().state, LeaseState::Expired);
    delete(&store, "leases", "0A000005").await;
    table.follow(&store);
    assert!(table.book.record_at(address(5)).is_none());
    assert_eq!(table.book.leases_of(mac(), None).len(), 1);
    let again = Table::new(&store, None);
    assert_eq!(again.book.leases_of(mac(), None).len(), 1, "what is stored is read at the start");
}

#[tokio::test]
async fn subnets_and_reservations_hold_from_the_moment_that_they_are_stored() {
    let store = Store::memory(Vec::new());
    let mut table = Table::new(&store, None);
    let named = |place: Place| place.subnet.map(|subnet| subnet.name.clone());
    assert_eq!(named(table.place(mac(), [address(1)])), None);
    put(&store, "user:me", subnet("lab", "10.0.0.0/24", "10.0.0.10", "10.0.0.20")).await;
    put(&store, "user:me", subnet("hall", "10.1.0.0/24", "10.1.0.10", "10.1.0.20")).await;
    table.follow(&store);
    let others = [Ipv4Addr::new(192, 168, 0, 1), Ipv4Addr::new(10, 1, 0, 1)];
    assert_eq!(
        named(table.place(mac(), others)).as_deref(),
        Some("hall"),
        "any address of the interface counts"
    );

    let members = json!({"Addr": "10.0.0.99", "Token": mac().to_string(), "Strategy": "MAC",
        "Options": [{"Code": 12, "Value": "kept"}]});
    let own: formwork_model::Reservation = serde_json::from_value(members).unwrap();
    put(&store, "user:me", own).await;
    table.follow(&store);
    let place = table.place(mac(), [address(1)]);
    assert_eq!(place.reservation.as_ref().unwrap().address, address(99));
    let values = place.options.iter().flatten().flat_map(|options| options.bytes(12).or(options.bytes(15)));
    assert_eq!(values.collect::<Vec<_>>(), [&b"lab"[..], b"kept"]);
    delete(&store, "reservations", "0A000063").await;
    delete(&store, "subnets", "hall").await;
    table.follow(&store);
    assert!(table.place(mac(), [address(1)]).reservation.is_none());
    assert_eq!(named(table.place(mac(), others)), None);
}
