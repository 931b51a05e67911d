//! Floating-point numbers as text, as Go's `strconv.FormatFloat` writes them.

/// The exponent from which the shortest form has one.
const SHORTEST: i32 = 6;

/// No number has more decimal digits than this behind its dot, nor in all; what is asked beyond are zeros. Formatting with
/// a precision of 65,536 or more panics.
const EXACT: usize = 1100;

/// Decimal digits without a dot, and the power of ten of the first one.
struct Digits {
    digits: String,
    exponent: i32,
}

/// Formats the absolute value of `number`. `verb` is one of `e E f F g G x X b`; `precision` `None` takes the fewest digits
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
        'f' => precision.map_or_else(
            || format!("{number}"),
            |precision| {
                let (exact, zeros) = split(precision);
                format!("{number:.exact$}{zeros}")
            },
        ),
        'x' => hexadecimal(number, precision),
        'b' => {
            let (mantissa, exponent) = parts(number);
            format!("{mantissa}p{exponent:+}")
        }
        _ => general(number, precision),
    };
    if verb.is_ascii_uppercase() { text.to_ascii_uppercase() } else { text }
}

/// Gives `digits` a dot, and with `g` the zeros that the shortest form leaves out, as the flag `#` wants.
pub(crate) fn with_dot(digits: &str, verb: char, precision: Option<usize>) -> String {
    let hexadecimal = matches!(verb, 'x' | 'X');
    let at = digits.find(if hexadecimal { ['p', 'P'] } else { ['e', 'E'] }).unwrap_or(digits.len());
    let (number, exponent) = digits.split_at_checked(at).unwrap_or((digits, ""));
    let dot = if number.contains('.') { "" } else { "." };
    let counted = number.trim_start_matches(['0', '.', 'x', 'X']);
    let significant = counted.bytes().filter(u8::is_ascii_hexdigit).count();
    let zeros = match verb {
        // Go counts the `x` as a digit, and forgets the upper case.
        'x' => precision.unwrap_or(6).saturating_sub(significant + 1),
        'g' | 'G' => precision.unwrap_or(6).max(1).saturating_sub(significant.max(1)),
        _ => 0,
    };
    format!("{number}{dot}{}{exponent}", "0".repeat(zeros))
}

/// Returns mantissa and exponent of two, the mantissa a whole number.
fn parts(number: f64) -> (u64, i64) {
    let bits = number.to_bits();
    let (fraction, exponent) = (bits & ((1 << 52) - 1), i64::from((bits >> 52) as u16 & 0x7ff));
    if exponent == 0 { (fraction, 1 - 1075) } else { (fraction | 1 << 52, exponent - 1075) }
}

/// Formats as `0x1.8p+00`.
fn hexadecimal(number: f64, precision: Option<usize>) -> String {
    let (mut mantissa, mut exponent) = parts(number);
    if mantissa == 0 {
        exponent = 0;
    } else {
        // The first digit to bit 60, fifteen more below it.
        exponent += 60;
        let shift = mantissa.leading_zeros().saturating_sub(3);
        mantissa <<= shift;
        exponent -= i64::from(shift);
    }
    if let Some(kept) = precision.filter(|kept| *kept < 15) {
        let dropped = 60 - 4 * kept;
        let rest = mantissa & ((1 << dropped) - 1);
        mantissa >>= dropped;
        let half = 1 << (dropped - 1);
        if rest > half || rest == half && mantissa & 1 == 1 {
            mantissa += 1;
        }
        mantissa <<= dropped;
        if mantissa >> 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let digits = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let digits = match precision {
        None => digits.trim_end_matches('0').to_owned(),
        Some(kept) if kept < 15 => digits.get(..kept).unwrap_or_default().to_owned(),
        Some(kept) => digits + &"0".repeat(kept - 15),
    };
    let dot = if digits.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("0x{}{dot}{digits}p{sign}{:02}", mantissa >> 60, exponent.abs())
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

/// Splits a precision into what makes a difference, and the zeros for the rest.
fn split(precision: usize) -> (usize, String) {
    (precision.min(EXACT), "0".repeat(precision.saturating_sub(EXACT)))
}

fn digits(number: f64, precision: Option<usize>) -> Digits {
    let (exact, zeros) = precision.map_or((None, String::new()), |precision| {
        let (exact, zeros) = split(precision);
        (Some(exact), zeros)
    });
    let text = exact.map_or_else(|| format!("{number:e}"), |exact| format!("{number:.exact$e}"));
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    Digits { digits: mantissa.replace('.', "") + &zeros, exponent: exponent.parse().unwrap_or(0) }
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
