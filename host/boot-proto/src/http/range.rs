//! The `Range` header (RFC 9110 section 14.2): one range of bytes.

/// Which part of a file is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selected {
    /// All of it. Also the answer to what is not understood, and to several ranges at once.
    All,
    /// The bytes from `first` to `last`, both included.
    Part {
        /// The first byte.
        first: u64,
        /// The last byte.
        last: u64,
    },
    /// A part behind the end.
    Impossible,
}

/// Reads the header for a file of `len` bytes.
#[must_use]
pub fn select(header: Option<&str>, len: u64) -> Selected {
    let Some((first, last)) = header.and_then(|text| text.trim().strip_prefix("bytes=")?.split_once('-'))
    else {
        return Selected::All;
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (first, last) = (first.trim(), last.trim());
    if !digits(first) || !digits(last) || (first.is_empty() && last.is_empty()) {
        return Selected::All;
    }
    // A number that is too large for any file is as good as the end of this one.
    let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    let end = len.saturating_sub(1);
    if first.is_empty() {
        let count = number(last);
        let possible = count > 0 && len > 0;
        return if possible {
            Selected::Part { first: len.saturating_sub(count), last: end }
        } else {
            Selected::Impossible
        };
    }
    let first = number(first);
    let last = if last.is_empty() { end } else { number(last).min(end) };
    if first >= len {
        return Selected::Impossible;
    }
    if last < first { Selected::All } else { Selected::Part { first, last } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, len: u64) -> Selected {
        select(Some(text), len)
    }

    #[test]
    fn range_is_cut_to_the_file() {
        assert_eq!(of("bytes=0-3", 10), Selected::Part { first: 0, last: 3 });
        assert_eq!(of("bytes=4-", 10), Selected::Part { first: 4, last: 9 });
        assert_eq!(of("bytes=4-99999999999999999999", 10), Selected::Part { first: 4, last: 9 });
        assert_eq!(of("bytes=-3", 10), Selected::Part { first: 7, last: 9 });
        assert_eq!(of("bytes=-30", 10), Selected::Part { first: 0, last: 9 });
        assert_eq!(of("bytes=10-", 10), Selected::Impossible);
        assert_eq!(of("bytes=-0", 10), Selected::Impossible);
        assert_eq!(of("bytes=0-", 0), Selected::Impossible);
    }

    #[test]
    fn what_is_not_understood_gets_the_whole_file() {
        for text in
            ["", "bytes=", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "lines=0-1", "bytes=5-4", "bytes=+1-2"]
        {
            assert_eq!(of(text, 10), Selected::All, "{text}");
        }
        assert_eq!(select(None, 10), Selected::All);
    }
}
