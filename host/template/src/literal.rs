//! Numbers, characters and quoted text in templates, as Go reads them.

use crate::ast::Number;

/// Reads a number: decimal, `0x`, `0o`, `0b`, a leading zero for octal, underscores, fractions and exponents.
/// Imaginary numbers are not known.
pub(crate) fn number(text: &str) -> Option<Number> {
    if !underscores_fit(text) {
        return None;
    }
    let plain = text.replace('_', "");
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let lower = digits.to_ascii_lowercase();
    let sign = if negative { "-" } else { "" };
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(rest) = lower.strip_prefix(prefix) {
            let whole =
                i64::from_str_radix(&format!("{sign}{rest}"), radix).ok().filter(|_| starts_plain(rest));
            let float = || hexadecimal_float(rest).filter(|_| radix == 16);
            return whole
                .map(Number::Int)
                .or_else(|| float().map(|value| Number::Float(if negative { -value } else { value })));
        }
    }
    if !lower.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    if lower.contains(['.', 'e']) {
        return plain.parse().ok().filter(|value: &f64| value.is_finite()).map(Number::Float);
    }
    let octal = lower.len() > 1 && lower.starts_with('0');
    i64::from_str_radix(&format!("{sign}{lower}"), if octal { 8 } else { 10 }).ok().map(Number::Int)
}

/// Returns whether every underscore stands between digits, or between the prefix and a digit.
fn underscores_fit(text: &str) -> bool {
    !text.ends_with('_') && !text.contains("__") && !text.trim_start_matches(['+', '-']).starts_with('_') && {
        let bytes = text.as_bytes();
        bytes.windows(3).all(|window| match window {
            [before, b'_', after] => {
                before.is_ascii_alphanumeric() && after.is_ascii_hexdigit() && !matches!(before, b'p' | b'P')
            }
            _ => true,
        })
    }
}

fn starts_plain(digits: &str) -> bool {
    !digits.starts_with(['+', '-'])
}

/// Reads the part of a hexadecimal float behind `0x`, in lower case; the exponent must be there.
fn hexadecimal_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0_f64;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let shift = i32::try_from(fraction.len()).ok()?.checked_mul(4)?;
    let value = value * 2.0_f64.powi(exponent.checked_sub(shift)?);
    value.is_finite().then_some(value)
}

/// Reads a floating-point number as Go's `strconv.ParseFloat` does.
pub(crate) fn float(text: &str) -> Option<f64> {
    if !underscores_fit(text) {
        return None;
    }
    let plain = text.replace('_', "").to_ascii_lowercase();
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    match digits.strip_prefix("0x") {
        Some(digits) => hexadecimal_float(digits).map(|value| sign * value),
        // What is too large for a number is none; infinity has a name.
        None => plain.parse().ok().filter(|value: &f64| !value.is_infinite() || digits.starts_with('i')),
    }
}

/// Reads text in double quotes, quotes included. Bytes that are not UTF-8 in the end become U+FFFD.
pub(crate) fn quoted(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    unescaped(inner, '"')
}

/// Reads a character in single quotes, quotes included.
pub(crate) fn character(text: &str) -> Option<i64> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    if let Some(code) = inner.strip_prefix("\\x").filter(|code| code.len() == 2) {
        return i64::from_str_radix(code, 16).ok();
    }
    let value = unescaped(inner, '\'')?;
    let mut characters = value.chars();
    match (characters.next(), characters.next()) {
        (Some(only), None) => Some(i64::from(u32::from(only))),
        _ => None,
    }
}

fn unescaped(text: &str, mark: char) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        rest = escape(after, mark, &mut bytes)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads what follows a backslash and returns what follows that.
fn escape<'t>(text: &'t str, mark: char, bytes: &mut Vec<u8>) -> Option<&'t str> {
    let first = text.chars().next()?;
    let rest = text.get(first.len_utf8()..)?;
    let simple = match first {
        'a' => 7,
        'b' => 8,
        't' => b'\t',
        'n' => b'\n',
        'v' => 11,
        'f' => 12,
        'r' => b'\r',
        '\\' => b'\\',
        _ if first == mark => u8::try_from(first).ok()?,
        'x' => return code(rest, 2, 16, |value| bytes.extend(u8::try_from(value))),
        '0'..='7' => {
            let value = u32::from_str_radix(text.get(..3)?, 8).ok()?;
            bytes.push(u8::try_from(value).ok()?);
            return text.get(3..);
        }
        'u' | 'U' => {
            let length = if first == 'u' { 4 } else { 8 };
            let mut known = false;
            let rest = code(rest, length, 16, |value| {
                if let Some(character) = char::from_u32(value) {
                    known = true;
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
            });
            return rest.filter(|_| known);
        }
        _ => return None,
    };
    bytes.push(simple);
    Some(rest)
}

fn code(text: &str, length: usize, radix: u32, take: impl FnOnce(u32)) -> Option<&str> {
    let digits = text.get(..length).filter(|digits| starts_plain(digits))?;
    take(u32::from_str_radix(digits, radix).ok()?);
    text.get(length..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_in_go() {
        let int = |text: &str| number(text) == number(text).filter(|n| matches!(n, Number::Int(_)));
        assert!(int("12"));
        for (text, value) in [
            ("12", Some(Number::Int(12))),
            ("-7", Some(Number::Int(-7))),
            ("+7", Some(Number::Int(7))),
            ("0x1F", Some(Number::Int(31))),
            ("0b101", Some(Number::Int(5))),
            ("0o17", Some(Number::Int(15))),
            ("017", Some(Number::Int(15))),
            ("09", None),
            ("1_000", Some(Number::Int(1000))),
            ("1e3", Some(Number::Float(1000.0))),
            (".5", Some(Number::Float(0.5))),
            ("1.", Some(Number::Float(1.0))),
            ("0x1p-2", Some(Number::Float(0.25))),
            ("-9223372036854775808", Some(Number::Int(i64::MIN))),
            ("9223372036854775808", None),
            ("1__0", None),
            ("1_", None),
            ("-", None),
            ("0x", None),
            ("0x-1", None),
            ("1e999", None),
        ] {
            assert_eq!(number(text), value, "{text}");
        }
    }

    #[test]
    fn escapes_read_as_in_go() {
        assert_eq!(quoted(r#""a\tb\x41\101\u00e4\U0001F600\"""#).as_deref(), Some("a\tbAA\u{e4}\u{1f600}\""));
        assert_eq!(quoted(r#""\q""#), None);
        assert_eq!(quoted(r#""\x4""#), None);
        assert_eq!(quoted(r#""\ud800""#), None);
        assert_eq!(quoted(r#""\'""#), None);
        assert_eq!(character(r"'\n'"), Some(10));
        assert_eq!(character(r"'\xff'"), Some(255));
        assert_eq!(character("'ab'"), None);
    }
}
