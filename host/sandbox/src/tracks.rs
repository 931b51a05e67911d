//! One adapter for each compatibility track: the generated types of a package on one side, this crate's own on the other.
//!
//! All tracks of a package live side by side. What a guest was built against is read from the names of its exports.

use wasmtime::Store;

use crate::state::CallState;
use crate::{Answer, Kind, Question};

pub(crate) mod files_v0_1;
pub(crate) mod migration_policy_v0_1;
pub(crate) mod params_v0_1;
pub(crate) mod plugin_v0_1;
pub(crate) mod task_v0_1;
pub(crate) mod task_v0_2;
pub(crate) mod upgrade_step_v0_1;
pub(crate) mod workflow_v0_1;

/// A component with what it was granted, ready to be called.
#[derive(Clone)]
pub(crate) enum Linked {
    TaskV0_1(task_v0_1::GuestPre<CallState>),
    TaskV0_2(task_v0_2::GuestPre<CallState>),
    WorkflowV0_1(workflow_v0_1::GuestPre<CallState>),
    MigrationPolicyV0_1(migration_policy_v0_1::GuestPre<CallState>),
    UpgradeStepV0_1(upgrade_step_v0_1::GuestPre<CallState>),
    PluginV0_1(plugin_v0_1::GuestPre<CallState>),
}

impl Linked {
    /// Finds the track of a component of a kind; none when it is of another kind.
    pub(crate) fn of(kind: Kind, linked: wasmtime::component::InstancePre<CallState>) -> Option<Self> {
        match kind {
            Kind::Task => task_v0_2::GuestPre::new(linked.clone())
                .map(Self::TaskV0_2)
                .or_else(|_| task_v0_1::GuestPre::new(linked).map(Self::TaskV0_1))
                .ok(),
            Kind::Workflow => workflow_v0_1::GuestPre::new(linked).map(Self::WorkflowV0_1).ok(),
            Kind::MigrationPolicy => {
                migration_policy_v0_1::GuestPre::new(linked).map(Self::MigrationPolicyV0_1).ok()
            }
            Kind::UpgradeStep => upgrade_step_v0_1::GuestPre::new(linked).map(Self::UpgradeStepV0_1).ok(),
            Kind::Plugin => plugin_v0_1::GuestPre::new(linked).map(Self::PluginV0_1).ok(),
        }
    }

    /// What it is for.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::TaskV0_1(_) | Self::TaskV0_2(_) => Kind::Task,
            Self::WorkflowV0_1(_) => Kind::Workflow,
            Self::MigrationPolicyV0_1(_) => Kind::MigrationPolicy,
            Self::UpgradeStepV0_1(_) => Kind::UpgradeStep,
            Self::PluginV0_1(_) => Kind::Plugin,
        }
    }

    /// Makes a fresh instance and puts one question to it; none when the question is for another kind.
    pub(crate) async fn ask(
        &self,
        store: &mut Store<CallState>,
        question: &Question,
    ) -> wasmtime::Result<Option<Answer>> {
        match self {
            Self::TaskV0_1(guest) => {
                task_v0_1::ask(&guest.instantiate_async(&mut *store).await?, store, question).await
            }
            Self::TaskV0_2(guest) => {
                task_v0_2::ask(&guest.instantiate_async(&mut *store).await?, store, question).await
            }
            Self::WorkflowV0_1(guest) => {
                workflow_v0_1::ask(&guest.instantiate_async(&mut *store).await?, store, question).await
            }
            Self::MigrationPolicyV0_1(guest) => {
                migration_policy_v0_1::ask(&guest.instantiate_async(&mut *store).await?, store, question)
                    .await
            }
            Self::UpgradeStepV0_1(guest) => {
                upgrade_step_v0_1::ask(&guest.instantiate_async(&mut *store).await?, store, question).await
            }
            Self::PluginV0_1(guest) => {
                plugin_v0_1::ask(&guest.instantiate_async(&mut *store).await?, store, question).await
            }
        }
    }
}

/// Turns a track's failure into this crate's: all of them have these three members.
macro_rules! failures {
    ($failure:ty) => {
        impl From<$failure> for crate::Failure {
            fn from(failure: $failure) -> Self {
                Self { code: failure.code, message: failure.message, hint: failure.hint }
            }
        }
    };
}
pub(crate) use failures;
