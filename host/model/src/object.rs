//! The traits that make a type an object, and the list of all kinds.

use std::{any::Any, borrow::Cow, fmt::Debug, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Header, Native, Reference, SortKey, Span, Values,
    canonical::{canonical_numbers, strip_nulls},
    lease::hex_address,
    pick::{self, Choice, pick},
    span,
};

/// The description of one object type, from which its routes, verbs, events and documents follow.
#[derive(Debug)]
pub struct Kind {
    /// The name of the type in URLs, events and bundles.
    pub prefix: &'static str,
    /// The JSON name of the key member.
    pub key: &'static str,
    /// What one object is called in a sentence: `machine`, `boot environment`.
    pub noun: &'static str,
    /// Members besides the key whose values are unique among all objects of the type.
    pub unique: &'static [&'static str],
    /// Members beside the unique ones that a store keeps sorted: those by which large lists are filtered and sorted.
    pub indexed: &'static [&'static str],
    /// Members that are no index and that no filter may look at.
    pub hidden: &'static [&'static str],
    /// Members, beside those of [`Header::READ_ONLY`], that clients cannot write.
    pub read_only: &'static [&'static str],
    /// Members whose values are free JSON; nulls inside them are kept.
    pub opaque: &'static [&'static str],
    /// Members of [`Header`] that objects of the type do not have (drp-api.md 3.2).
    pub absent: &'static [&'static str],
    /// Text members that never leave the server: answers show them empty, and a change that leaves them out or empty
    /// keeps them (drp-api.md 2.6).
    pub private: &'static [&'static str],
    /// Where clients meet the type.
    pub surface: Surface,
    /// Which layers can hold objects of the type.
    pub layers: Layers,
    /// True when objects have parameters of their own; it follows from the record.
    pub bears_params: bool,
    /// True when an answer that leaves members out says so in `Partial` (drp-api.md 3.2).
    pub has_partial: bool,
    /// True when the key is an IPv4 address, which is written as eight hexadecimal digits (drp-api.md 3.3).
    pub address_key: bool,
    /// True when keys can have slashes in them, which arrive in URLs encoded or not.
    pub slashed_key: bool,
    /// True when POST does not store what it is sent: the type has a route of its own for it.
    pub own_create: bool,
    /// What the type is called in the names of the API's operations, many and one, where that does not follow from
    /// prefix and noun: see [`Kind::words`].
    pub operation_words: Option<(&'static str, &'static str)>,
    /// What the actions of plugins are called in URLs; nothing when there are none (drp-api.md 6.5).
    pub plugin_actions: Option<&'static str>,
    /// What claims can allow beside what they can allow for every type (drp-api.md 2.4).
    pub more_actions: &'static [&'static str],
    /// Turns JSON into an object of this type.
    pub decode: fn(Value) -> Result<Arc<dyn Object>, DecodeError>,
    /// Writes the JSON schema of the type.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// The columns that a table for people shows, by JSON name.
    pub columns: &'static [&'static str],
}

impl Kind {
    /// Describes a type that has nothing special: all members may be written and looked at, and none but the key is
    /// unique. Tables of it have no columns until they are named.
    pub(crate) const fn of<R: Record>(prefix: &'static str, key: &'static str, noun: &'static str) -> Self {
        Self {
            prefix,
            key,
            noun,
            unique: &[],
            indexed: &[],
            hidden: &[],
            read_only: &[],
            opaque: &[],
            absent: &[],
            private: &[],
            surface: Surface::Generic,
            layers: Layers::All,
            bears_params: R::BEARS_PARAMS,
            has_partial: false,
            address_key: false,
            slashed_key: false,
            own_create: false,
            operation_words: None,
            plugin_actions: Some("actions"),
            more_actions: &[],
            decode: decode::<R>,
            schema: |generator| generator.subschema_for::<R>(),
            columns: &[],
        }
    }

    /// Tells whether clients do not know the type as objects: no routes of objects, no events.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.surface == Surface::Internal
    }

    /// Returns what the type is called in the names of the API's operations, many and one: `list_boot_envs`,
    /// `get_boot_env`.
    #[must_use]
    pub fn words(&self) -> (String, String) {
        let (many, one) = match self.operation_words {
            Some((many, one)) => (many, one),
            None => (self.prefix, self.noun),
        };
        (many.to_owned(), one.to_lowercase().replace(' ', "_"))
    }

    /// Returns the key that a text in a URL means: of types with address keys, dotted and lower-case addresses become
    /// eight upper-case digits; all else stays (drp-api.md 1.5, 3.3).
    #[must_use]
    pub fn canonical_key<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.address_key {
            return Cow::Borrowed(text);
        }
        if let Some(digits) = hex_address(text) {
            return Cow::Owned(digits);
        }
        match text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => Cow::Owned(text.to_uppercase()),
            false => Cow::Borrowed(text),
        }
    }
}

/// Where clients meet a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// It has the standard routes and verbs of objects.
    Generic,
    /// It has routes of its own.
    Own,
    /// It is the endpoint's own: no routes of objects, no events.
    Internal,
}

/// Which layers can hold objects of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layers {
    /// All: packs and bundles can bring them.
    All,
    /// The writable one: no pack can bring them, but they are part of its content.
    Writable,
    /// None: they record what happens, and are part of no content that is shown.
    None,
}

impl Layers {
    /// Tells whether packs and bundles can bring objects.
    #[must_use]
    pub const fn in_packs(self) -> bool {
        matches!(self, Self::All)
    }

    /// Tells whether objects are part of the content that a layer shows.
    #[must_use]
    pub const fn in_contents(self) -> bool {
        !matches!(self, Self::None)
    }
}

/// All stored types, in the order of their prefixes.
pub static KINDS: &[&Kind] = &[
    &crate::activity::KIND,
    &crate::alert::KIND,
    &crate::batch::KIND,
    &crate::blueprint::KIND,
    &crate::bootenv::KIND,
    &crate::catalog_item::KIND,
    &crate::cluster::KIND,
    &crate::content::KIND,
    &crate::context::KIND,
    &crate::plugin_state::LETTER,
    &crate::endpoint::KIND,
    &crate::filter::KIND,
    &crate::identity_provider::KIND,
    &crate::job::KIND,
    &crate::lease::KIND,
    &crate::machine::KIND,
    &crate::plugin_state::VALUE,
    &crate::pack::KIND,
    &crate::param::KIND,
    &crate::pipeline::KIND,
    &crate::plugin_state::CURSOR,
    &crate::plugin_provider::KIND,
    &crate::plugin::KIND,
    &crate::pool::KIND,
    &crate::preference::KIND,
    &crate::profile::KIND,
    &crate::publisher::KIND,
    &crate::reservation::KIND,
    &crate::resource_broker::KIND,
    &crate::role::KIND,
    &crate::stage::KIND,
    &crate::store_object::KIND,
    &crate::subnet::KIND,
    &crate::task::KIND,
    &crate::template::KIND,
    &crate::tenant::KIND,
    &crate::trigger_provider::KIND,
    &crate::trigger::KIND,
    &crate::user::KIND,
    &crate::ux_option::KIND,
    &crate::ux_setting::KIND,
    &crate::ux_view::KIND,
    &crate::version_set::KIND,
    &crate::work_order::KIND,
    &crate::workflow::KIND,
    &crate::zone::KIND,
];

/// Tells whether a type is the endpoint's own, which clients do not know as objects: see [`Kind::is_internal`].
#[must_use]
pub fn is_internal(prefix: &str) -> bool {
    kind_of(prefix).is_some_and(Kind::is_internal)
}

/// Returns the kind with a prefix.
#[must_use]
pub fn kind_of(prefix: &str) -> Option<&'static Kind> {
    let place = KINDS.binary_search_by(|kind| kind.prefix.cmp(prefix)).ok()?;
    KINDS.get(place).copied()
}

/// JSON that is not an object of the type that it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The prefix of the type.
    pub prefix: &'static str,
    /// What does not fit and where.
    pub message: String,
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "not an object of type `{}`: {}", self.prefix, self.message)
    }
}

impl std::error::Error for DecodeError {}

/// An object of any type.
pub trait Object: Any + Debug + Send + Sync {
    /// Returns the description of the type.
    fn kind(&self) -> &'static Kind;
    /// Returns the native key.
    fn key(&self) -> String;
    /// Returns the common members.
    fn header(&self) -> &Header;
    /// Returns the common members for a change.
    fn header_mut(&mut self) -> &mut Header;
    /// Returns the parameters of the object, when its type bears parameters.
    fn params(&self) -> Option<&Values> {
        None
    }
    /// Returns the parameters for a change.
    fn params_mut(&mut self) -> Option<&mut Values> {
        None
    }
    /// Brings members into the canonical form of the API (drp-api.md 3.1) before the object is checked.
    fn normalise(&mut self) {}
    /// Returns what is wrong with the object by itself, one message a problem; a stored object has none.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }
    /// Returns what the object needs of others.
    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }
    /// Returns what is wrong with the object among the others, one message a problem: overlaps, circles, words that
    /// only another object can declare. They refuse it, as [`Object::problems`] do.
    fn conflicts(&self, others: &dyn Objects) -> Vec<String> {
        let _ = others;
        Vec::new()
    }
    /// Returns the object as the API shows it.
    fn to_json(&self) -> Value;
    /// Returns one member of the object as [`Object::to_json`] writes it, without writing the others.
    fn member(&self, name: &str) -> Option<Value>;
    /// Appends the object as [`Object::to_json`] writes it to a text, each member as `choose` wants it by its name.
    fn write(&self, out: &mut Vec<u8>, choose: &mut dyn FnMut(&str) -> Choice);
    /// Returns a copy behind a box, for a change.
    fn boxed(&self) -> Box<dyn Object>;
    /// Turns a box into a shared object.
    fn shared(self: Box<Self>) -> Arc<dyn Object>;
    /// Returns the object as its concrete type's `Any`.
    fn as_any(&self) -> &dyn Any;
    /// Returns the shared object as its concrete type's `Any`.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// A concrete object type.
pub trait Record: Object + Clone + Default + Serialize + DeserializeOwned + JsonSchema + Sized {
    /// The description of the type.
    const KIND: &'static Kind;
    /// True when objects have parameters of their own.
    const BEARS_PARAMS: bool;
}

/// A readable set of objects at one revision: a snapshot of the store, or a transaction over one.
pub trait Objects {
    /// Returns the object with a prefix and a native key.
    fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>>;
    /// Calls `visit` for all objects of a type in key order, until it returns false.
    fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool);
    /// Returns the number of objects of a type.
    fn count(&self, prefix: &str) -> usize;

    /// Calls `visit` for all objects that refer to one, in the order of prefixes and keys, until it returns false.
    ///
    /// Whether the object that is referred to exists does not matter. A set without indexes looks at all objects.
    fn users_of(&self, prefix: &str, key: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        span::scan_users(self, prefix, key, visit);
    }

    /// Calls `visit` for the objects with a member in a span of values, in the order of the values and, of equal
    /// values, of the keys, until it returns false.
    ///
    /// An object with several values in the span, all out of one list, comes once for each. Without an index of the
    /// member all objects of the type are looked at and sorted.
    fn range(&self, span: &Span<'_>, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        span::scan(self, span, visit);
    }

    /// Returns the object of a type of which a member has a value or holds it in its list; of several the first by
    /// key. `text` is the value as it stands in a URL.
    fn by_unique(&self, prefix: &str, member: &str, text: &str) -> Option<Arc<dyn Object>> {
        let value = SortKey::parse(Native::of_text(member), text)?;
        let mut found = None;
        self.range(&Span::equal(prefix, member, value), &mut |object| {
            found = Some(Arc::clone(object));
            false
        });
        found
    }
}

impl<T: Objects + ?Sized> Objects for &T {
    fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>> {
        (**self).find(prefix, key)
    }

    fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        (**self).visit(prefix, visit);
    }

    fn count(&self, prefix: &str) -> usize {
        (**self).count(prefix)
    }

    fn users_of(&self, prefix: &str, key: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        (**self).users_of(prefix, key, visit);
    }

    fn range(&self, span: &Span<'_>, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        (**self).range(span, visit);
    }
}

/// Typed access to a set of objects.
pub trait ObjectsExt: Objects {
    /// Returns the object of a type with a native key.
    fn get<R: Record>(&self, key: &str) -> Option<Arc<R>> {
        self.find(R::KIND.prefix, key)?.into_any().downcast().ok()
    }

    /// Returns all objects of a type in key order.
    fn list<R: Record>(&self) -> Vec<Arc<R>> {
        let mut found = Vec::new();
        self.visit(R::KIND.prefix, &mut |object| {
            found.extend(Arc::clone(object).into_any().downcast::<R>());
            true
        });
        found
    }

    /// Returns the first object of a type that a test accepts, in key order.
    fn find_by<R: Record>(&self, mut test: impl FnMut(&R) -> bool) -> Option<Arc<R>> {
        let mut found = None;
        self.visit(R::KIND.prefix, &mut |object| {
            if object.as_any().downcast_ref::<R>().is_some_and(&mut test) {
                found = Arc::clone(object).into_any().downcast::<R>().ok();
            }
            found.is_none()
        });
        found
    }
}

impl<T: Objects + ?Sized> ObjectsExt for T {}

/// Decodes JSON into a record: nulls count as missing, missing members get their defaults, numbers take their canonical
/// form (drp-api.md 3.1).
///
/// # Errors
///
/// A member of the wrong JSON type, or something that is no JSON object.
pub(crate) fn decode<R: Record>(mut value: Value) -> Result<Arc<dyn Object>, DecodeError> {
    if !value.is_object() {
        return Err(DecodeError {
            prefix: R::KIND.prefix,
            message: String::from("it must be a JSON object"),
        });
    }
    strip_nulls(&mut value, R::KIND.opaque);
    canonical_numbers(&mut value);
    let mut record: R = serde_json::from_value(value)
        .map_err(|error| DecodeError { prefix: R::KIND.prefix, message: error.to_string() })?;
    record.normalise();
    Ok(Arc::new(record))
}

/// Writes an object as the API shows it, without the common members that its type does not have.
pub(crate) fn encode<R: Record>(record: &R) -> Value {
    let mut value = serde_json::to_value(record).unwrap_or(Value::Null);
    if let Value::Object(members) = &mut value {
        R::KIND.absent.iter().for_each(|name| drop(members.remove(*name)));
    }
    value
}

/// Writes one member of an object as [`encode`] does.
pub(crate) fn member<R: Record>(record: &R, name: &str) -> Option<Value> {
    if R::KIND.absent.contains(&name) {
        return None;
    }
    pick(record, name)
}

/// Writes an object as [`encode`] does, each member as `choose` wants it.
pub(crate) fn write<R: Record>(record: &R, out: &mut Vec<u8>, choose: &mut dyn FnMut(&str) -> Choice) {
    pick::write(record, out, &mut |name| {
        if R::KIND.absent.contains(&name) { Choice::Skip } else { choose(name) }
    });
}

/// Takes the common members that a type does not have out of its schema.
pub(crate) fn tell<R: Record>(schema: &mut Schema) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        R::KIND.absent.iter().for_each(|name| drop(properties.remove(*name)));
    }
}

/// Writes the parts of [`Object`] and [`Record`] that are the same for every type.
macro_rules! object {
    ($type:ident, $kind:path, key = $key:expr $(, params = $params:ident)? $(, normalise = $normalise:expr)?
     $(, problems = $problems:path)? $(, references = $references:path)? $(, conflicts = $conflicts:path)?) => {
        impl crate::Object for $type {
            fn kind(&self) -> &'static crate::Kind { &$kind }
            fn key(&self) -> String { let key: fn(&$type) -> String = $key; key(self) }
            fn header(&self) -> &crate::Header { &self.header }
            fn header_mut(&mut self) -> &mut crate::Header { &mut self.header }
            $(
                fn params(&self) -> Option<&crate::Values> { Some(&self.$params) }
                fn params_mut(&mut self) -> Option<&mut crate::Values> { Some(&mut self.$params) }
            )?
            $(fn normalise(&mut self) { let normalise: fn(&mut $type) = $normalise; normalise(self) })?
            $(fn problems(&self) -> Vec<String> { $problems(self) })?
            $(fn references(&self) -> Vec<crate::Reference> { $references(self) })?
            $(
                fn conflicts(&self, others: &dyn crate::Objects) -> Vec<String> { $conflicts(self, others) }
            )?
            fn to_json(&self) -> serde_json::Value { crate::object::encode(self) }
            fn member(&self, name: &str) -> Option<serde_json::Value> { crate::object::member(self, name) }
            fn write(&self, out: &mut Vec<u8>, choose: &mut dyn FnMut(&str) -> crate::Choice) {
                crate::object::write(self, out, choose);
            }
            fn boxed(&self) -> Box<dyn crate::Object> { Box::new(self.clone()) }
            fn shared(self: Box<Self>) -> std::sync::Arc<dyn crate::Object> { std::sync::Arc::new(*self) }
            fn as_any(&self) -> &dyn std::any::Any { self }
            fn into_any(self: std::sync::Arc<Self>) -> std::sync::Arc<dyn std::any::Any + Send + Sync> { self }
        }
        impl crate::Record for $type {
            const KIND: &'static crate::Kind = &$kind;
            const BEARS_PARAMS: bool = !<[&str]>::is_empty(&[$(stringify!($params))?]);
        }
    };
}

pub(crate) use object;

/// Decodes the members of an object and proves that they are all that its type has beside the common ones, that they
/// come back as they were, and that nothing is wrong with them. Returns the object.
#[cfg(test)]
pub(crate) fn round_trip(prefix: &str, members: Value) -> Arc<dyn Object> {
    let object = (kind_of(prefix).unwrap().decode)(members.clone()).unwrap();
    let mut json = object.to_json();
    let common = serde_json::to_value(Header::default()).unwrap();
    let here = json.as_object_mut().unwrap();
    for name in common.as_object().unwrap().keys() {
        assert_eq!(here.remove(name).is_none(), object.kind().absent.contains(&name.as_str()), "{name}");
    }
    assert_eq!(json, members);
    assert_eq!(object.problems(), Vec::<String>::new());
    object
}

/// A few objects, for rules about one among others.
#[cfg(test)]
pub(crate) struct Few(pub(crate) Vec<Arc<dyn Object>>);

#[cfg(test)]
impl Objects for Few {
    fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>> {
        self.0.iter().find(|object| object.kind().prefix == prefix && object.key() == key).map(Arc::clone)
    }

    fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        let _ = self.0.iter().filter(|object| object.kind().prefix == prefix).all(visit);
    }

    fn count(&self, prefix: &str) -> usize {
        self.0.iter().filter(|object| object.kind().prefix == prefix).count()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_members_count_as_missing_but_free_json_keeps_them() {
        let machine =
            decode::<crate::Machine>(json!({"Name": "ab", "Profiles": null, "Params": {"x": {"y": null}}}))
                .unwrap();
        let json = machine.to_json();
        assert_eq!(json["Profiles"], json!([]));
        assert_eq!(json["Params"], json!({"x": {"y": null}}));
    }

    #[test]
    fn unknown_members_are_ignored_and_wrong_types_are_named() {
        assert!(decode::<crate::Machine>(json!({"Name": "ab", "Beeblebrox": 2})).is_ok());
        let error = decode::<crate::Machine>(json!({"Name": 3})).unwrap_err();
        assert!(error.to_string().contains("machines"), "{error}");
    }

    #[test]
    fn words_of_the_operations_are_those_of_the_reference() {
        let words = |prefix: &str| kind_of(prefix).unwrap().words();
        let pair = |many: &str, one: &str| (many.to_owned(), one.to_owned());
        assert_eq!(words("bootenvs"), pair("boot_envs", "boot_env"));
        assert_eq!(words("identity_providers"), pair("identity_providers", "identity_provider"));
        for prefix in TYPES.split_whitespace().filter(|prefix| *prefix != "bootenvs") {
            let (many, one) = words(prefix);
            assert_eq!(many, prefix);
            let plurals = ["s", "es"].map(|end| format!("{one}{end}"));
            let irregular = one.strip_suffix('y').map(|stem| format!("{stem}ies"));
            assert!(plurals.contains(&many) || irregular.as_ref() == Some(&many), "{many}, {one}");
        }
    }

    #[test]
    fn keys_of_addresses_are_hexadecimal_and_other_keys_stay() {
        let key = |prefix: &str, text: &str| kind_of(prefix).unwrap().canonical_key(text).into_owned();
        for prefix in ["leases", "reservations"] {
            assert_eq!(key(prefix, "10.7.0.171"), "0A0700AB");
            assert_eq!(key(prefix, "0a0700ab"), "0A0700AB");
            assert_eq!(key(prefix, "Addr:x"), "Addr:x");
        }
        assert_eq!(key("profiles", "0a0700ab"), "0a0700ab");
    }

    #[test]
    fn types_with_address_keys_have_the_digits_as_the_key() {
        for kind in KINDS.iter().filter(|kind| kind.address_key) {
            let object = (kind.decode)(json!({kind.key: "10.7.0.171"})).unwrap();
            assert_eq!(object.key(), "0A0700AB", "{}", kind.prefix);
        }
    }

    #[test]
    fn whether_objects_have_params_and_partial_follows_from_their_members() {
        for kind in KINDS {
            let object = (kind.decode)(json!({})).unwrap();
            assert_eq!(kind.bears_params, object.params().is_some(), "{}", kind.prefix);
            assert_eq!(kind.has_partial, object.member("Partial").is_some(), "{}", kind.prefix);
            for private in kind.private {
                assert_eq!(object.member(private), Some(json!("")), "{}.{private}", kind.prefix);
            }
        }
    }

    #[test]
    fn numbers_are_canonical_and_nulls_are_no_items_of_lists() {
        let members =
            json!({"Name": "ab", "CurrentTask": 2.0, "Profiles": [null, "x"], "Params": {"a": [1.0, null]}});
        let json = decode::<crate::Machine>(members).unwrap().to_json();
        assert_eq!((&json["CurrentTask"], &json["Profiles"]), (&json!(2), &json!(["x"])));
        assert_eq!(serde_json::to_string(&json["Params"]).unwrap(), r#"{"a":[1,null]}"#);
    }

    #[test]
    fn kinds_are_sorted_and_unique() {
        assert!(KINDS.windows(2).all(|pair| pair[0].prefix < pair[1].prefix));
    }

    /// Appendix B of the reference.
    const TYPES: &str = "activities alerts batches blueprints bootenvs catalog_items clusters contexts endpoints \
        filters identity_providers jobs leases machines params pipelines plugins pools profiles reservations \
        resource_brokers roles stages store_objects subnets tasks templates tenants trigger_providers triggers users \
        ux_options ux_settings ux_views version_sets work_orders workflows zones";

    const BEARERS: &str = "alerts blueprints clusters endpoints filters machines pipelines plugins profiles \
        reservations resource_brokers stages subnets trigger_providers triggers ux_options ux_settings ux_views \
        work_orders";

    #[test]
    fn all_38_types_of_the_reference_are_here_and_19_of_them_bear_params() {
        let bears =
            |prefix: &str| (kind_of(prefix).expect(prefix).decode)(json!({})).unwrap().params().is_some();
        let types: Vec<&str> = TYPES.split_whitespace().collect();
        assert_eq!(types.len(), 38);
        let bearers: Vec<&str> = types.into_iter().filter(|prefix| bears(prefix)).collect();
        assert_eq!(bearers, BEARERS.split_whitespace().collect::<Vec<_>>());
        assert_eq!(bearers.len(), 19);
    }

    #[test]
    fn schema_of_every_kind_tells_all_members_that_its_objects_have() {
        for kind in KINDS.iter().filter(|kind| kind.prefix != "contents") {
            let mut generator = SchemaGenerator::default();
            let mut schema = (kind.schema)(&mut generator).to_value();
            let definitions = generator.take_definitions(true);
            while let Some(target) = schema.get("$ref").and_then(Value::as_str) {
                schema = definitions[target.rsplit('/').next().unwrap()].clone();
            }
            let told = schema["properties"].as_object().unwrap();
            let object = (kind.decode)(json!({})).unwrap().to_json();
            for name in object.as_object().unwrap().keys() {
                assert!(told.contains_key(name), "{}.{name}", kind.prefix);
            }
            for list in [kind.unique, kind.hidden, kind.read_only, &[kind.key]] {
                assert!(list.iter().all(|name| told.contains_key(*name)), "{}: {list:?}", kind.prefix);
            }
            assert!(kind.absent.iter().all(|name| !told.contains_key(*name)), "{}", kind.prefix);
        }
    }

    #[test]
    fn every_kind_decodes_an_empty_object_and_writes_no_null() {
        for kind in KINDS {
            let object = (kind.decode)(json!({})).unwrap();
            let json = object.to_json();
            for (name, member) in json.as_object().unwrap() {
                assert!(
                    !member.is_null() || kind.opaque.contains(&name.as_str()),
                    "{}.{name} is null",
                    kind.prefix
                );
            }
        }
    }
}
