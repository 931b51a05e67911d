//! A point in time as the API writes it: RFC 3339 in UTC, nanoseconds, trailing zeros dropped.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Milliseconds of the year 1 before the Unix epoch: the zero time of Go programs, which means "unset".
const UNSET_NANOS: i128 = -62_135_596_800_000_000_000;

/// A time in nanoseconds since the Unix epoch; the default is "unset", `0001-01-01T00:00:00Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i128);

impl Timestamp {
    /// Makes a time from milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis as i128 * 1_000_000)
    }

    /// Makes a time from nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn from_nanos(nanos: i128) -> Self {
        Self(nanos)
    }

    /// Returns milliseconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000) as i64
    }

    /// Returns nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn nanos(self) -> i128 {
        self.0
    }

    /// Returns the time `millis` milliseconds later.
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis as i128 * 1_000_000))
    }

    /// Tells whether the time was never set.
    #[must_use]
    pub const fn is_unset(&self) -> bool {
        self.0 == UNSET_NANOS
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self(UNSET_NANOS)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp_nanos(self.0)
            .ok()
            .and_then(|time| time.format(&Rfc3339).ok())
            .unwrap_or_else(|| String::from("0001-01-01T00:00:00Z"));
        formatter.write_str(&text)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Timestamp {
    type Err = time::error::Parse;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        OffsetDateTime::parse(text, &Rfc3339).map(|time| Self(time.unix_timestamp_nanos()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self::default());
        }
        text.parse().map_err(|_| D::Error::custom(format!("`{text}` is not a time of RFC 3339")))
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unset_time_is_the_year_one() {
        assert_eq!(Timestamp::default().to_string(), "0001-01-01T00:00:00Z");
        assert!("0001-01-01T00:00:00Z".parse::<Timestamp>().unwrap().is_unset());
    }

    #[test]
    fn fraction_loses_its_trailing_zeros() {
        assert_eq!(Timestamp::from_millis(1_500).to_string(), "1970-01-01T00:00:01.5Z");
    }

    #[test]
    fn offset_is_turned_into_utc() {
        let time: Timestamp = "2021-09-01T14:00:00+02:00".parse().unwrap();
        assert_eq!(time.to_string(), "2021-09-01T12:00:00Z");
    }
}
