//! The commit of an update, during which nobody changes it.

use std::sync::{Arc, PoisonError};

use formwork_api::ApiError;

use super::{Item, open};
use crate::endpoint::Endpoint;

/// An update that is being committed. However that ends, it can be changed again, if it is still there.
pub(super) struct Busy {
    endpoint: Arc<Endpoint>,
    token: String,
}

impl Busy {
    /// Makes an update busy, and returns its items.
    pub(super) fn begin(endpoint: &Arc<Endpoint>, token: &str) -> Result<(Self, Vec<Item>), ApiError> {
        let mut current = endpoint.updates.current(endpoint.now());
        let update = open(&mut current, token, "POST")?;
        update.is_busy = true;
        let busy = Self { endpoint: Arc::clone(endpoint), token: token.to_owned() };
        Ok((busy, update.items.clone()))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut current = self.endpoint.updates.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(update) = current.as_mut().filter(|update| update.token == self.token) {
            update.is_busy = false;
        }
    }
}
