//! Plugin providers: they are made of components (drp-api.md 11.5).

use formwork_api::ApiError;
use formwork_model::Object;

use super::Behaviour;
use crate::commit::{Stop, Work};

/// How plugin providers behave.
pub(super) struct Providers;

impl Behaviour for Providers {
    fn complete(&self, _work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
        let message = "a plugin provider comes with the pack of its component\nhint: install the pack";
        Err(ApiError::new(405, "POST", message).about(object.kind().prefix, &object.key()).into())
    }
}
