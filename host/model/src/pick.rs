//! Takes single members out of something that serde can write, without writing the rest.
//!
//! Filters, sorts and indexes look at few members of many objects; writing an object whole only to look at one member of it
//! is most of what a list would cost.

use std::fmt::{self, Display};

use serde::{
    Serialize, Serializer,
    ser::{self, Impossible, SerializeMap, SerializeStruct},
};
use serde_json::Value;

/// Calls `found` with the members that have one of the names, and the place of the name, of something that is written as a
/// map or a struct.
pub(crate) fn pick(value: &impl Serialize, names: &[&str], found: &mut dyn FnMut(usize, Value)) {
    // All that can come back is that the rest need not be looked at.
    let _ = value.serialize(Top { names, found });
}

/// Why writing ended before the end.
#[derive(Debug)]
enum End {
    /// All members were met.
    Found,
    /// Something cannot be written.
    Failed,
    /// It is neither a map nor a struct.
    Other,
}

impl Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Found => "all members were found",
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

/// Meets the object itself.
struct Top<'a> {
    names: &'a [&'a str],
    found: &'a mut dyn FnMut(usize, Value),
}

/// Meets the members of the object.
struct Members<'a> {
    top: Top<'a>,
    /// How many names are still looked for.
    left: usize,
    /// The place of the name that was written last.
    here: Option<usize>,
}

impl<'a> Top<'a> {
    fn members(self) -> Members<'a> {
        Members { left: self.names.len(), top: self, here: None }
    }
}

impl Members<'_> {
    fn meet(&mut self, place: usize, member: &(impl Serialize + ?Sized)) -> Result<(), End> {
        (self.top.found)(place, serde_json::to_value(member).map_err(|_| End::Failed)?);
        self.left = self.left.saturating_sub(1);
        if self.left == 0 { Err(End::Found) } else { Ok(()) }
    }
}

impl SerializeStruct for Members<'_> {
    type Ok = ();
    type Error = End;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), End> {
        match self.top.names.iter().position(|name| *name == key) {
            Some(place) => self.meet(place, value),
            None => Ok(()),
        }
    }

    fn end(self) -> Result<(), End> {
        Ok(())
    }
}

impl SerializeMap for Members<'_> {
    type Ok = ();
    type Error = End;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), End> {
        self.here = key.serialize(PlaceOf(self.top.names))?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), End> {
        self.here.map_or(Ok(()), |place| self.meet(place, value))
    }

    fn end(self) -> Result<(), End> {
        Ok(())
    }
}

/// Finds a key among the names looked for.
struct PlaceOf<'a>(&'a [&'a str]);

impl PlaceOf<'_> {
    fn of(&self, key: &str) -> Option<usize> {
        self.0.iter().position(|name| *name == key)
    }
}

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
        Ok(self.members())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members<'a>, End> {
        Ok(self.members())
    }
}

impl Serializer for PlaceOf<'_> {
    type Ok = Option<usize>;
    type SerializeMap = Impossible<Option<usize>, End>;
    type SerializeStruct = Impossible<Option<usize>, End>;

    nothing_else!();

    fn serialize_char(self, key: char) -> Result<Self::Ok, End> {
        let mut buffer = [0; 4];
        Ok(self.of(key.encode_utf8(&mut buffer)))
    }

    fn serialize_str(self, key: &str) -> Result<Self::Ok, End> {
        Ok(self.of(key))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, key: &'static str) -> Result<Self::Ok, End> {
        Ok(self.of(key))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Self::Ok, End> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Self::Ok, End> {
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
        fn picked(value: &impl Serialize, names: &[&str]) -> Vec<(usize, Value)> {
            let mut found = Vec::new();
            pick(value, names, &mut |place, value| found.push((place, value)));
            found
        }
        assert_eq!(picked(&json!([1]), &["a"]), []);
        assert_eq!(picked(&"a", &["a"]), []);
        assert_eq!(picked(&Some(json!({"a": null})), &["a"]), [(0, Value::Null)]);
        assert_eq!(picked(&BTreeMap::from([(1, 2)]), &["1"]), []);
        let several = json!({"c": 1, "a": 2, "d": 3, "b": 4});
        assert_eq!(picked(&several, &["a", "x", "c"]), [(2, json!(1)), (0, json!(2))]);
    }
}
