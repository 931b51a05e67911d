//! What describes a type of objects, and the list of all types.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use crate::{DecodeError, Object, Record, lease::hex_address, names::is_uuid, object};

/// What comes of reading an object.
type Decoded = Result<Arc<dyn Object>, DecodeError>;

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
    pub decode: fn(Value) -> Decoded,
    /// Turns the text that [`Object::write`] made of a whole object of this type into that object, without the values
    /// between; see [`Kind::read_text`].
    pub(crate) decode_text: fn(&[u8]) -> Decoded,
    /// Writes the JSON schema of the type.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// The columns that a table for people shows, by JSON name.
    pub columns: &'static [&'static str],
}

impl Kind {
    /// Describes a type that has nothing special: all members may be written and looked at, and none but the key is
    /// unique. Tables of it have no columns until they are named.
    pub(crate) const fn of<R: Record>(prefix: &'static str, key: &'static str, noun: &'static str) -> Self {
        let schema: fn(&mut SchemaGenerator) -> Schema = |generator| generator.subschema_for::<R>();
        let plain = Self::bearer(prefix, key, noun, object::decode::<R>, object::decode_text::<R>, schema);
        Self { bears_params: R::BEARS_PARAMS, ..plain }
    }

    /// Describes a type that has nothing special but params.
    pub(crate) const fn bearer(
        prefix: &'static str,
        key: &'static str,
        noun: &'static str,
        decode: fn(Value) -> Decoded,
        decode_text: fn(&[u8]) -> Decoded,
        schema: fn(&mut SchemaGenerator) -> Schema,
    ) -> Self {
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
            bears_params: true,
            has_partial: false,
            address_key: false,
            slashed_key: false,
            own_create: false,
            operation_words: None,
            plugin_actions: Some("actions"),
            more_actions: &[],
            decode,
            decode_text,
            schema,
            columns: &[],
        }
    }

    /// Tells whether the type is none of ours: somebody declared it (drp-api.md 7.26).
    #[must_use]
    pub fn is_declared(&self) -> bool {
        built_in(self.prefix).is_none()
    }

    /// Turns JSON that is about the type into an object of it. A declared type says its name in each object; one that
    /// does not say it gets it.
    ///
    /// # Errors
    ///
    /// Those of [`Kind::decode`].
    pub fn read(&self, mut value: Value) -> Result<Arc<dyn Object>, DecodeError> {
        if let (true, Value::Object(members)) = (self.is_declared(), &mut value) {
            crate::dynamic::name_type(self.prefix, members)?;
        }
        (self.decode)(value)
    }

    /// Turns the text that [`Object::write`] made of a whole object of the type into that object. For JSON from anywhere
    /// else take [`Kind::read`]: here nothing is brought into the form of the API.
    ///
    /// # Errors
    ///
    /// Those of [`Kind::decode`], and a text that is no JSON.
    pub fn read_text(&self, text: &[u8]) -> Result<Arc<dyn Object>, DecodeError> {
        (self.decode_text)(text)
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
    /// eight upper-case digits, and UUIDs are lower-case; all else stays (drp-api.md 1.5, 3.1, 3.3).
    #[must_use]
    pub fn canonical_key<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.address_key {
            let may_be = self.key == "Uuid" && text.bytes().any(|byte| byte.is_ascii_uppercase());
            let lower = may_be.then(|| text.to_lowercase()).filter(|text| is_uuid(text));
            return lower.map_or(Cow::Borrowed(text), Cow::Owned);
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
    &crate::object_key::KIND,
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

/// Returns the kind with a prefix: one of ours, or one that somebody declared, see [`declare`].
#[must_use]
pub fn kind_of(prefix: &str) -> Option<&'static Kind> {
    built_in(prefix).or_else(|| declared_types().get(prefix).copied())
}

/// Returns the kind with a prefix, of those that are part of the program.
#[must_use]
pub fn built_in(prefix: &str) -> Option<&'static Kind> {
    let place = KINDS.binary_search_by(|kind| kind.prefix.cmp(prefix)).ok()?;
    KINDS.get(place).copied()
}

/// Returns all kinds that this process knows, in the order of their prefixes: those of [`KINDS`] and declared ones, of which
/// a store may have no objects.
#[must_use]
pub fn kinds() -> Vec<&'static Kind> {
    let mut all = KINDS.to_vec();
    all.extend(declared_types().values());
    all.sort_unstable_by_key(|kind| kind.prefix);
    all
}

/// The most types that are declared in the life of a process: a kind is never freed, as objects, changes and indexes
/// refer to it for good.
const MAX_DECLARED: usize = 1000;

/// The kinds of declared types, by prefix.
static DECLARED: RwLock<BTreeMap<&'static str, &'static Kind>> = RwLock::new(BTreeMap::new());

fn declared_types() -> RwLockReadGuard<'static, BTreeMap<&'static str, &'static Kind>> {
    DECLARED.read().unwrap_or_else(PoisonError::into_inner)
}

/// No kind can be made for a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeclareError {
    /// Its prefix cannot be one: it does not fit into URLs, or means something already.
    Name(String),
    /// There are too many.
    TooMany,
}

impl std::fmt::Display for DeclareError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(words) => formatter.write_str(words),
            Self::TooMany => {
                write!(
                    formatter,
                    "there are {MAX_DECLARED} declared types\nhint: those that are gone count until a restart"
                )
            }
        }
    }
}

impl std::error::Error for DeclareError {}

/// Makes the kind of a type that is declared (drp-api.md 7.26), or returns the one that was made before.
///
/// # Errors
///
/// The prefix is one of ours or cannot be one, or there are too many types.
pub fn declare(prefix: &str) -> Result<&'static Kind, DeclareError> {
    if let Some(known) = declared_types().get(prefix) {
        return Ok(known);
    }
    if let Some(problem) = crate::dynamic::prefix_problem(prefix) {
        return Err(DeclareError::Name(problem));
    }
    let mut declared = DECLARED.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = declared.get(prefix) {
        return Ok(known);
    }
    if declared.len() >= MAX_DECLARED {
        return Err(DeclareError::TooMany);
    }
    let prefix: &'static str = prefix.to_owned().leak();
    let kind: &'static Kind = Box::leak(Box::new(crate::dynamic::kind(prefix)));
    declared.insert(prefix, kind);
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

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
    fn uuids_are_found_in_upper_case_and_other_keys_as_they_are() {
        let key = |prefix: &str, text: &str| kind_of(prefix).unwrap().canonical_key(text).into_owned();
        let uuid = "3E7031FE-5555-45C1-835B-92541BC9CBD4";
        assert_eq!(key("machines", uuid), uuid.to_lowercase());
        assert_eq!(key("machines", "Name:Fred"), "Name:Fred");
        assert_eq!(key("profiles", uuid), uuid);
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
}
