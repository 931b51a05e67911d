//! Upgrade steps: one change of the stored objects from one release to another, and back.

use std::marker::PhantomData;

use crate::bindings::step_world::exports::formwork::upgrade_step::step;
use crate::{Failure, logger};

pub use step::{Census, Change, Finding, Upgrade};

/// One change of the stored objects, and back. All functions are pure.
pub trait UpgradeStep {
    /// Returns the prefixes of the types that it changes between these releases, none when it does not apply.
    fn applies(upgrade: &Upgrade) -> Option<Vec<String>>;

    /// Looks at what is stored before anything is changed. By default nothing stands in the way.
    fn check(upgrade: &Upgrade, census: &[Census]) -> Vec<Finding> {
        let _ = (upgrade, census);
        Vec::new()
    }

    /// Changes one object for the later release; one that has the new form already is kept. The object is JSON text.
    ///
    /// # Errors
    ///
    /// Why the whole upgrade is undone.
    fn forward(prefix: &str, object: &str) -> Result<Change, Failure>;

    /// Changes one object back for the earlier release. The object is JSON text.
    ///
    /// # Errors
    ///
    /// Why the whole way back is undone.
    fn backward(prefix: &str, object: &str) -> Result<Change, Failure>;
}

/// Stands between the world's types and those of this crate.
#[derive(Debug)]
pub struct StepComponent<T>(PhantomData<T>);

impl<T: UpgradeStep> step::Guest for StepComponent<T> {
    fn applies(upgrade: Upgrade) -> Option<Vec<String>> {
        logger::begin();
        T::applies(&upgrade)
    }

    fn check(upgrade: Upgrade, census: Vec<Census>) -> Vec<Finding> {
        logger::begin();
        T::check(&upgrade, &census)
    }

    fn forward(prefix: String, object: String) -> Result<Change, step::Failure> {
        logger::begin();
        T::forward(&prefix, &object).map_err(Into::into)
    }

    fn backward(prefix: String, object: String) -> Result<Change, step::Failure> {
        logger::begin();
        T::backward(&prefix, &object).map_err(Into::into)
    }
}

impl From<Failure> for step::Failure {
    fn from(failure: Failure) -> Self {
        Self { code: failure.code, message: failure.message, hint: failure.hint }
    }
}
