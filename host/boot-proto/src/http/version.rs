//! By what a client knows whether its copy is still right.

use std::time::{SystemTime, UNIX_EPOCH};

/// The version of a file: the time of its last change, and its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    modified: SystemTime,
    tag: String,
    date: String,
}

impl Version {
    /// Makes the version of a file of `len` bytes that was changed at `modified`.
    #[must_use]
    pub fn new(modified: SystemTime, len: u64) -> Self {
        let nanos = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        // From here on both are only copied: a file is asked for more often than it changes.
        let (tag, date) = (format!("\"{nanos:x}-{len:x}\""), httpdate::fmt_http_date(modified));
        Self { modified, tag, date }
    }

    /// Returns the header `ETag`.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Returns the header `Last-Modified`.
    #[must_use]
    pub fn date(&self) -> &str {
        &self.date
    }

    /// Tells whether the header `If-None-Match` names this version, in its weak form or its strong one.
    pub(super) fn is_one_of(&self, tags: &str) -> bool {
        let same = |tag: &str| tag == "*" || tag.trim_start_matches("W/") == self.tag;
        tags.split(',').any(|tag| same(tag.trim()))
    }

    /// Tells whether there was no change since the date of the header `If-Modified-Since`; dates are whole seconds.
    pub(super) fn is_as_of(&self, date: &str) -> bool {
        httpdate::parse_http_date(date).is_ok_and(|since| seconds(self.modified) <= seconds(since))
    }

    /// Tells whether the header `If-Range` means this version.
    pub(super) fn is_that_of(&self, if_range: &str) -> bool {
        let is_date = |date| seconds(date) == seconds(self.modified);
        if_range == self.tag || httpdate::parse_http_date(if_range).is_ok_and(is_date)
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
