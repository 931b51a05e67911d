//! Profiles: the one that holds for every machine stays (drp-api.md 5.4).

use formwork_api::ApiError;
use formwork_model::Object;

use super::Behaviour;
use crate::{
    auth::Caller,
    commit::{Stop, Work},
};

/// The profile that holds for every machine.
const GLOBAL: &str = "global";

/// How profiles behave.
pub(super) struct Profiles;

impl Behaviour for Profiles {
    fn may_delete(&self, _work: &Work<'_>, _caller: &Caller, object: &dyn Object) -> Result<(), Stop> {
        if object.key() != GLOBAL {
            return Ok(());
        }
        let message = format!("the profile {GLOBAL} cannot be deleted");
        Err(ApiError::new(409, "DELETE", message).about(object.kind().prefix, GLOBAL).into())
    }
}
