//! What is kept of who did what: a line of the log, target `audit`, and an event `audit.<what>.<key>` (drp-behaviour.md
//! 8.4; features.md row 38).

use formwork_api::Event;
use serde_json::{Value, json};

use crate::{clock::now, hub::Hub};

/// The type of the events, and the target of the lines.
pub(crate) const AUDIT: &str = "audit";

/// The longest key of an audit event, in bytes; what clients send may be longer.
const MAX_KEY_BYTES: usize = 256;

/// What happened that is told to auditors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audited<'a> {
    /// One word: `denied`, `unlock`, `password`, `secret`, `token`, `login`.
    pub(crate) what: &'a str,
    /// The type of the object.
    pub(crate) scope: &'a str,
    /// The object; `*` for the type as a whole.
    pub(crate) key: &'a str,
    /// Who did it, or tried.
    pub(crate) principal: &'a str,
    /// In words; never a secret.
    pub(crate) words: &'a str,
}

/// Returns what is told of a key.
pub(super) fn shortened(key: &str) -> &str {
    key.get(..key.floor_char_boundary(MAX_KEY_BYTES)).unwrap_or_default()
}

impl Audited<'_> {
    /// Writes the line and tells the event.
    pub(crate) fn tell(self, hub: &Hub) {
        let Self { what, scope, principal, words, .. } = self;
        let key = shortened(self.key);
        tracing::info!(target: AUDIT, what, scope, key, principal, "{words}");
        hub.tell(Event {
            time: now(),
            r#type: AUDIT.to_owned(),
            action: what.to_owned(),
            key: key.to_owned(),
            principal: principal.to_owned(),
            object: json!({ "Scope": scope, "Key": key, "Message": words }),
            original: Value::Null,
            ..Event::default()
        });
    }
}
