use formwork_model::Object;
use serde_json::json;

use super::*;
use crate::testing::Lines;

fn mac() -> HardwareAddress {
    HardwareAddress::ethernet([2, 0, 0, 0, 0, 1])
}

fn subnet(name: &str, network: &str, params: Value, more: Value) -> Subnet {
    let mut members =
        json!({"Name": name, "Subnet": network, "Enabled": true, "Strategy": "MAC", "Params": params});
    members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(members).unwrap()
}

async fn put(store: &Store, object: impl Object + 'static) {
    let object: Arc<dyn Object> = Arc::new(object);
    let written = store.write("user:anna", move |tx| {
        tx.put(object);
        Ok::<(), ()>(())
    });
    written.await.unwrap();
}

fn addresses(text: &str) -> Vec<Ipv6Addr> {
    text.split_whitespace().map(|address| address.parse().unwrap()).collect()
}

fn prefix_of(networks: &Networks, relay: &str, ipv6: &str, ipv4: [u8; 4]) -> Option<String> {
    let found = networks.of(relay.parse().ok(), &addresses(ipv6), [ipv4.into()].into_iter())?;
    Some(found.prefix.to_string())
}

#[tokio::test]
async fn network_is_that_of_the_relay_else_of_the_interface_in_ipv6_else_in_ipv4() {
    let store = Store::memory(Vec::new());
    put(&store, subnet("a", "10.0.0.0/24", json!({"dhcp6/prefix": "fd77::/64"}), json!({}))).await;
    put(&store, subnet("b", "10.1.0.0/24", json!({"dhcp6/prefix": "fd78::/64"}), json!({}))).await;
    put(&store, subnet("plain", "10.2.0.0/24", json!({}), json!({}))).await;
    let networks = Networks::new(&store);
    let of = |relay, ipv6, ipv4| prefix_of(&networks, relay, ipv6, ipv4);
    assert_eq!(of("fd78::5", "fd77::1", [10, 0, 0, 1]).as_deref(), Some("fd78::/64"));
    assert_eq!(of("fd99::5", "fd77::1", [10, 0, 0, 1]), None, "a relay of a network that is not served");
    assert_eq!(of("", "fe80::1 fd78::1", [10, 0, 0, 1]).as_deref(), Some("fd78::/64"));
    assert_eq!(of("", "fe80::1", [10, 1, 0, 1]).as_deref(), Some("fd78::/64"));
    assert_eq!(of("", "fe80::1", [10, 2, 0, 1]), None);
}

#[tokio::test]
async fn changes_of_subnets_and_their_profiles_are_followed() {
    let store = Store::memory(Vec::new());
    put(&store, subnet("a", "10.0.0.0/24", json!({}), json!({"Profiles": ["six"]}))).await;
    let mut networks = Networks::new(&store);
    assert_eq!(prefix_of(&networks, "", "", [10, 0, 0, 1]), None);
    let params = json!({
        "dhcp6/prefix": "fd77::/64", "dhcp6/dns": ["fd77::53"], "dhcp6/domain": "boot.example",
        "dhcp6/lease-time": 600, "dhcp6/router-lifetime": 1800,
    });
    let profile: Profile = serde_json::from_value(json!({"Name": "six", "Params": params})).unwrap();
    put(&store, profile).await;
    networks.follow(&store);
    let served = networks.of(None, &[], [Ipv4Addr::new(10, 0, 0, 1)].into_iter()).unwrap();
    assert_eq!(
        (served.network.valid_secs, served.network.preferred_secs, served.router_secs),
        (600, 300, 1800)
    );
    assert_eq!(served.network.dns, addresses("fd77::53"));
    assert_eq!(served.network.domains, ["boot.example".parse().unwrap()]);
    put(&store, subnet("a", "10.0.0.0/24", json!({}), json!({"Profiles": ["six"], "Enabled": false}))).await;
    networks.follow(&store);
    assert_eq!(prefix_of(&networks, "", "fd77::1", [10, 0, 0, 1]), None);
}

#[tokio::test]
async fn wrong_prefix_is_told_once_by_the_name_of_its_subnet() {
    let (lines, _guard) = Lines::keep();
    let store = Store::memory(Vec::new());
    put(&store, subnet("lab", "10.0.0.0/24", json!({"dhcp6/prefix": "fd77::/96"}), json!({}))).await;
    let mut networks = Networks::new(&store);
    put(&store, subnet("other", "10.1.0.0/24", json!({}), json!({}))).await;
    networks.follow(&store);
    let told = lines.take();
    let about = |line: &&String| line.contains("subnet `lab`") && line.contains("`fd77::/96`");
    assert_eq!(told.iter().filter(about).count(), 1, "{told:?}");
    assert_eq!(prefix_of(&networks, "", "fd77::1", [10, 0, 0, 1]), None);
}

#[tokio::test]
async fn where_only_reservations_count_they_do_over_ipv6_as_well() {
    let store = Store::memory(Vec::new());
    let params = json!({"dhcp6/prefix": "fd77::/64"});
    put(&store, subnet("a", "10.0.0.0/24", params, json!({"OnlyReservations": true}))).await;
    let mut networks = Networks::new(&store);
    let address = |networks: &Networks| {
        let served = networks.of(None, &addresses("fd77::1"), std::iter::empty()).unwrap();
        assert_eq!(served.network.assignment, Assignment::Reserved);
        served.address_of(mac(), served.prefix)
    };
    assert_eq!(address(&networks), None);
    let members = json!({"Addr": "10.0.0.7", "Strategy": "MAC", "Token": mac().to_string()});
    put(&store, serde_json::from_value::<Reservation>(members).unwrap()).await;
    networks.follow(&store);
    let given = address(&networks).unwrap();
    assert!(is_of_card(&store.snapshot(), given, mac()));
    assert!(!is_of_card(&store.snapshot(), given, HardwareAddress::ethernet([2, 0, 0, 0, 0, 2])));
    let elsewhere = Ipv6Addr::from_bits(given.to_bits() ^ (1 << 64));
    assert!(!is_of_card(&store.snapshot(), elsewhere, mac()), "in another network it is anybody's");
}

#[tokio::test]
async fn own_address_is_of_the_network_and_never_link_local() {
    let store = Store::memory(Vec::new());
    put(&store, subnet("a", "10.0.0.0/24", json!({"dhcp6/prefix": "fd77::/64"}), json!({}))).await;
    let served = Networks::new(&store).of(None, &addresses("fd77::1"), std::iter::empty()).unwrap();
    assert_eq!(served.own_address(&addresses("fe80::1 fd78::1 fd77::1")), "fd77::1".parse().ok());
    assert_eq!(served.own_address(&addresses("fe80::1 fd78::1")), "fd78::1".parse().ok());
    assert_eq!(served.own_address(&addresses("fe80::1")), None);
}
