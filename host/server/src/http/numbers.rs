//! Whole numbers in bodies that are too long for 64 bits. JSON has them, and reading would make other numbers of them without
//! a word: they are refused.

/// The digits of the shortest number that may be too long.
const DIGITS: usize = 19;

/// Returns the first whole number in a JSON text that 64 bits cannot hold, and where it begins, in bytes.
pub(super) fn oversized(text: &[u8]) -> Option<(usize, &str)> {
    // Nearly all texts are done with here: a run of so many digits covers one of these places.
    let mut places = (DIGITS - 1..text.len()).step_by(DIGITS);
    if !places.any(|place| has_run(text, place)) {
        return None;
    }
    let (mut place, mut is_text) = (0, false);
    while let Some(byte) = text.get(place) {
        match byte {
            b'\\' if is_text => place += 1,
            b'"' => is_text = !is_text,
            b'-' | b'0'..=b'9' if !is_text => {
                let number = number_at(text, place);
                let is_whole = !number.contains(['.', 'e', 'E']);
                if is_whole && number.parse::<u64>().is_err() && number.parse::<i64>().is_err() {
                    return Some((place, number));
                }
                place += number.len().max(1) - 1;
            }
            _ => {}
        }
        place += 1;
    }
    None
}

/// Tells whether a place is in a run of digits that is long enough.
fn has_run(text: &[u8], place: usize) -> bool {
    let (before, behind) = text.split_at_checked(place).unwrap_or_default();
    let behind = behind.iter().take_while(|byte| byte.is_ascii_digit()).take(DIGITS).count();
    let before = || before.iter().rev().take_while(|byte| byte.is_ascii_digit()).take(DIGITS).count();
    behind > 0 && behind + before() >= DIGITS
}

/// Returns the number that begins at a place.
fn number_at(text: &[u8], place: usize) -> &str {
    let text = text.get(place..).unwrap_or_default();
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    let length = text.iter().take_while(|byte| is_part(byte)).count();
    text.get(..length).and_then(|number| std::str::from_utf8(number).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_number_beyond_64_bits_is_found_wherever_it_stands() {
        for number in ["18446744073709551616", "-9223372036854775809", "123456789012345678901234567890"] {
            for before in 0..40 {
                let text = format!("{{\"{}\": [1, {number}]}}", "x".repeat(before));
                assert_eq!(oversized(text.as_bytes()), Some((before + 9, number)), "{text}");
            }
            assert_eq!(oversized(number.as_bytes()), Some((0, number)));
        }
    }

    #[test]
    fn numbers_that_fit_fractions_and_texts_are_none() {
        for text in [
            "18446744073709551615",
            "-9223372036854775808",
            "1234567890123456789012.5",
            "123456789012345678901e5",
            "0.12345678901234567890123",
            r#""123456789012345678901234567890""#,
            r#"{"a\"": "\\", "b": "123456789012345678901234567890\"", "12345678901234567890123": 1}"#,
            "",
        ] {
            assert_eq!(oversized(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn number_is_found_when_and_only_when_reading_would_change_it(
            digits in "-?[1-9][0-9]{0,24}", before in "[a-z]{0,30}",
        ) {
            let text = format!("{{\"{before}\":{digits}}}");
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            let written = serde_json::to_string(&read[before.as_str()]).unwrap();
            prop_assert_eq!(oversized(text.as_bytes()).is_none(), written == digits);
        }
    }
}
