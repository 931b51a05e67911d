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
            + percentage(&mine.memory_ids, &theirs.memory_ids, |one, other| one == other)
            + percentage(&self.mac_addrs, &machine.hardware_addrs, is_same_address);
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

/// Returns the share of the stored list that is found again, in whole percent. Every machine there is may be asked about for
/// every one that comes.
fn percentage(found: &[String], stored: &[String], is_same: fn(&str, &str) -> bool) -> u64 {
    if stored.is_empty() {
        return 0;
    }
    let matched = stored.iter().filter(|text| found.iter().any(|other| is_same(text, other))).count();
    (100 * matched / stored.len()) as u64
}

/// Tells whether two texts are one address: neither the case of letters matters nor which sign is between the bytes.
fn is_same_address(one: &str, other: &str) -> bool {
    let form = |byte: u8| if byte == b'-' { b':' } else { byte.to_ascii_lowercase() };
    one.len() == other.len() && one.bytes().zip(other.bytes()).rev().all(|(a, b)| form(a) == form(b))
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

    /// What a machine would say that has only these parts of the fingerprint.
    fn says(fingerprint: MachineFingerprint) -> Whoami {
        Whoami { fingerprint, ..Whoami::default() }
    }

    fn stored(fingerprint: MachineFingerprint) -> Machine {
        Machine { uuid: "u".into(), fingerprint, ..Machine::default() }
    }

    /// A fingerprint with everything that has a fixed number of points.
    fn whole() -> MachineFingerprint {
        MachineFingerprint {
            ssn_hash: "c3Nu".into(),
            csn_hash: "Y3Nu".into(),
            system_uuid: "4c4c4544-0001".into(),
            cloud_instance_id: "aws:i-1".into(),
            ..MachineFingerprint::default()
        }
    }

    /// Returns the score with a part beside another that is a match alone, less the points of that other.
    fn beside_the_disk(fingerprint: MachineFingerprint) -> u64 {
        let whoami = Whoami { on_disk_uuid: "u".into(), ..says(fingerprint) };
        whoami.score(&stored(whole())) - 1000
    }

    #[test]
    fn row_024_system_serial_number_is_25_points() {
        let part = MachineFingerprint { ssn_hash: "c3Nu".into(), ..MachineFingerprint::default() };
        assert_eq!(says(part.clone()).score(&stored(whole())), 0, "below 100 alone");
        assert_eq!(beside_the_disk(part), 25);
        let other = MachineFingerprint { ssn_hash: "b3RoZXI=".into(), ..MachineFingerprint::default() };
        assert_eq!(beside_the_disk(other), 0);
    }

    #[test]
    fn row_025_chassis_serial_number_is_25_points() {
        let part = MachineFingerprint { csn_hash: "Y3Nu".into(), ..MachineFingerprint::default() };
        assert_eq!(says(part.clone()).score(&stored(whole())), 0, "below 100 alone");
        assert_eq!(beside_the_disk(part), 25);
    }

    #[test]
    fn row_026_system_uuid_is_50_points_and_makes_a_match_with_the_serial_numbers() {
        let part =
            MachineFingerprint { system_uuid: "4C4C4544-0001".into(), ..MachineFingerprint::default() };
        assert_eq!(beside_the_disk(part), 50);
        let three = MachineFingerprint { cloud_instance_id: String::new(), ..whole() };
        assert_eq!(says(three).score(&stored(whole())), 100);
    }

    #[test]
    fn row_027_memory_ids_are_points_by_their_share_of_the_stored_list() {
        let memory = |ids: &[&str]| MachineFingerprint {
            memory_ids: ids.iter().map(ToString::to_string).collect(),
            ..whole()
        };
        let others = says(whole()).score(&stored(whole()));
        let score = |found: &[&str], kept: &[&str]| says(memory(found)).score(&stored(memory(kept))) - others;
        assert_eq!(score(&["a", "b"], &["a", "b", "c", "d"]), 50);
        assert_eq!(score(&["a", "b", "c", "d"], &["a", "b", "c", "d"]), 100);
        assert_eq!(
            score(&["a", "x", "y"], &["a", "b", "c"]),
            33,
            "a share of the stored ones, in whole percent"
        );
        assert_eq!(score(&["a"], &[]), 0);
    }

    #[test]
    fn row_028_hardware_addresses_are_points_by_their_share_of_the_stored_list() {
        let whoami = Whoami { mac_addrs: vec!["52-54-00-00-00-01".into()], ..Whoami::default() };
        assert_eq!(whoami.score(&machine(&["52:54:00:00:00:01"])), 100);
        let two = machine(&["52:54:00:00:00:01", "52:54:00:00:00:02"]);
        assert_eq!(whoami.score(&two), 0, "50 alone are none");
        let more = Whoami { on_disk_uuid: "u".into(), ..whoami };
        assert_eq!(more.score(&two), 1050);
    }

    #[test]
    fn row_029_cloud_instance_is_500_points() {
        let part =
            MachineFingerprint { cloud_instance_id: "aws:i-1".into(), ..MachineFingerprint::default() };
        assert_eq!(says(part).score(&stored(whole())), 500);
        let other =
            MachineFingerprint { cloud_instance_id: "aws:i-2".into(), ..MachineFingerprint::default() };
        assert_eq!(says(other).score(&stored(whole())), 0);
    }

    #[test]
    fn row_030_uuid_on_the_disk_is_1000_points() {
        let whoami = Whoami { on_disk_uuid: "u".into(), ..Whoami::default() };
        assert_eq!(whoami.score(&machine(&[])), 1000);
        assert_eq!(whoami.score(&Machine { uuid: "other".into(), ..machine(&[]) }), 0);
    }

    #[test]
    fn row_031_less_than_100_points_are_no_match() {
        let uuid =
            MachineFingerprint { system_uuid: "4c4c4544-0001".into(), ..MachineFingerprint::default() };
        let kept = stored(whole());
        assert_eq!(says(uuid.clone()).best([&kept].into_iter()), None);
        let with_serial = MachineFingerprint { ssn_hash: "c3Nu".into(), ..uuid };
        assert_eq!(says(with_serial).best([&kept].into_iter()), None, "75");
    }

    #[test]
    fn row_032_best_of_many_machines_wins() {
        let whoami = Whoami {
            mac_addrs: vec!["52:54:00:00:00:01".into()],
            ..says(MachineFingerprint { memory_ids: vec!["a".into()], ..whole() })
        };
        let card = machine(&["52:54:00:00:00:01"]);
        let memory = MachineFingerprint { memory_ids: vec!["a".into()], ..MachineFingerprint::default() };
        let both = Machine { uuid: "both".into(), fingerprint: memory, ..card.clone() };
        let cloud =
            MachineFingerprint { cloud_instance_id: "aws:i-1".into(), ..MachineFingerprint::default() };
        let cloud = Machine { uuid: "cloud".into(), fingerprint: cloud, ..card.clone() };
        for machines in [[&card, &both, &cloud], [&cloud, &both, &card]] {
            let scores: Vec<u64> = machines.iter().map(|machine| whoami.score(machine)).collect();
            assert!([[100, 200, 600], [600, 200, 100]].iter().any(|order| scores == order), "{scores:?}");
            let (best, score) = whoami.best(machines.into_iter()).unwrap();
            assert_eq!((best.uuid.as_str(), score), ("cloud", 600));
        }
        let twin = Machine { uuid: "b".into(), ..card.clone() };
        assert_eq!(
            whoami.best([&card, &twin].into_iter()).unwrap().0.uuid,
            "b",
            "of two alike the lower UUID"
        );
    }

    #[test]
    fn what_the_machine_has_not_stored_gives_no_points() {
        let whoami = Whoami::default();
        assert_eq!(whoami.score(&machine(&[])), 0);
    }
}
