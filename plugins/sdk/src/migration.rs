//! Migration policies: what a site wants to happen when a machine or an instance moves.

use std::marker::PhantomData;

use crate::bindings::policy_world::exports::formwork::migration_policy::policy;
use crate::{Failure, logger};

pub use policy::{
    Check, Choice, Conflict, Kind, Resolution, Subject, SwitchDecision, SwitchReport, SyncDecision,
    SyncReport, Target,
};

/// What a site wants to happen when something moves. All functions are pure. Those that are not written do the plainest
/// thing.
pub trait MigrationPolicy {
    /// Decides whether it may move at all. By default it may.
    ///
    /// # Errors
    ///
    /// Why it may not.
    fn admit(subject: &Subject) -> Result<(), Failure> {
        let _ = subject;
        Ok(())
    }

    /// Returns the targets that may be used, the best first. By default those that were listed, as they were.
    ///
    /// # Errors
    ///
    /// Why there is none.
    fn rank(subject: &Subject, targets: &[Target]) -> Result<Vec<Choice>, Failure> {
        let _ = subject;
        let choice = |target: &Target| Choice { target: target.name.clone(), reason: "as listed".to_owned() };
        Ok(targets.iter().map(choice).collect())
    }

    /// Decides which of two objects is kept. By default the one that is there.
    fn resolve(subject: &Subject, conflict: &Conflict) -> Resolution {
        let _ = (subject, conflict);
        Resolution::KeepTarget
    }

    /// Returns an object as the target is to store it, none to leave it behind. By default as it is.
    ///
    /// # Errors
    ///
    /// Why the migration is refused.
    fn transform(subject: &Subject, prefix: &str, object: String) -> Result<Option<String>, Failure> {
        let _ = (subject, prefix);
        Ok(Some(object))
    }

    /// Decides what follows a copy of the disks. By default the switch, after the second.
    fn after_sync(subject: &Subject, report: &SyncReport) -> SyncDecision {
        let _ = subject;
        if report.round < 2 { SyncDecision::SyncAgain(0) } else { SyncDecision::Switch }
    }

    /// Decides whether the switch was good. By default it was.
    fn after_switch(subject: &Subject, report: &SwitchReport) -> SwitchDecision {
        let _ = (subject, report);
        SwitchDecision::Accept
    }
}

/// Stands between the world's types and those of this crate.
#[derive(Debug)]
pub struct PolicyComponent<T>(PhantomData<T>);

impl<T: MigrationPolicy> policy::Guest for PolicyComponent<T> {
    fn admit(subject: Subject) -> Result<(), policy::Failure> {
        logger::begin();
        T::admit(&subject).map_err(Into::into)
    }

    fn rank(subject: Subject, targets: Vec<Target>) -> Result<Vec<Choice>, policy::Failure> {
        logger::begin();
        T::rank(&subject, &targets).map_err(Into::into)
    }

    fn resolve(subject: Subject, conflict: Conflict) -> Resolution {
        logger::begin();
        T::resolve(&subject, &conflict)
    }

    fn transform(
        subject: Subject,
        prefix: String,
        object: String,
    ) -> Result<Option<String>, policy::Failure> {
        logger::begin();
        T::transform(&subject, &prefix, object).map_err(Into::into)
    }

    fn after_sync(subject: Subject, report: SyncReport) -> SyncDecision {
        logger::begin();
        T::after_sync(&subject, &report)
    }

    fn after_switch(subject: Subject, report: SwitchReport) -> SwitchDecision {
        logger::begin();
        T::after_switch(&subject, &report)
    }
}

impl From<Failure> for policy::Failure {
    fn from(failure: Failure) -> Self {
        Self { code: failure.code, message: failure.message, hint: failure.hint }
    }
}
