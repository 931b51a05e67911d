//! Text in quotes and escapes: Go's `%q`, JSON, HTML, JavaScript and URLs.

use std::fmt::Write;

/// Quotes as Go's `strconv.Quote` does; `ascii` escapes all else.
pub(crate) fn go(text: &str, mark: char, ascii: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(mark);
    for character in text.chars() {
        match character {
            _ if character == mark || character == '\\' => {
                out.push('\\');
                out.push(character);
            }
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            ' '..='~' => out.push(character),
            _ if !ascii && is_print(character) => out.push(character),
            _ if u32::from(character) < 0x80 => {
                put(&mut out, format_args!("\\x{:02x}", u32::from(character)))
            }
            _ if u32::from(character) < 0x1_0000 => {
                put(&mut out, format_args!("\\u{:04x}", u32::from(character)));
            }
            _ => put(&mut out, format_args!("\\U{:08x}", u32::from(character))),
        }
    }
    out.push(mark);
    out
}

/// Returns whether Go would print the character as it is. Rust's own escaping knows what is printable, except that Go
/// escapes every space but U+0020.
pub(crate) fn is_print(character: char) -> bool {
    let mut escaped = character.escape_debug();
    let combining = escaped.len() > 1 && character.is_alphanumeric();
    (escaped.len() == 1 && escaped.next() == Some(character) || combining) && !character.is_whitespace()
}

/// Quotes as Go's `encoding/json` does; `html` escapes `<`, `>` and `&` as well.
pub(crate) fn json(text: &str, html: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' if html => put(&mut out, format_args!("\\u{:04x}", u32::from(character))),
            '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                put(&mut out, format_args!("\\u{:04x}", u32::from(character)));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

/// Escapes for HTML text and attributes.
pub(crate) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ => out.push(character),
        }
    }
    out
}

/// Escapes for a JavaScript string.
pub(crate) fn javascript(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => put(&mut out, format_args!("\\u{:04X}", u32::from(character))),
            '\0'..='\u{1f}' => put(&mut out, format_args!("\\u{:04X}", u32::from(character))),
            _ if u32::from(character) < 0x80 || is_print(character) => out.push(character),
            _ => put(&mut out, format_args!("\\u{:04X}", u32::from(character))),
        }
    }
    out
}

/// Escapes for the query of a URL.
pub(crate) fn query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => put(&mut out, format_args!("%{byte:02X}")),
        }
    }
    out
}

/// Writes to a text, which cannot fail.
pub(crate) fn put(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(arguments);
}
