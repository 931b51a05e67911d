//! Values of members in the order in which lists are sorted and filters compare (drp-api.md 4.1).

use std::{fmt, net::Ipv4Addr, sync::Arc};

use serde_json::Value;

use crate::Timestamp;

/// Text members that hold an IPv4 address.
const ADDRESSES: &[&str] = &["ActiveEnd", "ActiveStart", "Addr", "Address", "NextServer"];

/// Text members that hold a time.
const TIMES: &[&str] = &[
    "AcknowledgeTime",
    "CreateTime",
    "CreatedAt",
    "EndTime",
    "EventTime",
    "ExpireTime",
    "LastModifiedAt",
    "NotAfter",
    "RetryAt",
    "StartTime",
    "Time",
];

/// As what the values of a member are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Native {
    /// False before true.
    Boolean,
    /// By number.
    Number,
    /// IPv4 addresses, by number; unset ones first.
    Address,
    /// By time.
    Time,
    /// By the bytes of the text.
    Text,
}

impl Native {
    /// Returns as what the values of a text member, or the texts in a list, are compared.
    #[must_use]
    pub fn of_text(member: &str) -> Self {
        match member {
            member if ADDRESSES.contains(&member) => Self::Address,
            member if TIMES.contains(&member) => Self::Time,
            _ => Self::Text,
        }
    }

    /// Returns as what the values of a member are compared, by one of them; a list is compared by its items.
    ///
    /// The members of an object that was decoded from `{}` will do.
    #[must_use]
    pub fn of(member: &str, sample: &Value) -> Self {
        match sample {
            Value::Bool(_) => Self::Boolean,
            Value::Number(_) => Self::Number,
            Value::Array(items) => items.first().map_or(Self::of_text(member), |item| Self::of(member, item)),
            _ => Self::of_text(member),
        }
    }
}

/// A value in its order among those of the same member. A copy never copies a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SortKey(Order);

/// The variants stand in the order of values that differ in type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Order {
    Nothing,
    Boolean(bool),
    /// The number as an integer of the same order.
    Number(i64),
    Address(u32),
    /// Seconds and nanoseconds since the Unix epoch.
    Time(i64, u32),
    Text(Arc<str>),
}

impl SortKey {
    /// Comes before all values: a member that is not there, null or an address that is not set.
    pub const NOTHING: Self = Self(Order::Nothing);

    /// Returns the order of a value of a member. Lists and maps are compared by their JSON; see [`Self::all`].
    #[must_use]
    pub fn of(member: &str, value: &Value) -> Self {
        match value {
            Value::Null => Self::NOTHING,
            Value::Bool(value) => Self(Order::Boolean(*value)),
            Value::Number(number) => Self::number(number.as_f64().unwrap_or_default()),
            Value::String(text) => {
                Self::parse(Native::of_text(member), text).unwrap_or_else(|| Self::text(text))
            }
            other => Self::text(&other.to_string()),
        }
    }

    /// Returns the values under which an object is found by a member: those of a list, else the one that there is.
    #[must_use]
    pub fn all(member: &str, value: &Value) -> Vec<Self> {
        let mut found = Vec::new();
        Self::each(member, value, &mut |value| found.push(value));
        found
    }

    /// Calls `found` with each of what [`Self::all`] returns.
    pub(crate) fn each(member: &str, value: &Value, found: &mut dyn FnMut(Self)) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| found(Self::of(member, item))),
            one => found(Self::of(member, one)),
        }
    }

    /// Reads a value out of a query; nothing comes of a text that is none of the type (drp-api.md 4.1).
    #[must_use]
    pub fn parse(native: Native, text: &str) -> Option<Self> {
        match native {
            Native::Boolean => match text.to_lowercase().as_str() {
                "true" | "t" | "1" => Some(Self(Order::Boolean(true))),
                "false" | "f" | "0" => Some(Self(Order::Boolean(false))),
                _ => None,
            },
            Native::Number => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Self::number),
            Native::Address if text.is_empty() => Some(Self::NOTHING),
            Native::Address => {
                text.parse::<Ipv4Addr>().ok().map(|address| Self(Order::Address(address.to_bits())))
            }
            Native::Time => text.parse::<Timestamp>().ok().map(Self::time),
            Native::Text => Some(Self::text(text)),
        }
    }

    fn text(text: &str) -> Self {
        Self(Order::Text(text.into()))
    }

    /// Keeps the order of `f64::total_cmp`, but has one zero.
    fn number(number: f64) -> Self {
        let bits = (number + 0.0).to_bits().cast_signed();
        Self(Order::Number(bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()))
    }

    fn time(time: Timestamp) -> Self {
        let (seconds, nanos) =
            (time.nanos().div_euclid(1_000_000_000), time.nanos().rem_euclid(1_000_000_000));
        // RFC 3339 has years of four digits, whose seconds are far within the type.
        Self(Order::Time(
            i64::try_from(seconds).unwrap_or(i64::MAX),
            u32::try_from(nanos).unwrap_or_default(),
        ))
    }
}

impl fmt::Display for SortKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Order::Nothing => Ok(()),
            Order::Boolean(value) => value.fmt(formatter),
            Order::Number(order) => {
                let bits = order ^ ((order >> 63).cast_unsigned() >> 1).cast_signed();
                f64::from_bits(bits.cast_unsigned()).fmt(formatter)
            }
            Order::Address(bits) => Ipv4Addr::from_bits(*bits).fmt(formatter),
            Order::Time(seconds, nanos) => {
                let nanos = i128::from(*seconds) * 1_000_000_000 + i128::from(*nanos);
                Timestamp::from_nanos(nanos).fmt(formatter)
            }
            Order::Text(text) => text.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemars::SchemaGenerator;
    use serde_json::json;

    use super::*;
    use crate::{KINDS, Kind};

    fn sorted(member: &str, values: &[Value]) -> Vec<String> {
        let mut keys: Vec<SortKey> = values.iter().map(|value| SortKey::of(member, value)).collect();
        keys.sort();
        keys.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn values_order_by_their_native_type() {
        let numbers = [json!(10), json!(-1), json!(2.5), json!(9), json!(-10)];
        assert_eq!(sorted("Count", &numbers), ["-10", "-1", "2.5", "9", "10"]);
        assert_eq!(sorted("Ready", &[json!(true), json!(false)]), ["false", "true"]);
        let addresses = [json!("10.0.0.10"), json!("10.0.0.9"), json!(""), json!("9.0.0.1")];
        assert_eq!(sorted("Address", &addresses), ["", "9.0.0.1", "10.0.0.9", "10.0.0.10"]);
        let times = [
            json!("2026-01-01T01:00:00+02:00"),
            json!("2026-01-01T00:00:00Z"),
            json!("0001-01-01T00:00:00Z"),
        ];
        assert_eq!(
            sorted("StartTime", &times),
            ["0001-01-01T00:00:00Z", "2025-12-31T23:00:00Z", "2026-01-01T00:00:00Z"]
        );
    }

    #[test]
    fn name_that_looks_like_an_address_stays_a_text() {
        assert_eq!(sorted("Name", &[json!("9.0.0.1"), json!("10.0.0.1")]), ["10.0.0.1", "9.0.0.1"]);
    }

    #[test]
    fn text_of_a_query_is_read_as_the_type_of_the_member() {
        for (native, text, value) in [
            (Native::Boolean, "True", json!(true)),
            (Native::Boolean, "0", json!(false)),
            (Native::Number, "3.0", json!(3)),
            (Native::Text, "3", json!("3")),
        ] {
            assert_eq!(SortKey::parse(native, text), Some(SortKey::of("Any", &value)), "{text}");
        }
        for (native, text) in [
            (Native::Boolean, "maybe"),
            (Native::Number, "NaN"),
            (Native::Address, "10.0.0.256"),
            (Native::Time, "yesterday"),
        ] {
            assert_eq!(SortKey::parse(native, text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn numbers_keep_their_order_and_come_back(a in -1e300_f64..1e300, b in -1e300_f64..1e300) {
            let key = |number: f64| SortKey::parse(Native::Number, &number.to_string()).unwrap();
            prop_assert_eq!(a.partial_cmp(&b).unwrap(), key(a).cmp(&key(b)));
            prop_assert_eq!(key(a).to_string(), (a + 0.0).to_string());
        }
    }

    /// The members of a type with their schemas.
    fn members(kind: &Kind) -> serde_json::Map<String, Value> {
        let mut generator = SchemaGenerator::default();
        let mut schema = (kind.schema)(&mut generator).to_value();
        let definitions = generator.take_definitions(true);
        while let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            schema = definitions[target.rsplit('/').next().unwrap()].clone();
        }
        schema["properties"].as_object().unwrap().clone()
    }

    #[test]
    fn times_are_exactly_the_members_that_the_schemas_call_times() {
        for kind in KINDS.iter().filter(|kind| kind.prefix != "contents") {
            for (name, schema) in members(kind) {
                let is_time = schema["format"] == "date-time";
                assert_eq!(Native::of_text(&name) == Native::Time, is_time, "{}.{name}", kind.prefix);
            }
        }
    }

    #[test]
    fn indexed_members_are_there_and_may_be_looked_at() {
        for kind in KINDS {
            let blank = (kind.decode)(json!({})).unwrap().to_json();
            for member in kind.indexes() {
                assert!(
                    blank.get(member).is_some_and(|value| !value.is_object()),
                    "{}.{member}",
                    kind.prefix
                );
                assert!(!kind.hidden.contains(&member), "{}.{member}", kind.prefix);
            }
            let mut indexes: Vec<_> = kind.indexes().collect();
            indexes.sort_unstable();
            indexes.dedup();
            assert_eq!(indexes.len(), kind.indexes().count(), "{}", kind.prefix);
        }
    }
}
