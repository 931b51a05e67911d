//! The form of sealed values, in which secure params travel and rest (drp-api.md 6.3; drp-behaviour.md 1.6).

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// The bytes of a Curve25519 key.
pub const KEY_BYTES: usize = 32;

/// The bytes of the nonce of XSalsa20.
pub const NONCE_BYTES: usize = 24;

/// How many bytes a payload is longer than what is in it: the tag of Poly1305.
pub const TAG_BYTES: usize = 16;

/// The members of a sealed value.
const MEMBERS: [&str; 3] = ["Key", "Nonce", "Payload"];

/// A value in a NaCl box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The public key that the writer made for this one value.
    pub key: [u8; KEY_BYTES],
    /// The nonce.
    pub nonce: [u8; NONCE_BYTES],
    /// The tag and the encrypted JSON of the value; at least [`TAG_BYTES`].
    pub payload: Vec<u8>,
}

impl Sealed {
    /// Returns the value in the form of the API.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "Key": STANDARD.encode(self.key),
            "Nonce": STANDARD.encode(self.nonce),
            "Payload": STANDARD.encode(&self.payload),
        })
    }
}

/// What the value of a secure param is by its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// It is in the clear.
    Clear,
    /// It is sealed.
    Sealed(Sealed),
    /// It has the members of a sealed value, and a length is wrong; which one.
    Malformed(&'static str),
}

impl Shape {
    /// Recognises a sealed value: exactly the three members, all of them texts.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        let Some(members) = value.as_object().filter(|members| members.len() == MEMBERS.len()) else {
            return Self::Clear;
        };
        let [Some(key), Some(nonce), Some(payload)] =
            MEMBERS.map(|name| members.get(name).and_then(Value::as_str))
        else {
            return Self::Clear;
        };
        let Some(key) = bytes(key) else { return Self::Malformed("key must be 32 bytes") };
        let Some(nonce) = bytes(nonce) else { return Self::Malformed("nonce must be 24 bytes") };
        match STANDARD.decode(payload) {
            Ok(payload) if payload.len() >= TAG_BYTES => Self::Sealed(Sealed { key, nonce, payload }),
            _ => Self::Malformed("corrupt"),
        }
    }
}

fn bytes<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(key: usize, nonce: usize, payload: usize) -> Value {
        let text = |length| STANDARD.encode(vec![7; length]);
        json!({"Key": text(key), "Nonce": text(nonce), "Payload": text(payload)})
    }

    #[test]
    fn sealed_value_is_recognised_by_its_lengths_and_comes_back_as_it_was() {
        for payload in [16, 17, 4096] {
            let value = value(32, 24, payload);
            let Shape::Sealed(sealed) = Shape::of(&value) else { panic!("{value}") };
            assert_eq!(sealed.to_json(), value);
        }
    }

    #[test]
    fn wrong_lengths_are_told_in_the_documented_words() {
        let cases = [
            (value(31, 24, 16), "key must be 32 bytes"),
            (value(33, 24, 16), "key must be 32 bytes"),
            (value(0, 0, 0), "key must be 32 bytes"),
            (value(32, 23, 16), "nonce must be 24 bytes"),
            (value(32, 25, 15), "nonce must be 24 bytes"),
            (value(32, 24, 15), "corrupt"),
            (value(32, 24, 0), "corrupt"),
            (json!({"Key": "no base64!", "Nonce": "", "Payload": ""}), "key must be 32 bytes"),
        ];
        for (value, words) in cases {
            assert_eq!(Shape::of(&value), Shape::Malformed(words), "{value}");
        }
    }

    #[test]
    fn everything_else_is_clear() {
        let mut more = value(32, 24, 16);
        more["More"] = json!(1);
        let mut number = value(32, 24, 16);
        number["Nonce"] = json!(1);
        for value in
            [more, number, json!({"Key": "a"}), json!("text"), json!([1, 2, 3]), json!({}), Value::Null]
        {
            assert_eq!(Shape::of(&value), Shape::Clear, "{value}");
        }
    }
}
