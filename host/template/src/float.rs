//! Floating-point numbers as text, as Go's `strconv.FormatFloat` writes them.

/// The exponent from which the shortest form has one.
const SHORTEST: i32 = 6;

/// Decimal digits without a dot, and the power of ten of the first one.
struct Digits {
    digits: String,
    exponent: i32,
}

/// Formats the absolute value of `number`. `verb` is one of `e E f F g G`; `precision` `None` takes the fewest digits
/// that read back as the same number.
pub(crate) fn format(number: f64, verb: char, precision: Option<usize>) -> String {
    let number = number.abs();
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return "Inf".to_owned();
    }
    let text = match verb.to_ascii_lowercase() {
        'e' => exponential(&digits(number, precision), precision),
        'f' => precision.map_or_else(|| format!("{number}"), |precision| format!("{number:.precision$}")),
        _ => general(number, precision),
    };
    if verb.is_ascii_uppercase() { text.to_ascii_uppercase() } else { text }
}

/// Gives `digits` a dot, and with `g` the zeros that the shortest form leaves out, as the flag `#` wants.
pub(crate) fn with_dot(digits: &str, verb: char, precision: Option<usize>) -> String {
    let at = digits.find(['e', 'E']).unwrap_or(digits.len());
    let (number, exponent) = digits.split_at_checked(at).unwrap_or((digits, ""));
    let dot = if number.contains('.') { "" } else { "." };
    let significant = number.trim_start_matches(['0', '.']).bytes().filter(u8::is_ascii_digit).count();
    let zeros = match verb {
        'g' | 'G' => precision.unwrap_or(6).max(1).saturating_sub(significant.max(1)),
        _ => 0,
    };
    format!("{number}{dot}{}{exponent}", "0".repeat(zeros))
}

fn general(number: f64, precision: Option<usize>) -> String {
    let precision = precision.map(|precision| precision.max(1));
    let mut parts = digits(number, precision.map(|precision| precision - 1));
    let kept = parts.digits.trim_end_matches('0').len().max(1);
    let total = parts.digits.len();
    parts.digits.truncate(kept);
    let limit = match precision {
        None => SHORTEST,
        Some(precision) => {
            let precision = i32::try_from(precision).unwrap_or(i32::MAX);
            let count = i32::try_from(total).unwrap_or(i32::MAX);
            let shown = i32::try_from(kept).unwrap_or(i32::MAX);
            if precision > count && count > parts.exponent {
                shown.max(parts.exponent + 1)
            } else {
                precision
            }
        }
    };
    if parts.exponent < -4 || parts.exponent >= limit { exponential(&parts, None) } else { fixed(&parts) }
}

fn digits(number: f64, precision: Option<usize>) -> Digits {
    let text = precision.map_or_else(|| format!("{number:e}"), |precision| format!("{number:.precision$e}"));
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    Digits { digits: mantissa.replace('.', ""), exponent: exponent.parse().unwrap_or(0) }
}

fn exponential(parts: &Digits, precision: Option<usize>) -> String {
    let (first, rest) = parts.digits.split_at_checked(1).unwrap_or(("0", ""));
    let dot = if rest.is_empty() || precision == Some(0) { "" } else { "." };
    let sign = if parts.exponent < 0 { '-' } else { '+' };
    format!("{first}{dot}{rest}e{sign}{:02}", parts.exponent.abs())
}

fn fixed(parts: &Digits) -> String {
    let Ok(whole) = usize::try_from(parts.exponent + 1) else {
        let zeros = usize::try_from(-parts.exponent - 1).unwrap_or(0);
        return format!("0.{}{}", "0".repeat(zeros), parts.digits);
    };
    if whole == 0 {
        return format!("0.{}", parts.digits);
    }
    match parts.digits.split_at_checked(whole) {
        Some((before, "")) => before.to_owned(),
        Some((before, after)) => format!("{before}.{after}"),
        None => format!("{}{}", parts.digits, "0".repeat(whole - parts.digits.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::format;

    #[test]
    fn shortest_form_changes_to_an_exponent_where_go_does() {
        for (number, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (1e6, "1e+06"),
            (123_456_789.0, "1.23456789e+08"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (100_000.0, "100000"),
            (1e20, "1e+20"),
        ] {
            assert_eq!(format(number, 'g', None), text);
        }
    }

    #[test]
    fn precision_counts_as_in_go() {
        assert_eq!(format(1.0 / 3.0, 'g', Some(3)), "0.333");
        assert_eq!(format(1234.5, 'g', Some(2)), "1.2e+03");
        assert_eq!(format(100.0, 'g', Some(3)), "100");
        assert_eq!(format(1234.5, 'e', Some(2)), "1.23e+03");
        assert_eq!(format(2.5, 'f', Some(0)), "2");
        assert_eq!(format(0.0, 'e', Some(6)), "0.000000e+00");
    }
}
