//! Writes something that serde can write as JSON text, member by member: some as they are, some otherwise, some not.

use serde::{
    Serialize, Serializer,
    ser::{Impossible, SerializeMap, SerializeStruct},
};

use super::End;

/// What becomes of a member of an object that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It is written as it is.
    Keep,
    /// It is left out, and costs nothing.
    Skip,
    /// This JSON text stands in its place.
    Instead(String),
}

/// Writes the members of a map or a struct as `choose` wants each, by its name; `null` of anything else.
pub(crate) fn write(value: &impl Serialize, out: &mut Vec<u8>, choose: &mut dyn FnMut(&str) -> Choice) {
    let start = out.len();
    if value.serialize(Writer { out: &mut *out, choose }).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

/// Meets the object itself.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    choose: &'a mut dyn FnMut(&str) -> Choice,
}

/// Meets the members of the object.
struct Members<'a> {
    writer: Writer<'a>,
    is_first: bool,
    chosen: Choice,
}

impl<'a> Writer<'a> {
    fn members(self) -> Members<'a> {
        self.out.push(b'{');
        Members { writer: self, is_first: true, chosen: Choice::Keep }
    }
}

impl Members<'_> {
    /// Writes a name when its member is, and remembers what becomes of the member.
    fn name(&mut self, name: &str) -> Result<(), End> {
        self.chosen = (self.writer.choose)(name);
        if self.chosen == Choice::Skip {
            return Ok(());
        }
        let out = &mut *self.writer.out;
        if !self.is_first {
            out.push(b',');
        }
        self.is_first = false;
        if name.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
            serde_json::to_writer(&mut *out, name).map_err(|_| End::Failed)?;
        } else {
            out.push(b'"');
            out.extend_from_slice(name.as_bytes());
            out.push(b'"');
        }
        out.push(b':');
        Ok(())
    }

    fn value(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), End> {
        match &self.chosen {
            Choice::Keep => serde_json::to_writer(&mut *self.writer.out, value).map_err(|_| End::Failed),
            Choice::Skip => Ok(()),
            Choice::Instead(text) => {
                self.writer.out.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
    }
}

impl SerializeStruct for Members<'_> {
    type Ok = ();
    type Error = End;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), End> {
        self.name(key)?;
        self.value(value)
    }

    fn end(self) -> Result<(), End> {
        self.writer.out.push(b'}');
        Ok(())
    }
}

impl SerializeMap for Members<'_> {
    type Ok = ();
    type Error = End;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), End> {
        key.serialize(Name(self))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), End> {
        self.value(value)
    }

    fn end(self) -> Result<(), End> {
        self.writer.out.push(b'}');
        Ok(())
    }
}

/// Meets the name of a member.
struct Name<'a, 'b>(&'a mut Members<'b>);

impl Serializer for Name<'_, '_> {
    type Ok = ();
    type SerializeMap = Impossible<(), End>;
    type SerializeStruct = Impossible<(), End>;

    nothing_else!();
    nothing_of! { serialize_unit_variant(&'static str, u32, &'static str); }

    fn serialize_char(self, name: char) -> Result<(), End> {
        self.0.name(name.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, name: &str) -> Result<(), End> {
        self.0.name(name)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), End> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), End> {
        value.serialize(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, End> {
        Err(End::Other)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, End> {
        Err(End::Other)
    }
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type SerializeMap = Members<'a>;
    type SerializeStruct = Members<'a>;

    nothing_else!();
    nothing_of! { serialize_char(char); serialize_str(&str); serialize_unit_variant(&'static str, u32, &'static str); }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), End> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), End> {
        value.serialize(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members<'a>, End> {
        Ok(self.members())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members<'a>, End> {
        Ok(self.members())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::KINDS;

    #[test]
    fn object_that_is_written_whole_is_its_json() {
        for kind in KINDS {
            let object = (kind.decode)(json!({})).unwrap();
            let mut out = Vec::new();
            object.write(&mut out, &mut |_| Choice::Keep);
            let written: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(written, object.to_json(), "{}", kind.prefix);
        }
    }

    #[test]
    fn each_member_is_kept_left_out_or_replaced() {
        let machine = crate::kind_of("machines").unwrap().decode;
        let machine = machine(json!({"Name": "a\"b", "Params": {"x": 1}, "Meta": {"icon": "y"}})).unwrap();
        let mut out = Vec::new();
        machine.write(&mut out, &mut |name| match name {
            "Name" | "Meta" => Choice::Keep,
            "Params" => Choice::Instead(String::from("[]")),
            _ => Choice::Skip,
        });
        let written: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(written, json!({"Name": "a\"b", "Params": [], "Meta": {"icon": "y"}}));
        out.clear();
        machine.write(&mut out, &mut |_| Choice::Skip);
        assert_eq!(out, b"{}");
    }

    #[test]
    fn names_are_escaped_as_texts_are() {
        let value = json!({"a\"b\\": 1, "\n\u{e9}": {"c": null}});
        let mut out = Vec::new();
        write(&value, &mut out, &mut |_| Choice::Keep);
        assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
    }

    #[test]
    fn what_has_no_members_is_null() {
        let mut out = b"[".to_vec();
        write(&3, &mut out, &mut |_| Choice::Keep);
        assert_eq!(out, b"[null");
    }
}
