//! How a machine learns which object it is (drp-api.md 12.6).

use formwork_model::{Machine, MachineFingerprint};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Below this score nothing is taken for a match.
const MATCH: u64 = 100;

/// What a machine knows of itself, and the answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Whoami {
    /// What its firmware says.
    pub fingerprint: MachineFingerprint,
    /// The addresses of its network cards.
    pub mac_addrs: Vec<String>,
    /// The UUID that its disk remembers.
    #[serde(rename = "OnDiskUUID")]
    pub on_disk_uuid: String,
    /// The answer; ignored in a request.
    pub result: WhoamiResult,
}

/// Which machine it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct WhoamiResult {
    /// How well it fits; 0 for no match.
    pub score: u64,
    /// The machine; empty for no match.
    pub uuid: String,
    /// A token of the machine; empty for no match.
    pub token: String,
}

impl Whoami {
    /// Returns how well a machine fits, 0 when it is no match.
    #[must_use]
    pub fn score(&self, machine: &Machine) -> u64 {
        let same = |mine: &str, theirs: &str| !theirs.is_empty() && mine.eq_ignore_ascii_case(theirs);
        let (mine, theirs) = (&self.fingerprint, &machine.fingerprint);
        let points = [
            (25, mine.ssn_hash == theirs.ssn_hash && !theirs.ssn_hash.is_empty()),
            (25, mine.csn_hash == theirs.csn_hash && !theirs.csn_hash.is_empty()),
            (50, same(&mine.system_uuid, &theirs.system_uuid)),
            (500, same(&mine.cloud_instance_id, &theirs.cloud_instance_id)),
            (1000, same(&self.on_disk_uuid, &machine.uuid)),
        ];
        let total = points.iter().filter(|(_, hit)| *hit).map(|(points, _)| points).sum::<u64>()
            + percentage(&mine.memory_ids, &theirs.memory_ids, |text| text.to_owned())
            + percentage(&self.mac_addrs, &machine.hardware_addrs, |text| {
                text.to_lowercase().replace('-', ":")
            });
        if total < MATCH { 0 } else { total }
    }

    /// Returns the machine that fits best and its score. Of two that fit alike the lower UUID wins.
    pub fn best<'a>(&self, machines: impl Iterator<Item = &'a Machine>) -> Option<(&'a Machine, u64)> {
        machines
            .map(|machine| (machine, self.score(machine)))
            .filter(|(_, score)| *score > 0)
            .max_by(|(a, left), (b, right)| left.cmp(right).then_with(|| b.uuid.cmp(&a.uuid)))
    }
}

/// Returns the share of the stored list that is found again, in whole percent.
fn percentage(found: &[String], stored: &[String], form: impl Fn(&str) -> String) -> u64 {
    if stored.is_empty() {
        return 0;
    }
    let found: Vec<String> = found.iter().map(|text| form(text)).collect();
    let matched = stored.iter().filter(|text| found.contains(&form(text))).count();
    (100 * matched / stored.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(macs: &[&str]) -> Machine {
        Machine {
            uuid: "u".into(),
            hardware_addrs: macs.iter().map(ToString::to_string).collect(),
            ..Machine::default()
        }
    }

    #[test]
    fn all_macs_are_a_match_and_half_of_them_are_none() {
        let whoami = Whoami { mac_addrs: vec!["52-54-00-00-00-01".into()], ..Whoami::default() };
        assert_eq!(whoami.score(&machine(&["52:54:00:00:00:01"])), 100);
        assert_eq!(whoami.score(&machine(&["52:54:00:00:00:01", "52:54:00:00:00:02"])), 0);
    }

    #[test]
    fn what_the_machine_has_not_stored_gives_no_points() {
        let whoami = Whoami::default();
        assert_eq!(whoami.score(&machine(&[])), 0);
    }
}
