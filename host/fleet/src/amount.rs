//! Times and sizes of a profile: one value, or two with `..` between them.

use std::{fmt, time::Duration};

use formwork_model::parse_duration;
use serde::{Deserialize, Deserializer, de::Visitor};

/// The units of sizes, in bytes.
const UNITS: [(&str, u64); 9] = [
    ("", 1),
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// From the least to the most, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

/// A time of any length in a range, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Range);

/// A number of bytes in a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) Range);

fn range(text: &str, one: impl Fn(&str) -> Option<u64>) -> Option<Range> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let (least, most) = (one(least)?, one(most)?);
    (least <= most).then_some(Range { least, most })
}

fn milliseconds(text: &str) -> Option<u64> {
    let time = parse_duration(text, Duration::from_secs(1))?;
    u64::try_from(time.as_millis()).ok()
}

fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split)?;
    let (_, factor) = UNITS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Reads a scalar of YAML, which is a number where it looks like one.
struct Scalar(&'static str);

impl Visitor<'_> for Scalar {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_f64<E>(self, number: f64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_any(Scalar("a time as 2s or 500ms..2m"))?;
        let wrong = || format!("`{text}` is no time\nhint: one as `2s`, or two as `500ms..2m`");
        range(&text, milliseconds).map(Self).ok_or_else(|| serde::de::Error::custom(wrong()))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_any(Scalar("a size as 4 KiB or 1KiB..1MiB"))?;
        let wrong = || format!("`{text}` is no size\nhint: one as `4 KiB`, or two as `1KiB..1MiB`");
        range(&text, bytes).map(Self).ok_or_else(|| serde::de::Error::custom(wrong()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_a_range_of_itself_and_two_have_an_order() {
        let time = |text| range(text, milliseconds).map(|range| (range.least, range.most));
        assert_eq!(time("2s"), Some((2000, 2000)));
        assert_eq!(time("500ms..2m"), Some((500, 120_000)));
        assert_eq!(time("3"), Some((3000, 3000)));
        for wrong in ["", "2m..1m", "soon", "1s..", "-1s"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_have_units_of_both_kinds() {
        for (text, expected) in [
            ("0", Some(0)),
            ("4 KiB", Some(4096)),
            ("480 GB", Some(480_000_000_000)),
            ("2tb", Some(2_000_000_000_000)),
            ("1.5 KiB", None),
            ("KiB", None),
            ("99999999999999999999", None),
            ("99999999999 GiB", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
