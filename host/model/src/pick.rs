//! Takes one member out of something that serde can write, without writing the rest.
//!
//! Filters and sorts look at one member of many objects; writing an object whole only to look at one member of it is most
//! of what a list would cost.

use std::fmt::{self, Display};

use serde::{
    Serialize, Serializer,
    ser::{self, Impossible, SerializeMap, SerializeStruct},
};
use serde_json::Value;

/// Returns the member with a name of something that is written as a map or a struct.
pub(crate) fn pick(value: &impl Serialize, name: &str) -> Option<Value> {
    match value.serialize(Top { name }) {
        Err(End::Found(member)) => Some(*member),
        Ok(()) | Err(End::Failed | End::Other) => None,
    }
}

/// Why writing ended before the end.
#[derive(Debug)]
enum End {
    /// The member was met.
    Found(Box<Value>),
    /// Something cannot be written.
    Failed,
    /// It is neither a map nor a struct.
    Other,
}

impl Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Found(_) => "the member was found",
            Self::Failed => "a member cannot be written",
            Self::Other => "it has no members",
        })
    }
}

impl std::error::Error for End {}

impl ser::Error for End {
    fn custom<T: Display>(_: T) -> Self {
        Self::Failed
    }
}

/// Ends with the value of a member.
fn found(member: &(impl Serialize + ?Sized)) -> Result<(), End> {
    Err(serde_json::to_value(member).map_or(End::Failed, |value| End::Found(Box::new(value))))
}

/// Meets the object itself.
struct Top<'a> {
    name: &'a str,
}

/// Meets the members of the object.
struct Members<'a> {
    name: &'a str,
    /// True when the key that was written last is the one looked for.
    here: bool,
}

impl SerializeStruct for Members<'_> {
    type Ok = ();
    type Error = End;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), End> {
        if key == self.name { found(value) } else { Ok(()) }
    }

    fn end(self) -> Result<(), End> {
        Ok(())
    }
}

impl SerializeMap for Members<'_> {
    type Ok = ();
    type Error = End;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), End> {
        self.here = key.serialize(KeyIs(self.name))?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), End> {
        if self.here { found(value) } else { Ok(()) }
    }

    fn end(self) -> Result<(), End> {
        Ok(())
    }
}

/// Tells whether a key is the one looked for.
struct KeyIs<'a>(&'a str);

/// Writes the methods of a serializer that has nothing to say to most types.
macro_rules! nothing_of {
    ($($method:ident($($type:ty),*);)*) => {
        $(fn $method(self $(, _: $type)*) -> Result<Self::Ok, End> { Err(End::Other) })*
    };
}

/// Writes what all serializers here have in common: neither lists nor variants have members.
macro_rules! nothing_else {
    () => {
        type Error = End;
        type SerializeSeq = Impossible<Self::Ok, End>;
        type SerializeTuple = Impossible<Self::Ok, End>;
        type SerializeTupleStruct = Impossible<Self::Ok, End>;
        type SerializeTupleVariant = Impossible<Self::Ok, End>;
        type SerializeStructVariant = Impossible<Self::Ok, End>;

        nothing_of! {
            serialize_bool(bool); serialize_i8(i8); serialize_i16(i16); serialize_i32(i32); serialize_i64(i64);
            serialize_u8(u8); serialize_u16(u16); serialize_u32(u32); serialize_u64(u64); serialize_f32(f32);
            serialize_f64(f64); serialize_bytes(&[u8]); serialize_none(); serialize_unit();
            serialize_unit_struct(&'static str);
        }

        fn serialize_newtype_variant<T: Serialize + ?Sized>(
            self, _: &'static str, _: u32, _: &'static str, _: &T,
        ) -> Result<Self::Ok, End> {
            Err(End::Other)
        }

        fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, End> {
            Err(End::Other)
        }

        fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, End> {
            Err(End::Other)
        }

        fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, End> {
            Err(End::Other)
        }

        fn serialize_tuple_variant(
            self, _: &'static str, _: u32, _: &'static str, _: usize,
        ) -> Result<Self::SerializeTupleVariant, End> {
            Err(End::Other)
        }

        fn serialize_struct_variant(
            self, _: &'static str, _: u32, _: &'static str, _: usize,
        ) -> Result<Self::SerializeStructVariant, End> {
            Err(End::Other)
        }
    };
}

mod write;

pub use self::write::Choice;
pub(crate) use self::write::write;

impl<'a> Serializer for Top<'a> {
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
        Ok(Members { name: self.name, here: false })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members<'a>, End> {
        Ok(Members { name: self.name, here: false })
    }
}

impl Serializer for KeyIs<'_> {
    type Ok = bool;
    type SerializeMap = Impossible<bool, End>;
    type SerializeStruct = Impossible<bool, End>;

    nothing_else!();

    fn serialize_char(self, key: char) -> Result<bool, End> {
        let mut buffer = [0; 4];
        Ok(*key.encode_utf8(&mut buffer) == *self.0)
    }

    fn serialize_str(self, key: &str) -> Result<bool, End> {
        Ok(key == self.0)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, key: &'static str) -> Result<bool, End> {
        Ok(key == self.0)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<bool, End> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<bool, End> {
        value.serialize(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, End> {
        Err(End::Other)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, End> {
        Err(End::Other)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;
    use crate::{Header, KINDS, Kind, Object};

    /// Returns any value of the same JSON type as a member of an empty object has.
    fn like(member: &Value) -> BoxedStrategy<Value> {
        match member {
            Value::Bool(_) => any::<bool>().prop_map(Value::from).boxed(),
            Value::Number(_) => (0_i64..10_000).prop_map(Value::from).boxed(),
            Value::String(_) => "[a-z0-9.:/-]{0,12}".prop_map(Value::from).boxed(),
            Value::Array(_) => {
                proptest::collection::vec("[a-z]{0,6}", 0..4).prop_map(|items| json!(items)).boxed()
            }
            Value::Object(_) => {
                let items = proptest::collection::btree_map("[A-Za-z/]{1,8}", "[a-z]{0,6}", 0..4);
                items.prop_map(|members: BTreeMap<String, String>| json!(members)).boxed()
            }
            Value::Null => Just(Value::Null).boxed(),
        }
    }

    /// Makes an object of a type from members that it takes; those that it refuses are left out.
    fn object(kind: &'static Kind) -> BoxedStrategy<std::sync::Arc<dyn Object>> {
        let blank = (kind.decode)(json!({})).unwrap().to_json();
        let members: Vec<_> = blank
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, member)| (Just(name.clone()), proptest::option::of(like(member))))
            .collect();
        let taken = move |members: Vec<(String, Option<Value>)>| {
            let mut taken = Map::new();
            for (name, member) in members.into_iter().filter_map(|(name, member)| Some((name, member?))) {
                let before = taken.insert(name.clone(), member);
                if (kind.decode)(Value::Object(taken.clone())).is_err() {
                    match before {
                        Some(before) => taken.insert(name, before),
                        None => taken.remove(&name),
                    };
                }
            }
            (kind.decode)(Value::Object(taken)).unwrap()
        };
        members.prop_map(taken).boxed()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn member_picked_from_an_object_equals_the_member_of_its_json(
            objects in KINDS.iter().map(|kind| object(kind)).collect::<Vec<_>>(),
            stranger in "[A-Za-z]{1,12}",
        ) {
            prop_assert_eq!(objects.len(), KINDS.len());
            let common = serde_json::to_value(Header::default()).unwrap();
            for object in objects {
                let json = object.to_json();
                let names = json.as_object().unwrap().keys().chain(common.as_object().unwrap().keys());
                for name in names.chain([&stranger]) {
                    let picked = object.member(name);
                    prop_assert_eq!(picked.as_ref(), json.get(name), "{}.{}", object.kind().prefix, name);
                }
            }
        }
    }

    #[test]
    fn what_has_no_members_has_none_to_pick() {
        assert_eq!(pick(&json!([1]), "a"), None);
        assert_eq!(pick(&"a", "a"), None);
        assert_eq!(pick(&Some(json!({"a": null})), "a"), Some(Value::Null));
        assert_eq!(pick(&BTreeMap::from([(1, 2)]), "1"), None);
    }
}
