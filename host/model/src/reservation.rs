//! DHCP reservations: addresses that are kept for clients (drp-api.md 7.12).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    DhcpOption, Header, Kind, Layers, Object, Objects, Params, Reference, SortKey, Span, Subnet,
    dhcp::{address_problem, canonical_address, optional_address_problem},
    lease::hex_address,
    names::{list_problems, param_name_problem, uuid_problem},
    object::object,
    reference::Needs,
};

/// An address that only one client is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Reservation {
    /// The address; the key is its eight hexadecimal digits.
    pub addr: String,
    /// One line for people.
    pub description: String,
    /// More for people, in Markdown or reStructuredText.
    pub documentation: String,
    /// Who the client is under the strategy: a MAC address in lower case with colons.
    pub token: String,
    /// How clients are told apart; `MAC` when it is not said.
    pub strategy: String,
    /// The subnet that the address is in; empty for none.
    pub subnet: String,
    /// True when the token matters in that subnet only, so that others may reserve an address for it too.
    pub scoped: bool,
    /// The boot server that is named; empty for that of the subnet.
    pub next_server: String,
    /// Options that go before those of the subnet.
    pub options: Vec<DhcpOption>,
    /// Seconds that a lease is given for; 0 for what the subnet says.
    pub duration: i64,
    /// The UUID of the machine that it is for; empty for none.
    pub machine: String,
    /// The param of the machine that is set to the address; empty for none.
    pub parameter: String,
    /// What the params of the machine that are set to the options begin with; empty for none.
    pub prefix_parameter: String,
    /// Parameters by name.
    pub params: Params,
    /// Profiles in order of precedence.
    pub profiles: Vec<String>,
    /// True when a call of the subnet made it; it may be taken back.
    pub allocated: bool,
    /// True when nobody is asked whether the address is in use before it is offered.
    #[serde(rename = "SkipDAD")]
    pub skip_dad: bool,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl Reservation {
    /// Sets the subnet that the address is in, which clients cannot write.
    pub fn place(&mut self, objects: &dyn Objects) {
        let subnet = Subnet::containing(objects, &self.addr);
        self.subnet = subnet.map(|subnet| subnet.name.clone()).unwrap_or_default();
    }
}

pub(crate) static KIND: Kind = Kind {
    indexed: &["Addr", "Token", "Strategy", "Subnet", "Machine"],
    read_only: &["Subnet"],
    opaque: &["Params"],
    columns: &["Addr", "Token", "Subnet", "Machine", "Description"],
    layers: Layers::Writable,
    address_key: true,
    ..Kind::of::<Reservation>("reservations", "Addr", "reservation")
};

object!(
    Reservation,
    KIND,
    key = |reservation| hex_address(&reservation.addr).unwrap_or_else(|| reservation.addr.clone()),
    params = params,
    normalise = normalise,
    problems = problems,
    references = references,
    conflicts = conflicts
);

fn normalise(reservation: &mut Reservation) {
    canonical_address(&mut reservation.addr);
    canonical_address(&mut reservation.next_server);
    if reservation.strategy.is_empty() {
        reservation.strategy = String::from("MAC");
    }
    if reservation.strategy == "MAC" {
        reservation.token = reservation.token.trim().to_lowercase().replace('-', ":");
    }
}

fn problems(reservation: &Reservation) -> Vec<String> {
    let key = Object::key(reservation);
    let mut found: Vec<String> = address_problem(&key, &reservation.addr).into_iter().collect();
    if reservation.token.is_empty() {
        found.push(format!("{key}: Token must have a value"));
    }
    if reservation.strategy.is_empty() {
        found.push(format!("{key}: Strategy must have a value"));
    }
    found.extend(optional_address_problem(&key, &reservation.next_server));
    if reservation.duration < 0 {
        found.push(format!("{key}: Duration {} is negative", reservation.duration));
    }
    if !reservation.machine.is_empty() {
        found.extend(uuid_problem(&key, "Machine", &reservation.machine));
    }
    found.extend(param_name_problem(&key, "Parameter", &reservation.parameter));
    found.extend(param_name_problem(&key, "PrefixParameter", &reservation.prefix_parameter));
    found.extend(list_problems(&key, "Profile", &reservation.profiles));
    found
}

fn references(reservation: &Reservation) -> Vec<Reference> {
    Needs::soft(&Object::key(reservation)).list("profiles", "Profile", &reservation.profiles).done()
}

/// A client has one address, or one in each of several subnets (drp-api.md 7.12).
fn conflicts(reservation: &Reservation, others: &dyn Objects) -> Vec<String> {
    let key = Object::key(reservation);
    let subnet_of = |addr: &str| Subnet::containing(others, addr).map(|subnet| subnet.name.clone());
    let own = subnet_of(&reservation.addr);
    let mut found = Vec::new();
    if reservation.scoped && own.is_none() {
        found.push(format!("{key}: {} is scoped, but in no subnet", reservation.addr));
    }
    let collides = |other: &Reservation| {
        let apart = || reservation.scoped && other.scoped && subnet_of(&other.addr) != own;
        other.addr != reservation.addr && other.strategy == reservation.strategy && !apart()
    };
    let token = SortKey::of("Token", &reservation.token.as_str().into());
    let mut taken = None;
    others.range(&Span::equal(KIND.prefix, "Token", token), &mut |object| {
        let other = object.as_any().downcast_ref::<Reservation>();
        taken = other.filter(|other| collides(other)).map(|other| other.addr.clone());
        taken.is_none()
    });
    found.extend(taken.map(|addr| {
        let (strategy, token) = (&reservation.strategy, &reservation.token);
        format!("{key}: {strategy} {token} has the reservation {addr} already")
    }));
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::{Few, round_trip};

    fn reservation(addr: &str, token: &str, scoped: bool) -> Reservation {
        let mut made =
            Reservation { addr: addr.into(), token: token.into(), scoped, ..Reservation::default() };
        normalise(&mut made);
        made
    }

    #[test]
    fn reservation_keeps_all_members_and_its_key_is_hexadecimal() {
        let members = json!({
            "Addr": "10.7.0.20", "Description": "printer", "Documentation": "Loud.", "Token": "52:54:00:01:02:03",
            "Strategy": "MAC", "Subnet": "lab", "Scoped": true, "NextServer": "10.7.0.1",
            "Options": [{"Code": 12, "Value": "{{.Machine.Name}}"}], "Duration": 900,
            "Machine": "0d9c8b7a-6f5e-4d3c-8b2a-190817263544", "Parameter": "net/address",
            "PrefixParameter": "net/dhcp", "Params": {"floor": 2}, "Profiles": ["lab-net"], "Allocated": true,
            "SkipDAD": true,
        });
        assert_eq!(round_trip("reservations", members).key(), "0A070014");
    }

    #[test]
    fn reservation_is_by_mac_address_in_lower_case_unless_said() {
        let made = reservation("10.7.0.20", "52-54-00-AA-BB-CC", false);
        assert_eq!((made.strategy.as_str(), made.token.as_str()), ("MAC", "52:54:00:aa:bb:cc"));
    }

    #[test]
    fn reservation_needs_a_usable_address_and_a_token() {
        let wanted = [
            "E0000001: 224.0.0.1 is not a valid IP address for dr-provision",
            "E0000001: Token must have a value",
        ];
        assert_eq!(problems(&reservation("224.0.0.1", "", false)), wanted);
        let mut other = Reservation { machine: "m".into(), ..reservation("10.7.0.20", "t1", false) };
        other.duration = -1;
        let wanted = ["0A070014: Duration -1 is negative", "0A070014: Invalid Machine `m`"];
        assert_eq!(problems(&other), wanted);
    }

    #[test]
    fn client_has_one_reservation_unless_both_are_scoped_to_different_subnets() {
        let subnet =
            |name: &str, cidr: &str| Subnet { name: name.into(), subnet: cidr.into(), ..Subnet::default() };
        let first = reservation("10.7.0.20", "t1", true);
        let few = Few(vec![
            std::sync::Arc::new(first.clone()),
            std::sync::Arc::new(subnet("lab", "10.7.0.0/24")),
            std::sync::Arc::new(subnet("hall", "10.8.0.0/24")),
        ]);
        assert!(conflicts(&first, &few).is_empty());
        assert!(conflicts(&reservation("10.8.0.20", "t1", true), &few).is_empty());
        let taken = ["0A070015: MAC t1 has the reservation 10.7.0.20 already"];
        assert_eq!(conflicts(&reservation("10.7.0.21", "t1", true), &few), taken);
        assert_eq!(conflicts(&reservation("10.8.0.21", "t1", false), &few).len(), 1);
        let mut placed = reservation("10.8.0.21", "t3", false);
        placed.place(&few);
        assert_eq!(placed.subnet, "hall");
        placed.addr = String::from("10.9.0.1");
        placed.place(&few);
        assert_eq!(placed.subnet, "");
        let lost = ["0A090001: 10.9.0.1 is scoped, but in no subnet"];
        assert_eq!(conflicts(&reservation("10.9.0.1", "t2", true), &few), lost);
    }
}
