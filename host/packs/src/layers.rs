//! Which objects of two layers collide, and what is done about it (drp-behaviour.md 7.1, drp-api.md 11.3).
//!
//! An object, by prefix and key, is in one layer only; but an object of a higher layer may shadow one of a lower layer
//! that is overwritable. This module decides; the server reads the layers and carries out.

use std::{collections::BTreeSet, fmt};

use formwork_model::ContentMeta;

/// The types of layers, the highest first: the first that has an object wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LayerType {
    /// What the API writes to.
    Writable,
    /// Content from the endpoint's own disk.
    Local,
    /// An installed pack.
    Dynamic,
    /// The content of a plugin provider.
    Plugin,
    /// Content that is shipped beside the program.
    Default,
    /// What is built in.
    Basic,
}

impl LayerType {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Writable, "writable"),
        (Self::Local, "local"),
        (Self::Dynamic, "dynamic"),
        (Self::Plugin, "plugin"),
        (Self::Default, "default"),
        (Self::Basic, "basic"),
    ];

    /// Reads the `Type` of a layer's meta data; an unknown or empty word is an installed pack, as all uploads are.
    #[must_use]
    pub fn of(meta: &ContentMeta) -> Self {
        let known = Self::ALL.iter().find(|(_, word)| *word == meta.r#type);
        known.map_or(Self::Dynamic, |(kind, _)| *kind)
    }

    /// Returns the word that meta data have for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("dynamic", |(_, word)| word)
    }
}

/// An object by its prefix and key; written as `PREFIX:KEY`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// The prefix of its type.
    pub prefix: String,
    /// Its key.
    pub key: String,
}

impl ObjectName {
    /// Names an object.
    pub fn new(prefix: impl Into<String>, key: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), key: key.into() }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.prefix, self.key)
    }
}

/// A layer as far as collisions go.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its type, from which its place in the stack follows.
    pub kind: LayerType,
    /// Its name: `BackingStore`, `BasicStore`, or that of the pack.
    pub name: String,
    /// Whether objects of higher layers may shadow its own.
    pub overwritable: bool,
    /// Its objects.
    pub objects: BTreeSet<ObjectName>,
}

impl fmt::Display for Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.kind.as_str(), self.name)
    }
}

/// What to do so that a layer can be put into the stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "the objects to remove are still there"]
pub struct Placement {
    /// Objects of the writable layer that go, as the caller asked for by `replaceWritable`.
    pub remove_writable: Vec<ObjectName>,
    /// Objects of lower layers that are shadowed from now on.
    pub shadowed: Vec<ObjectName>,
}

/// An object that is in two layers, neither of which may go before the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision {
    /// The object.
    pub object: ObjectName,
    /// The layer that is put into the stack, as `TYPE-NAME`.
    pub layer: String,
    /// The layer that has the object.
    pub other: String,
}

impl fmt::Display for Collision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, layer, other } = self;
        write!(formatter, "{object} in layer {layer} would override layer {other}")
    }
}

/// Decides whether a layer can be put into a stack, in the place of the layer of the same type and name if there is one.
///
/// # Errors
///
/// All collisions, by the stack's order and then by prefix and key.
pub fn place(stack: &[Layer], new: &Layer, replace_writable: bool) -> Result<Placement, Vec<Collision>> {
    let mut placement = Placement::default();
    let mut collisions = Vec::new();
    for other in stack.iter().filter(|other| (other.kind, &other.name) != (new.kind, &new.name)) {
        for object in other.objects.intersection(&new.objects) {
            if shadows(new, other) {
                placement.shadowed.push(object.clone());
            } else if shadows(other, new) {
                // It stays what it is; the new object is shadowed from the start.
            } else if replace_writable && other.kind == LayerType::Writable {
                placement.remove_writable.push(object.clone());
            } else {
                let (layer, other) = (new.to_string(), other.to_string());
                collisions.push(Collision { object: object.clone(), layer, other });
            }
        }
    }
    if collisions.is_empty() { Ok(placement) } else { Err(collisions) }
}

/// Tells whether the objects of one layer may go before those of another.
fn shadows(upper: &Layer, lower: &Layer) -> bool {
    upper.kind < lower.kind && lower.overwritable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(kind: LayerType, name: &str, keys: &[&str]) -> Layer {
        Layer {
            kind,
            name: name.to_owned(),
            overwritable: matches!(kind, LayerType::Local | LayerType::Default | LayerType::Basic),
            objects: keys.iter().map(|key| ObjectName::new("profiles", *key)).collect(),
        }
    }

    fn stack() -> [Layer; 4] {
        [
            layer(LayerType::Writable, "BackingStore", &["global", "mine"]),
            layer(LayerType::Local, "LocalStore", &["here"]),
            layer(LayerType::Dynamic, "other", &["theirs"]),
            layer(LayerType::Basic, "BasicStore", &["base"]),
        ]
    }

    fn messages(new: &Layer, replace_writable: bool) -> Vec<String> {
        place(&stack(), new, replace_writable).unwrap_err().iter().map(Collision::to_string).collect()
    }

    #[test]
    fn every_colliding_object_is_named_with_both_layers() {
        let new = layer(LayerType::Dynamic, "X", &["global", "theirs", "fresh", "mine"]);
        assert_eq!(
            messages(&new, false),
            [
                "profiles:global in layer dynamic-X would override layer writable-BackingStore",
                "profiles:mine in layer dynamic-X would override layer writable-BackingStore",
                "profiles:theirs in layer dynamic-X would override layer dynamic-other",
            ]
        );
    }

    #[test]
    fn replace_writable_removes_writable_objects_only() {
        let new = layer(LayerType::Dynamic, "X", &["global", "fresh"]);
        let placement = place(&stack(), &new, true).unwrap();
        assert_eq!(placement.remove_writable, [ObjectName::new("profiles", "global")]);
        let new = layer(LayerType::Dynamic, "X", &["global", "theirs"]);
        assert_eq!(
            messages(&new, true),
            ["profiles:theirs in layer dynamic-X would override layer dynamic-other"]
        );
    }

    #[test]
    fn overwritable_lower_layer_is_shadowed_and_the_same_layer_is_replaced() {
        let new = layer(LayerType::Dynamic, "other", &["base", "theirs"]);
        let placement = place(&stack(), &new, false).unwrap();
        assert_eq!(placement.shadowed, [ObjectName::new("profiles", "base")]);
        assert!(placement.remove_writable.is_empty());
    }

    #[test]
    fn layer_that_may_be_overridden_does_not_thereby_override() {
        // `local` is above `dynamic` and overwritable, which a pack below it cannot use.
        let new = layer(LayerType::Dynamic, "X", &["here"]);
        assert_eq!(
            messages(&new, false),
            ["profiles:here in layer dynamic-X would override layer local-LocalStore"]
        );
    }

    #[test]
    fn new_lower_layer_slips_under_what_is_there_when_it_is_overwritable() {
        let shipped = layer(LayerType::Default, "DefaultStore", &["global", "theirs"]);
        assert_eq!(place(&stack(), &shipped, false).unwrap(), Placement::default());
        let rigid = Layer { overwritable: false, ..shipped };
        assert_eq!(messages(&rigid, false).len(), 2);
    }

    #[test]
    fn types_are_read_from_meta_data() {
        for (kind, word) in LayerType::ALL {
            let meta = ContentMeta { r#type: word.to_owned(), ..ContentMeta::default() };
            assert_eq!((LayerType::of(&meta), kind.as_str()), (kind, word));
        }
        assert_eq!(LayerType::of(&ContentMeta::default()), LayerType::Dynamic);
    }
}
