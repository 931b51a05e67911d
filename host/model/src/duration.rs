//! Durations as people write them (drp-api.md 3.5).

use std::time::Duration;

/// What `never` stands for: 100 years.
pub const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Reads a number, with a fraction or not, and a unit: `ns us ms s m h d w mo y`, or a longer word that begins with one.
/// Without a unit the number counts `default`s. `never` is 100 years, and nothing is longer.
///
/// Returns `None` for anything else.
#[must_use]
pub fn parse_duration(text: &str, default: Duration) -> Option<Duration> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("never") {
        return Some(NEVER);
    }
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split)?;
    let number: f64 = number.parse().ok()?;
    let day = 86_400.0;
    let seconds = match unit.trim() {
        "" => default.as_secs_f64(),
        unit if unit.starts_with("ns") => 1e-9,
        unit if unit.starts_with("us") => 1e-6,
        unit if unit.starts_with("ms") => 1e-3,
        unit if unit.starts_with("mo") => 30.0 * day,
        unit if unit.starts_with('s') => 1.0,
        unit if unit.starts_with('m') => 60.0,
        unit if unit.starts_with('h') => 3600.0,
        unit if unit.starts_with('d') => day,
        unit if unit.starts_with('w') => 7.0 * day,
        unit if unit.starts_with('y') => 365.0 * day,
        _ => return None,
    };
    Some(Duration::try_from_secs_f64(number * seconds).unwrap_or(NEVER).min(NEVER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_and_unit_make_a_duration() {
        let seconds =
            |text| parse_duration(text, Duration::from_secs(1)).map(|duration| duration.as_secs_f64());
        for (text, expected) in [
            ("90", 90.0),
            ("1.5m", 90.0),
            ("10 minutes", 600.0),
            ("2hours", 7200.0),
            ("3d", 259_200.0),
            ("1w", 604_800.0),
            ("2mo", 5_184_000.0),
            ("1y", 31_536_000.0),
            ("250ms", 0.25),
            ("0s", 0.0),
            ("never", NEVER.as_secs_f64()),
            ("1e", f64::NAN),
            ("99999999999999y", NEVER.as_secs_f64()),
        ] {
            assert_eq!(seconds(text).unwrap_or(f64::NAN).to_bits(), expected.to_bits(), "{text}");
        }
        for text in ["", "m", "-1s", "1.2.3s", "5 parsecs", "1 fortnight"] {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert_eq!(parse_duration("2", Duration::from_secs(60)), Some(Duration::from_secs(120)));
    }
}
