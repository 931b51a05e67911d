//! The preferences of the endpoint and what each may be (drp-api.md 12.4).

use std::{collections::BTreeMap, time::Duration};

use formwork_model::{BootEnv, Objects, ObjectsExt, Preference, parse_duration};

use crate::{Refusal, access, jobs::Retention};

/// What durations without a unit count.
const SECOND: Duration = Duration::from_secs(1);

/// The names of all preferences and what they are when nobody set them.
const DEFAULTS: &[(&str, &str)] = &[
    ("baseTokenSecret", ""),
    ("completeJobsPurgedAfter", ""),
    ("debugBootEnv", "warn"),
    ("debugDhcp", "warn"),
    ("debugFrontend", "warn"),
    ("debugPlugins", "warn"),
    ("debugRenderer", "warn"),
    ("defaultBootEnv", "local"),
    ("defaultStage", "none"),
    ("defaultWorkflow", ""),
    ("failedJobsPurgedAfter", ""),
    ("jobsToKeep", ""),
    ("knownTokenTimeout", "3600"),
    ("logLevel", "warn"),
    (access::PREFERENCE, access::MACHINE),
    ("manager", "false"),
    ("systemGrantorSecret", ""),
    ("unknownBootEnv", "ignore"),
    ("unknownTokenTimeout", "600"),
];

/// Returns the value of one preference.
#[must_use]
pub fn value(objects: &(impl Objects + ?Sized), name: &str) -> String {
    if let Some(preference) = objects.get::<Preference>(name) {
        return preference.val.clone();
    }
    DEFAULTS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| (*value).to_owned())
        .unwrap_or_default()
}

/// Returns a preference that is a number of seconds; the default when it is not one.
#[must_use]
pub fn seconds(objects: &(impl Objects + ?Sized), name: &str) -> u64 {
    value(objects, name).parse().unwrap_or_else(|_| {
        DEFAULTS
            .iter()
            .find(|(known, _)| *known == name)
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or(0)
    })
}

/// Returns what the preferences say of how long jobs stay (drp-api.md 9.9).
#[must_use]
pub fn retention(objects: &(impl Objects + ?Sized)) -> Retention {
    let after = |name| parse_duration(&value(objects, name), SECOND);
    Retention {
        keep: value(objects, "jobsToKeep").trim().parse().ok(),
        complete_after: after("completeJobsPurgedAfter"),
        failed_after: after("failedJobsPurgedAfter"),
    }
}

/// Returns all preferences.
#[must_use]
pub fn all(objects: &(impl Objects + ?Sized)) -> BTreeMap<String, String> {
    DEFAULTS.iter().map(|(name, _)| ((*name).to_owned(), value(objects, name))).collect()
}

/// Returns the preferences that name an object, as `preferences:defaultStage`.
#[must_use]
pub fn users(objects: &(impl Objects + ?Sized), prefix: &str, key: &str) -> Vec<String> {
    let names: &[&str] = match prefix {
        "bootenvs" => &["defaultBootEnv", "unknownBootEnv"],
        "stages" => &["defaultStage"],
        "workflows" => &["defaultWorkflow"],
        _ => &[],
    };
    let naming = names.iter().filter(|name| value(objects, name) == key);
    naming.map(|name| format!("preferences:{name}")).collect()
}

/// Checks new values and returns the objects to save.
///
/// # Errors
///
/// An unknown name, a boot environment, stage or workflow that does not exist or does not fit, or a number of
/// seconds that is none. Then nothing is to be saved.
pub fn change(
    objects: &(impl Objects + ?Sized),
    values: &BTreeMap<String, String>,
) -> Result<Vec<Preference>, Refusal> {
    let problems: Vec<String> =
        values.iter().filter_map(|(name, value)| problem(objects, name, value)).collect();
    if !problems.is_empty() {
        return Err(Refusal::Invalid(problems));
    }
    Ok(values
        .iter()
        .map(|(name, value)| Preference { name: name.clone(), val: value.clone(), ..Preference::default() })
        .collect())
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What failed.
    Error,
    /// What may be wrong.
    Warn,
    /// What happens.
    Info,
    /// What it is made of.
    Debug,
    /// All.
    Trace,
}

/// Reads a level: a word in any case, or a number as older clients have it (drp-api.md 1.3, 12.4; drp-behaviour.md 5.3).
#[must_use]
pub fn log_level(text: &str) -> Option<LogLevel> {
    Some(match text.trim().to_lowercase().as_str() {
        "off" | "0" => LogLevel::Off,
        "error" | "err" | "fatal" | "panic" | "audit" => LogLevel::Error,
        "warn" | "warning" => LogLevel::Warn,
        "info" | "1" => LogLevel::Info,
        "debug" | "2" => LogLevel::Debug,
        "trace" => LogLevel::Trace,
        _ => return None,
    })
}

fn problem(objects: &(impl Objects + ?Sized), name: &str, value: &str) -> Option<String> {
    if !DEFAULTS.iter().any(|(known, _)| *known == name) {
        let known: Vec<&str> = DEFAULTS.iter().map(|(name, _)| *name).collect();
        return Some(format!("unknown preference `{name}`; known are {}", known.join(", ")));
    }
    let missing = |prefix: &str| objects.find(prefix, value).is_none();
    match name {
        "defaultBootEnv" | "unknownBootEnv" => {
            let Some(bootenv) = objects.get::<BootEnv>(value) else {
                return Some(format!("{name}: Bootenv {value} does not exist"));
            };
            (bootenv.only_unknown != (name == "unknownBootEnv")).then(|| {
                let word = if bootenv.only_unknown { "has" } else { "lacks" };
                format!("{name}: BootEnv {value} {word} the OnlyUnknown flag")
            })
        }
        "defaultStage" => missing("stages").then(|| format!("{name}: Stage {value} does not exist")),
        "defaultWorkflow" => (!value.is_empty() && missing("workflows"))
            .then(|| format!("{name}: Workflow {value} does not exist")),
        "knownTokenTimeout" | "unknownTokenTimeout" => {
            value.parse::<u32>().is_err().then(|| format!("{name}: `{value}` is not a number of seconds"))
        }
        name if name.starts_with("debug") || name == "logLevel" => (!value.is_empty()
            && log_level(value).is_none())
        .then(|| format!("{name}: `{value}` is no level: trace, debug, info, warn, error or off")),
        "manager" => (!matches!(value, "true" | "false"))
            .then(|| format!("{name}: `{value}` is neither true nor false")),
        access::PREFERENCE => (!matches!(value, access::MACHINE | access::ANYBODY))
            .then(|| format!("{name}: `{value}` is neither {} nor {}", access::MACHINE, access::ANYBODY)),
        "jobsToKeep" => (!value.is_empty() && value.trim().parse::<u64>().is_err())
            .then(|| format!("{name}: `{value}` is not a number of jobs")),
        "completeJobsPurgedAfter" | "failedJobsPurgedAfter" => (!value.is_empty()
            && parse_duration(value, SECOND).is_none())
        .then(|| format!("{name}: `{value}` is not a duration; as 600, 10m, 30d or never")),
        _ => None,
    }
}
