//! Which part of a file is sent, and whether any is.

use super::{
    range::{Selected, select},
    version::Version,
};

/// The headers of a request by which it depends on what the client has; each as it came, where it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions<'a> {
    /// `Range`.
    pub range: Option<&'a str>,
    /// `If-Range`.
    pub if_range: Option<&'a str>,
    /// `If-None-Match`.
    pub if_none_match: Option<&'a str>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<&'a str>,
}

/// What answers a request for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The client has it: 304.
    NotModified,
    /// All of it, a part, or that there is no such part: 200, 206 or 416.
    Of(Selected),
}

impl Conditions<'_> {
    /// Chooses what of a file of `len` bytes answers (RFC 9110, section 13.2.2).
    #[must_use]
    pub fn select(&self, version: &Version, len: u64) -> Selection {
        let is_known = match (self.if_none_match, self.if_modified_since) {
            (Some(tags), _) => version.is_one_of(tags),
            (None, Some(date)) => version.is_as_of(date),
            (None, None) => false,
        };
        if is_known {
            return Selection::NotModified;
        }
        // A part of another version than the client has would not fit to what it has.
        let fits = self.if_range.is_none_or(|wanted| version.is_that_of(wanted));
        Selection::Of(select(self.range.filter(|_| fits), len))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const LEN: u64 = 10;

    fn version() -> Version {
        Version::new(UNIX_EPOCH + Duration::from_millis(1_700_000_000_250), LEN)
    }

    fn part() -> Selection {
        Selection::Of(Selected::Part { first: 2, last: 4 })
    }

    #[test]
    fn part_is_given_of_the_version_that_the_client_has_and_else_the_whole() {
        let version = version();
        let date = version.date();
        let ranged = Conditions { range: Some("bytes=2-4"), ..Conditions::default() };
        assert_eq!(ranged.select(&version, LEN), part());
        for same in [version.tag(), date] {
            let asked = Conditions { if_range: Some(same), ..ranged };
            assert_eq!(asked.select(&version, LEN), part(), "{same}");
        }
        for other in ["\"other\"", "", "Thu, 01 Jan 1970 00:00:00 GMT"] {
            let asked = Conditions { if_range: Some(other), ..ranged };
            assert_eq!(asked.select(&version, LEN), Selection::Of(Selected::All), "{other}");
        }
    }

    #[test]
    fn file_is_not_sent_again_to_who_has_it() {
        let version = version();
        let date = version.date();
        let tags = format!("\"a\", W/{}", version.tag());
        let later = "Fri, 01 Jan 2100 00:00:00 GMT";
        let earlier = "Thu, 01 Jan 1970 00:00:00 GMT";
        for (tags, since, known) in [
            (Some(tags.as_str()), None, true),
            (Some("*"), None, true),
            (Some("\"other\""), Some(later), false),
            (None, Some(date), true),
            (None, Some(later), true),
            (None, Some(earlier), false),
            (None, Some("yesterday"), false),
            (None, None, false),
        ] {
            let asked = Conditions {
                if_none_match: tags,
                if_modified_since: since,
                range: Some("bytes=2-4"),
                ..Conditions::default()
            };
            let wanted = if known { Selection::NotModified } else { part() };
            assert_eq!(asked.select(&version, LEN), wanted, "{tags:?} {since:?}");
        }
    }
}
