//! What a fleet is made of, as a file says it.

use regex::Regex;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::{
    amount::{Size, Time},
    chance::Chance,
    ends::Ends,
};

/// What stands for the number of a machine in its name.
const NUMBER: &str = "{number}";

/// The most network cards that a machine can have: one byte of an address counts them.
const MAX_NICS: u8 = 16;

/// The hardware and the behaviour of a fleet.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Profile {
    /// The names of the machine objects that are made.
    name: String,
    /// The workflow that machines get when they come for the first time; empty leaves theirs.
    pub(crate) workflow: String,
    /// Params of every machine.
    pub(crate) params: Map<String, Value>,
    /// When a machine is switched on, from the beginning.
    pub(crate) start: Time,
    /// How long a machine is away before it comes again: after a reboot, and after a crash.
    pub(crate) reboot: Time,
    /// How often a kernel can be loaded instead of a reboot, of 1.
    pub(crate) kexec: f64,
    pub(crate) operator: Operator,
    hardware: Vec<HardwareKind>,
    tasks: Vec<TaskRule>,
}

/// Who looks after machines that wait for somebody.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Operator {
    /// How often a machine is let go on, or switched on again, until it is given up.
    pub(crate) resumes: u64,
    /// How long that takes.
    pub(crate) after: Time,
}

/// A kind of machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct HardwareKind {
    /// How many of the machines are of this kind, compared with the other kinds.
    weight: u32,
    pub(crate) vendor: String,
    pub(crate) model: String,
    pub(crate) memory: Size,
    pub(crate) processors: u32,
    pub(crate) disks: Vec<Size>,
    pub(crate) nics: u8,
    /// Params of machines of this kind.
    pub(crate) params: Map<String, Value>,
}

/// What tasks do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TaskRule {
    /// The tasks that are meant: a name, with `*` and `?` or without.
    task: Pattern,
    #[serde(default)]
    pub(crate) time: Time,
    #[serde(default)]
    pub(crate) output: Size,
    #[serde(default)]
    pub(crate) ends: Ends,
    /// How often the machine is gone in the middle, of 1.
    #[serde(default)]
    pub(crate) crash: f64,
}

/// A file that is no profile.
#[derive(Debug, thiserror::Error)]
#[error("this is no profile of a fleet\n  {0}")]
pub struct ProfileError(String);

impl Default for Profile {
    fn default() -> Self {
        Self {
            name: format!("sim-{NUMBER}"),
            workflow: String::new(),
            params: Map::new(),
            start: Time::default(),
            reboot: Time::default(),
            kexec: 1.0,
            operator: Operator::default(),
            hardware: vec![HardwareKind::default()],
            tasks: Vec::new(),
        }
    }
}

impl Default for HardwareKind {
    fn default() -> Self {
        let size = |bytes| Size(crate::amount::Range { least: bytes, most: bytes });
        Self {
            weight: 1,
            vendor: String::from("Formwork"),
            model: String::from("Simulated"),
            memory: size(64 << 30),
            processors: 16,
            disks: vec![size(480_000_000_000)],
            nics: 1,
            params: Map::new(),
        }
    }
}

impl Profile {
    /// Reads a profile in YAML.
    ///
    /// # Errors
    ///
    /// What is no YAML, has a member that no profile has or a value that it cannot have, and a fleet without hardware.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let profile: Self = serde_saphyr::from_str(text).map_err(|error| ProfileError(error.to_string()))?;
        profile.check().map_err(ProfileError)?;
        Ok(profile)
    }

    /// Says which workflow machines get in place of the profile's.
    #[must_use]
    pub fn with_workflow(self, workflow: String) -> Self {
        Self { workflow, ..self }
    }

    fn check(&self) -> Result<(), String> {
        if !self.name.contains(NUMBER) {
            return Err(format!(
                "name: `{}` is the same for all machines\nhint: as `sim-{NUMBER}`",
                self.name
            ));
        }
        if self.hardware.iter().all(|kind| kind.weight == 0) {
            return Err(String::from("hardware: no kind has a weight above 0"));
        }
        if let Some(kind) = self.hardware.iter().find(|kind| !(1..=MAX_NICS).contains(&kind.nics)) {
            return Err(format!("nics: a machine has 1 to {MAX_NICS}, not {}", kind.nics));
        }
        let shares = self.tasks.iter().map(|rule| ("crash", rule.crash)).chain([("kexec", self.kexec)]);
        let wrong = shares.into_iter().find(|(_, share)| !(0.0..=1.0).contains(share));
        wrong.map_or(Ok(()), |(name, share)| Err(format!("{name}: it is a share from 0 to 1, not {share}")))
    }

    /// Returns the name of a machine.
    pub(crate) fn name(&self, number: u32) -> String {
        self.name.replace(NUMBER, &format!("{number:05}"))
    }

    /// Returns the kind of a machine.
    pub(crate) fn kind(&self, chance: Chance) -> Option<&HardwareKind> {
        chance.pick(self.hardware.iter().map(|kind| (kind, kind.weight)), "hardware", 0)
    }

    /// Returns what a task does: the first rule that means it. Without one it ends well at once.
    pub(crate) fn rule(&self, task: &str) -> Option<&TaskRule> {
        self.tasks.iter().find(|rule| rule.task.0.is_match(task))
    }
}

#[derive(Clone, Debug)]
struct Pattern(Regex);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let glob = String::deserialize(deserializer)?;
        let text = regex::escape(&glob).replace(r"\*", ".*").replace(r"\?", ".");
        Regex::new(&format!("^(?s:{text})$")).map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_of_the_guide_is_a_profile() {
        let profile = Profile::parse(include_str!("../examples/site.yaml")).unwrap();
        assert_eq!(profile.name(7), "sim-00007");
        assert!(profile.hardware.len() > 1 && profile.tasks.len() > 1);
    }

    #[test]
    fn first_rule_that_means_a_task_counts_and_names_are_no_patterns() {
        let text = "tasks: [{task: 'burn-*', crash: 0.5}, {task: a.b}, {task: '?', crash: 1}]";
        let profile = Profile::parse(text).unwrap();
        let crash = |task| profile.rule(task).map(|rule| rule.crash);
        assert_eq!(crash("burn-in"), Some(0.5));
        assert_eq!(crash("a.b"), Some(0.0));
        assert_eq!(crash("axb"), None);
        assert_eq!(crash("x"), Some(1.0));
    }

    #[test]
    fn what_no_fleet_can_be_is_refused_with_the_reason() {
        for (text, reason) in [
            ("name: same", "same for all machines"),
            ("hardware: []", "no kind has a weight"),
            ("hardware: [{nics: 0}]", "1 to 16"),
            ("tasks: [{task: a, crash: 2}]", "crash: it is a share from 0 to 1"),
            ("kexec: -1", "kexec: it is a share from 0 to 1"),
            ("tasks: [{task: a, time: soon}]", "no time"),
            ("tasks: [{task: a, ends: {exploded: 1}}]", "incomplete-reboot"),
            ("speed: 5", "speed"),
        ] {
            let error = Profile::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
