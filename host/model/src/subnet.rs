//! Subnets: where DHCP answers and what it gives out (drp-api.md 7.13).

use std::{net::Ipv4Addr, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    DhcpOption, Header, Kind, NameGrammar, Objects, ObjectsExt, Params, Reference,
    dhcp::{address_problem, canonical_address, optional_address_problem, usable_address},
    name_problem,
    names::{list_problems, param_name_problem, word_problem},
    object::object,
    reference::Needs,
};

/// A range of addresses that DHCP serves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Subnet {
    /// The key.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// More for people, in Markdown or reStructuredText.
    pub documentation: String,
    /// The network with the length of its prefix, such as `10.0.0.0/24`.
    pub subnet: String,
    /// False: nothing is offered or renewed.
    pub enabled: bool,
    /// True: boot options only, for clients of another server.
    pub proxy: bool,
    /// True: addresses only, never boot options.
    pub unmanaged: bool,
    /// The boot server that is named; empty for this one.
    pub next_server: String,
    /// The first address that is given to anybody.
    pub active_start: String,
    /// The last address that is given to anybody.
    pub active_end: String,
    /// Seconds of a lease out of that range; at least 60, which stands for 0.
    pub active_lease_time: i64,
    /// Seconds of a lease by reservation; at least 7200, which stands for 0.
    pub reserved_lease_time: i64,
    /// True: only reserved addresses are given.
    pub only_reservations: bool,
    /// Options for clients: templates over what they sent and the machine.
    pub options: Vec<DhcpOption>,
    /// How clients are told apart; `MAC` when it is not said.
    pub strategy: String,
    /// How an address is found, in turn: words of [`Subnet::PICKERS`].
    pub pickers: Vec<String>,
    /// The first address that the call `allocate` may take; empty for the whole network.
    pub allocate_start: String,
    /// The last address that the call `allocate` may take.
    pub allocate_end: String,
    /// What the params of machines that are set to the options begin with; empty for none.
    pub prefix_parameter: String,
    /// Parameters by name.
    pub params: Params,
    /// Profiles in order of precedence.
    pub profiles: Vec<String>,
    /// True when nobody is asked whether an address is in use before it is offered.
    #[serde(rename = "SkipDAD")]
    pub skip_dad: bool,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

/// The shortest lease out of the range, in seconds; also what 0 stands for (drp-api.md 7.13).
const ACTIVE_LEASE_SECONDS: i64 = 60;

/// The shortest lease by reservation, in seconds; also what 0 stands for (drp-api.md 7.13).
const RESERVED_LEASE_SECONDS: i64 = 7200;

/// The codes of the options that follow from the network: its mask and its broadcast address.
const MASK: u8 = 1;
const BROADCAST: u8 = 28;

/// The first and the last address of a network.
type Span = (Ipv4Addr, Ipv4Addr);

impl Subnet {
    /// How an address can be found: `none` refuses and stops, `hint` takes the one that is asked for when it is free,
    /// `nextFree` goes round through the range, `mostExpired` takes the lease that ended first.
    pub const PICKERS: &'static [&'static str] = &["none", "hint", "nextFree", "mostExpired"];

    /// Returns the first and the last address of the network; `None` when it is not written as one.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        let (address, length) = self.subnet.split_once('/')?;
        let (address, length) = (address.parse::<Ipv4Addr>().ok()?, length.parse::<u32>().ok()?);
        let mask = mask(length)?;
        let first = u32::from(address) & mask;
        Some((first.into(), (first | !mask).into()))
    }

    /// Tells whether an address is in the network.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        self.span().is_some_and(|(first, last)| (first..=last).contains(&address))
    }

    /// Returns the subnet that an address is in.
    #[must_use]
    pub fn containing(objects: &dyn Objects, address: &str) -> Option<Arc<Self>> {
        let address: Ipv4Addr = address.parse().ok()?;
        objects.find_by::<Self>(|subnet| subnet.contains(address))
    }

    /// Adds the options that follow from the network where a new subnet lacks them: mask and broadcast address.
    pub fn add_options(&mut self) {
        let Some((first, last)) = self.span() else { return };
        let mask = Ipv4Addr::from(!(u32::from(first) ^ u32::from(last)));
        for (code, value) in [(MASK, mask), (BROADCAST, last)] {
            if self.options.iter().all(|option| option.code != code) {
                self.options.push(DhcpOption { code, value: value.to_string() });
            }
        }
    }
}

/// Returns the mask of a prefix length up to 32.
fn mask(length: u32) -> Option<u32> {
    let shift = 32_u32.checked_sub(length)?;
    Some(u32::MAX.checked_shl(shift).unwrap_or(0))
}

pub(crate) static KIND: Kind = Kind {
    opaque: &["Params"],
    columns: &["Name", "Subnet", "Enabled", "ActiveStart", "ActiveEnd", "Proxy", "Description"],
    ..Kind::of::<Subnet>("subnets", "Name", "subnet")
};

object!(
    Subnet,
    KIND,
    key = |subnet| subnet.name.clone(),
    params = params,
    normalise = normalise,
    problems = problems,
    references = references,
    conflicts = conflicts
);

fn normalise(subnet: &mut Subnet) {
    for address in [
        &mut subnet.next_server,
        &mut subnet.active_start,
        &mut subnet.active_end,
        &mut subnet.allocate_start,
        &mut subnet.allocate_end,
    ] {
        canonical_address(address);
    }
    if subnet.active_lease_time == 0 {
        subnet.active_lease_time = ACTIVE_LEASE_SECONDS;
    }
    if subnet.reserved_lease_time == 0 {
        subnet.reserved_lease_time = RESERVED_LEASE_SECONDS;
    }
    if subnet.strategy.is_empty() {
        subnet.strategy = String::from("MAC");
    }
    if subnet.pickers.is_empty() {
        let words: &[&str] =
            if subnet.only_reservations { &["none"] } else { &["hint", "nextFree", "mostExpired"] };
        subnet.pickers = words.iter().map(|word| (*word).to_owned()).collect();
    }
}

fn problems(subnet: &Subnet) -> Vec<String> {
    let key = subnet.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Name, key, key).into_iter().collect();
    let span = subnet.span();
    if span.is_none() {
        let network = &subnet.subnet;
        found.push(format!("{key}: Invalid subnet {network}: it is not an IPv4 network like 10.0.0.0/24"));
    }
    found.extend(optional_address_problem(key, &subnet.next_server));
    if subnet.strategy.is_empty() {
        found.push(format!("{key}: Strategy must have a value"));
    }
    if subnet.unmanaged && subnet.proxy {
        found.push(format!("{key}: Unmanaged and Proxy cannot both be true"));
    }
    if !subnet.only_reservations && !subnet.proxy {
        found.extend(range_problems(subnet, "Active", (&subnet.active_start, &subnet.active_end), span));
        found.extend(time_problem(key, "ActiveLeaseTime", subnet.active_lease_time, ACTIVE_LEASE_SECONDS));
    }
    found.extend(time_problem(key, "ReservedLeaseTime", subnet.reserved_lease_time, RESERVED_LEASE_SECONDS));
    if !subnet.allocate_start.is_empty() || !subnet.allocate_end.is_empty() {
        found.extend(range_problems(
            subnet,
            "Allocate",
            (&subnet.allocate_start, &subnet.allocate_end),
            span,
        ));
    }
    let pickers = subnet.pickers.iter();
    found.extend(pickers.filter_map(|word| word_problem(key, "Picker", word, Subnet::PICKERS)));
    found.extend(param_name_problem(key, "PrefixParameter", &subnet.prefix_parameter));
    found.extend(list_problems(key, "Profile", &subnet.profiles));
    found
}

/// Returns what is wrong with a range of addresses, which must be in order and in the network.
fn range_problems(subnet: &Subnet, word: &str, ends: (&str, &str), span: Option<Span>) -> Vec<String> {
    let key = subnet.name.as_str();
    let mut found = Vec::new();
    let mut parsed = Vec::new();
    for (end, address) in [("Start", ends.0), ("End", ends.1)] {
        found.extend(address_problem(key, address));
        let Some(address) = usable_address(address) else { continue };
        if span.is_some_and(|(first, last)| !(first..=last).contains(&address)) {
            found.push(format!("{key}: {word}{end} {address} not in subnet range {}", subnet.subnet));
        }
        parsed.push(address);
    }
    if let [start, end] = parsed[..]
        && start > end
    {
        found.push(format!("{key}: {word}Start {start} must be less than or equal to {word}End {end}"));
    }
    found
}

fn time_problem(key: &str, member: &str, seconds: i64, least: i64) -> Option<String> {
    (seconds < least)
        .then(|| format!("{key}: {member} must be greater than or equal to {least} seconds, not {seconds}"))
}

fn references(subnet: &Subnet) -> Vec<Reference> {
    Needs::soft(&subnet.name).list("profiles", "Profile", &subnet.profiles).done()
}

/// No address is in two subnets (drp-api.md 7.13).
fn conflicts(subnet: &Subnet, others: &dyn Objects) -> Vec<String> {
    let Some((first, last)) = subnet.span() else { return Vec::new() };
    let other = others.find_by::<Subnet>(|other| {
        let overlaps = |(from, to): Span| from <= last && first <= to;
        other.name != subnet.name && other.span().is_some_and(overlaps)
    });
    let message = |other: Arc<Subnet>| {
        format!(
            "{}: {} overlaps subnet {}, which is {}",
            subnet.name, subnet.subnet, other.name, other.subnet
        )
    };
    other.map(message).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::{Few, round_trip};

    fn subnet(members: serde_json::Value) -> Subnet {
        let mut made: Subnet = serde_json::from_value(members).unwrap();
        normalise(&mut made);
        made
    }

    #[test]
    fn subnet_keeps_all_members() {
        let members = json!({
            "Name": "lab", "Description": "benches", "Documentation": "Behind the glass.", "Subnet": "10.7.0.1/22",
            "Enabled": true, "Proxy": false, "Unmanaged": true, "NextServer": "10.7.0.1", "ActiveStart": "10.7.1.10",
            "ActiveEnd": "10.7.1.99", "ActiveLeaseTime": 300, "ReservedLeaseTime": 9000, "OnlyReservations": false,
            "Options": [{"Code": 3, "Value": "10.7.0.1"}], "Strategy": "MAC", "Pickers": ["nextFree"],
            "AllocateStart": "10.7.2.0", "AllocateEnd": "10.7.2.255", "PrefixParameter": "net/dhcp",
            "Params": {"vlan": 7}, "Profiles": ["lab-net"], "SkipDAD": true,
        });
        round_trip("subnets", members);
    }

    #[test]
    fn subnet_has_times_strategy_and_pickers_unless_said() {
        let made = subnet(json!({"Name": "lab", "ActiveStart": " 10.7.1.10"}));
        assert_eq!((made.active_lease_time, made.reserved_lease_time), (60, 7200));
        assert_eq!((made.strategy.as_str(), made.active_start.as_str()), ("MAC", "10.7.1.10"));
        assert_eq!(made.pickers, ["hint", "nextFree", "mostExpired"]);
        assert_eq!(subnet(json!({"OnlyReservations": true})).pickers, ["none"]);
    }

    #[test]
    fn range_is_in_order_and_in_the_network_unless_nothing_is_given_out_of_it() {
        let wrong = json!({
            "Name": "s1", "Subnet": "10.7.0.0/24", "Unmanaged": true, "ActiveStart": "10.8.0.9",
            "ActiveEnd": "10.7.0.3", "ActiveLeaseTime": 59, "ReservedLeaseTime": 60, "Pickers": ["first"],
        });
        let mut made = subnet(wrong);
        assert_eq!(
            problems(&made),
            [
                "s1: ActiveStart 10.8.0.9 not in subnet range 10.7.0.0/24",
                "s1: ActiveStart 10.8.0.9 must be less than or equal to ActiveEnd 10.7.0.3",
                "s1: ActiveLeaseTime must be greater than or equal to 60 seconds, not 59",
                "s1: ReservedLeaseTime must be greater than or equal to 7200 seconds, not 60",
                "s1: Invalid Picker `first`",
            ]
        );
        made.proxy = true;
        made.reserved_lease_time = 7200;
        made.pickers.clear();
        made.strategy.clear();
        let wanted = ["s1: Strategy must have a value", "s1: Unmanaged and Proxy cannot both be true"];
        assert_eq!(problems(&made), wanted);
        made = subnet(json!({"Name": "s1", "Subnet": "10.7.0.0/33", "ActiveEnd": "127.0.0.1"}));
        assert_eq!(
            problems(&made),
            [
                "s1: Invalid subnet 10.7.0.0/33: it is not an IPv4 network like 10.0.0.0/24",
                "s1: IP Address is nil",
                "s1: 127.0.0.1 is not a valid IP address for dr-provision",
            ]
        );
    }

    #[test]
    fn subnets_do_not_overlap() {
        let lab = subnet(json!({"Name": "lab", "Subnet": "10.7.0.0/22"}));
        let few = Few(vec![Arc::new(lab.clone())]);
        assert!(conflicts(&lab, &few).is_empty());
        assert!(conflicts(&subnet(json!({"Name": "hall", "Subnet": "10.7.4.0/24"})), &few).is_empty());
        let wanted = ["hall: 10.7.3.0/24 overlaps subnet lab, which is 10.7.0.0/22"];
        assert_eq!(conflicts(&subnet(json!({"Name": "hall", "Subnet": "10.7.3.0/24"})), &few), wanted);
        assert_eq!(Subnet::containing(&few, "10.7.3.255").unwrap().name, "lab");
        assert!(Subnet::containing(&few, "10.7.4.0").is_none());
    }

    #[test]
    fn new_subnet_gets_mask_and_broadcast_address_unless_it_has_them() {
        let mut made =
            subnet(json!({"Name": "lab", "Subnet": "10.7.0.9/22", "Options": [{"Code": 28, "Value": "x"}]}));
        made.add_options();
        let options: Vec<_> =
            made.options.iter().map(|option| (option.code, option.value.as_str())).collect();
        assert_eq!(options, [(28, "x"), (1, "255.255.252.0")]);
        let all = subnet(json!({"Subnet": "0.0.0.0/0"}));
        assert_eq!(all.span(), Some(([0, 0, 0, 0].into(), [255, 255, 255, 255].into())));
    }
}
