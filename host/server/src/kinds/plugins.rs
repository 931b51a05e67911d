//! Plugins: what is remembered of one goes with it.

use formwork_model::Object;
use futures_util::future::{BoxFuture, FutureExt, ready};

use super::Behaviour;
use crate::{
    commit::{Stop, Work},
    endpoint::Endpoint,
    plugins,
};

/// How plugins behave.
pub(super) struct Plugins;

impl Behaviour for Plugins {
    fn delete_with(&self, work: &mut Work<'_>, object: &dyn Object, _force: bool) -> Result<(), Stop> {
        plugins::forget(work.tx, &object.key());
        Ok(())
    }

    fn deleted<'a>(&'a self, endpoint: &'a Endpoint, object: &'a dyn Object) -> BoxFuture<'a, ()> {
        endpoint.plugins.lines.forget(&object.key());
        ready(()).boxed()
    }
}
