//! Waiting until an object is as a caller wants it.

use std::time::Duration;

use serde_json::Value;

use crate::{Client, ClientError, Query};

/// After this time the object is read again even without an event: a stream that silently lost one must not make
/// anybody wait for ever.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

impl Client {
    /// Waits until an object passes a test, and returns it. The event stream says when to look again, so there is no
    /// time of waiting that is too short or too long.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is no such object.
    pub async fn wait_for(
        &self,
        prefix: &str,
        id: &str,
        mut test: impl FnMut(&Value) -> bool,
    ) -> Result<Value, ClientError> {
        let collection = self.collection(prefix);
        // Events name objects by their native key, the caller may have used another index.
        let first = collection.show(id, &Query::new()).await?;
        let key = formwork_model::kind_of(prefix)
            .and_then(|kind| first.get(kind.key)?.as_str().map(str::to_owned))
            .unwrap_or_else(|| id.to_owned());
        let mut events = self.events().await?;
        events.register(&format!("{prefix}.*.{key}")).await?;
        loop {
            let object = collection.show(id, &Query::new()).await?;
            if test(&object) {
                return Ok(object);
            }
            if let Ok(event) = tokio::time::timeout(LOOK_AGAIN, events.next()).await {
                event?;
            }
        }
    }
}
