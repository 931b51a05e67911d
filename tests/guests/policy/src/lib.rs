//! A migration policy that answers each question in a way that its test can tell.

use formwork_sdk::migration::{
    Choice, Conflict, Kind, MigrationPolicy, Resolution, Subject, SwitchDecision, SwitchReport, SyncDecision,
    SyncReport, Target,
};
use formwork_sdk::{Failure, log};

struct LeastLoaded;

impl MigrationPolicy for LeastLoaded {
    fn admit(subject: &Subject) -> Result<(), Failure> {
        if subject.is_operator {
            return Ok(());
        }
        Err(Failure::new("not-yours", format!("{} may not move {}", subject.principal, subject.name)))
    }

    fn rank(subject: &Subject, targets: &[Target]) -> Result<Vec<Choice>, Failure> {
        if subject.kind == Kind::Machine {
            return Ok(vec![Choice { target: "elsewhere".to_owned(), reason: "I know a place".to_owned() }]);
        }
        let mut free: Vec<_> = targets.iter().filter(|target| target.memory_free_bytes > 0).collect();
        free.sort_by_key(|target| std::cmp::Reverse(target.memory_free_bytes));
        let reason = |target: &Target| format!("{} bytes free", target.memory_free_bytes);
        Ok(free.iter().map(|target| Choice { target: target.name.clone(), reason: reason(target) }).collect())
    }

    fn resolve(_subject: &Subject, conflict: &Conflict) -> Resolution {
        log::info!("{} {}", conflict.prefix, conflict.key);
        match conflict.prefix.as_str() {
            "profiles" => Resolution::KeepTarget,
            "params" => Resolution::TakeSource,
            "templates" => Resolution::Merge("no object".to_owned()),
            _ => Resolution::Merge(conflict.at_source.replace('s', "t")),
        }
    }

    fn transform(_subject: &Subject, prefix: &str, object: String) -> Result<Option<String>, Failure> {
        Ok((prefix != "jobs").then(|| object.replace('1', "2")))
    }

    fn after_sync(_subject: &Subject, report: &SyncReport) -> SyncDecision {
        if report.bytes_changed > 1000 {
            SyncDecision::SyncAgain(report.duration_ms)
        } else {
            SyncDecision::Switch
        }
    }

    fn after_switch(_subject: &Subject, report: &SwitchReport) -> SwitchDecision {
        match report.checks.iter().find(|check| !check.passed) {
            Some(check) => SwitchDecision::RollBack(
                Failure::new("check-failed", format!("{}: {}", check.name, check.message)).into(),
            ),
            None if report.running => SwitchDecision::Accept,
            None => SwitchDecision::Wait(report.elapsed_ms),
        }
    }
}

formwork_sdk::export_migration_policy!(LeastLoaded);
