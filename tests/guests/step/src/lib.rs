//! An upgrade step that renames a member of machines, and back.

use formwork_sdk::upgrade::{Census, Change, Finding, Upgrade, UpgradeStep};
use formwork_sdk::{Failure, log};
use serde_json::{Map, Value};

struct Rename;

impl UpgradeStep for Rename {
    fn applies(upgrade: &Upgrade) -> Option<Vec<String>> {
        (upgrade.from_version == "0.1.0").then(|| vec!["machines".to_owned()])
    }

    fn check(upgrade: &Upgrade, census: &[Census]) -> Vec<Finding> {
        let objects: u64 = census.iter().map(|census| census.objects).sum();
        vec![Finding {
            is_fatal: objects > 1000,
            code: "many".to_owned(),
            message: format!("{objects} objects go to {}", upgrade.to_version),
            hint: None,
        }]
    }

    fn forward(prefix: &str, object: &str) -> Result<Change, Failure> {
        log::debug!("{prefix}");
        renamed(object, "Old", "New")
    }

    fn backward(_prefix: &str, object: &str) -> Result<Change, Failure> {
        renamed(object, "New", "Old")
    }
}

fn renamed(object: &str, from: &str, to: &str) -> Result<Change, Failure> {
    let mut object: Map<String, Value> = serde_json::from_str(object)?;
    Ok(match object.remove(from) {
        Some(value) => {
            object.insert(to.to_owned(), value);
            Change::Replace(Value::Object(object).to_string())
        }
        None if object.is_empty() => Change::Remove,
        None => Change::Keep,
    })
}

formwork_sdk::export_upgrade_step!(Rename);
