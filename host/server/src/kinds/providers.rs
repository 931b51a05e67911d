//! Plugin providers: they are made of components (drp-api.md 11.5).

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_model::{Object, PluginProvider};
use formwork_store::Revision;
use futures_util::future::{BoxFuture, FutureExt};

use super::Behaviour;
use crate::{
    auth::Caller,
    commands::providers,
    commit::{Stop, Work},
    endpoint::Endpoint,
};

/// How plugin providers behave.
pub(super) struct Providers;

impl Behaviour for Providers {
    fn complete(&self, _work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
        let message = "a plugin provider is made of its component\n\
                       hint: send the component or its pack to `/plugin_providers/NAME`";
        Err(ApiError::new(405, "POST", message).about(object.kind().prefix, &object.key()).into())
    }

    /// A provider goes with the pack of its component.
    fn delete_whole<'a>(
        &'a self,
        endpoint: &'a Arc<Endpoint>,
        caller: &'a Caller,
        object: &'a dyn Object,
    ) -> Option<BoxFuture<'a, Result<Revision, ApiError>>> {
        let provider = object.as_any().downcast_ref::<PluginProvider>()?;
        Some(providers::remove(endpoint, caller, provider).boxed())
    }
}
