//! Waiting for an object to change (drp-api.md 1.3, `Prefer: wait`).

use std::{sync::Arc, time::Duration};

use axum::http::{HeaderMap, HeaderName, header};
use formwork_api::ApiError;
use formwork_model::{Object, parse_duration};
use formwork_store::{Feed, Revision, Snapshot};

use super::{objects, request::Target};

/// No request is held longer.
const LONGEST: Duration = Duration::from_secs(600);

/// What the sender of a request knows of an object already, and how long he waits for more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Patience {
    /// The entity tags of `If-None-Match`; empty when nothing is known.
    known: String,
    /// How long the request may be held.
    wait: Duration,
}

impl Patience {
    /// Reads the headers of a request. A preference that cannot be read is none (RFC 7240, section 2).
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let all = |name: HeaderName| {
            headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>()
        };
        let preferences = all(HeaderName::from_static("prefer"));
        let wait = preferences
            .iter()
            .flat_map(|line| line.split([',', ';']))
            .filter_map(|preference| preference.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
            .and_then(|(_, time)| parse_duration(time.trim().trim_matches('"'), Duration::from_secs(1)));
        Self { known: all(header::IF_NONE_MATCH).join(","), wait: wait.unwrap_or_default().min(LONGEST) }
    }

    /// Tells whether an object at a revision is nothing new. Tags count with quotes and without.
    fn knows(&self, revision: Revision) -> bool {
        let tag = revision.0.to_string();
        let is_tag = |text: &str| {
            let text = text.trim();
            text == "*" || text.strip_prefix("W/").unwrap_or(text).trim_matches('"') == tag
        };
        self.known.split(',').any(is_tag)
    }
}

/// An object that a request is about.
pub(super) struct Seen {
    /// All objects at the time.
    pub(super) snapshot: Snapshot,
    /// The object.
    pub(super) object: Arc<dyn Object>,
    /// When it last changed.
    pub(super) revision: Revision,
    /// False when the sender of the request knows it like this, and has waited as long as he would.
    pub(super) is_new: bool,
}

/// Finds the object that a request names, for a caller who may read it. Holds the request as long as it knows the object
/// as it is.
///
/// # Errors
///
/// There is no such object, or none any more, or the caller may not read it.
pub(super) async fn readable(target: &Target, patience: &Patience) -> Result<Seen, ApiError> {
    let mut time_up = std::pin::pin!(tokio::time::sleep(patience.wait));
    loop {
        // The feed begins where the snapshot ends: whatever is not in the one is in the other.
        let (snapshot, feed) = target.endpoint.store.snapshot_and_feed();
        let (object, revision) = objects::readable(target, &snapshot)?;
        let is_new = !patience.knows(revision);
        if is_new || patience.wait.is_zero() {
            return Ok(Seen { snapshot, object, revision, is_new });
        }
        let key = object.key();
        let goes_on = tokio::select! {
            goes_on = touched(feed, target.kind.prefix, &key) => goes_on,
            () = &mut time_up => false,
        };
        if !goes_on {
            return Ok(Seen { snapshot, object, revision, is_new });
        }
    }
}

/// Waits until an object may have changed. False when nothing changes any more.
async fn touched(mut feed: Feed, prefix: &str, key: &str) -> bool {
    loop {
        match feed.next().await {
            Ok(entry) => {
                if entry.changes.iter().any(|change| change.prefix == prefix && &*change.key == key) {
                    return true;
                }
            }
            Err(formwork_store::FeedError::Lagged { .. }) => return true,
            Err(formwork_store::FeedError::Closed) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience(preference: &'static str, known: &'static str) -> Patience {
        let mut headers = HeaderMap::new();
        headers.insert("prefer", preference.parse().unwrap());
        headers.insert(header::IF_NONE_MATCH, known.parse().unwrap());
        Patience::of(&headers)
    }

    #[test]
    fn preference_is_a_duration_in_seconds_up_to_ten_minutes() {
        for (text, seconds) in [
            ("wait=5", 5),
            ("wait=5m", 300),
            ("respond-async, Wait=\"2\"", 2),
            ("wait=1h", 600),
            ("wait=never", 600),
            ("wait=soon", 0),
            ("return=minimal", 0),
            ("wait", 0),
        ] {
            assert_eq!(patience(text, "").wait, Duration::from_secs(seconds), "{text}");
        }
    }

    #[test]
    fn tags_are_known_with_quotes_and_without_and_an_empty_one_is_none() {
        for (known, is_known) in [
            ("\"12\"", true),
            ("12", true),
            ("W/\"12\"", true),
            ("\"3\", \"12\"", true),
            ("*", true),
            ("\"3\"", false),
            ("", false),
            ("\"112\"", false),
        ] {
            assert_eq!(patience("wait=1", known).knows(Revision(12)), is_known, "{known}");
        }
    }
}
