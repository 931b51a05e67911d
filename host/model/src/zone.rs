//! Zones: names that the endpoint answers for (drp-api.md 7A.17, 14.8).

use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Header, Kind, NameGrammar, name_problem, object::object};

/// A part of the name space and what is answered in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Zone {
    /// The key.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// More for people, in Markdown or reStructuredText.
    pub documentation: String,
    /// The domain that the records are in, with a dot at its end; empty for the root.
    pub origin: String,
    /// Zones with a low number are looked at first.
    pub priority: i64,
    /// True when the next zone is looked at after no record matched.
    pub r#continue: bool,
    /// Seconds that an answer may be kept; 0 for [`Zone::TTL_SECONDS`].
    #[serde(rename = "TTL")]
    pub ttl: i64,
    /// Who is answered; none for everybody.
    pub filters: Vec<ZoneFilter>,
    /// Who is asked what no record matched: an address, with `:PORT` when that is not 53.
    pub forwarders: Vec<String>,
    /// What is answered.
    pub records: Vec<ZoneRecord>,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl Zone {
    /// Seconds that an answer may be kept when neither record nor zone says so.
    pub const TTL_SECONDS: i64 = 3600;
}

/// Who is answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct ZoneFilter {
    /// What the filter looks at.
    pub r#type: String,
    /// What that must be.
    pub filter: String,
}

/// What is answered for one name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct ZoneRecord {
    /// The name below the origin; `@` for the origin itself.
    pub name: String,
    /// The type of the record: `A`, `AAAA`, `CNAME` ...
    pub r#type: String,
    /// Seconds that the answer may be kept; 0 for what the zone says.
    #[serde(rename = "TTL")]
    pub ttl: i64,
    /// The values: templates.
    pub value: Vec<String>,
}

pub(crate) static KIND: Kind = Kind {
    columns: &["Name", "Origin", "Priority", "TTL", "Description", "Bundle"],
    ..Kind::of::<Zone>("zones", "Name", "zone")
};

object!(Zone, KIND, key = |zone| zone.name.clone(), problems = problems);

fn problems(zone: &Zone) -> Vec<String> {
    let key = zone.name.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Machine, key, key).into_iter().collect();
    if !zone.origin.is_empty() && !zone.origin.ends_with('.') {
        found.push(format!("{key}: Invalid Origin `{}`: a dot must be at its end", zone.origin));
    }
    found.extend(ttl_problem(key, zone.ttl));
    let is_server = |text: &str| text.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok();
    let broken = zone.forwarders.iter().filter(|forwarder| !is_server(forwarder));
    found.extend(broken.map(|forwarder| format!("{key}: Invalid Forwarder `{forwarder}`")));
    for (index, record) in zone.records.iter().enumerate() {
        for (member, word) in [("Name", &record.name), ("Type", &record.r#type)] {
            if word.is_empty() {
                found.push(format!("{key}: Record[{index}] is missing a {member}"));
            }
        }
        found.extend(ttl_problem(&format!("{key}: Record[{index}]"), record.ttl));
    }
    found
}

/// Times to live have 31 bits (RFC 2181 section 8).
fn ttl_problem(key: &str, seconds: i64) -> Option<String> {
    let right = u32::try_from(seconds).is_ok_and(|seconds| seconds >> 31 == 0);
    (!right).then(|| format!("{key}: Invalid TTL {seconds}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn zone_keeps_all_members() {
        let members = json!({
            "Name": "10.in-addr.arpa", "Description": "back", "Documentation": "By number.", "Origin": "10.in-addr.arpa.",
            "Priority": 5, "Continue": true, "TTL": 60, "Filters": [{"Type": "Subnet", "Filter": "lab"}],
            "Forwarders": ["10.0.0.53", "10.0.0.54:5353", "fd00::53"],
            "Records": [{"Name": "1.0.0", "Type": "PTR", "TTL": 0, "Value": ["{{.Machine.Name}}."]}],
        });
        round_trip("zones", members);
    }

    #[test]
    fn zone_has_a_dot_at_the_end_of_its_origin_times_of_31_bits_and_servers_by_number() {
        let zone = Zone {
            name: "z1".into(),
            origin: "lab.example".into(),
            ttl: 1 << 31,
            forwarders: vec!["dns.example".into()],
            records: vec![ZoneRecord { ttl: -1, ..ZoneRecord::default() }],
            ..Zone::default()
        };
        let wanted = [
            "z1: Invalid Origin `lab.example`: a dot must be at its end",
            "z1: Invalid TTL 2147483648",
            "z1: Invalid Forwarder `dns.example`",
            "z1: Record[0] is missing a Name",
            "z1: Record[0] is missing a Type",
            "z1: Record[0]: Invalid TTL -1",
        ];
        assert_eq!(problems(&zone), wanted);
    }
}
