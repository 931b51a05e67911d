//! The key pairs that secure params are sealed to, one an object (drp-api.md 6.3). This type is the endpoint's own: it
//! has no routes and no events, and is part of no content.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Header, Kind, Layers, Surface, object::object};

/// The key pair of one object that bears params. It is deleted with its object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct ObjectKey {
    /// The key: the prefix of the object, a slash and its key.
    pub id: String,
    /// The public key, 32 bytes of Curve25519 as base64.
    pub public: String,
    /// The secret key as it rests: sealed with a key of the endpoint that is not in the store.
    pub sealed: String,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl ObjectKey {
    /// Returns the key under which the pair of an object is kept.
    #[must_use]
    pub fn id(prefix: &str, key: &str) -> String {
        format!("{prefix}/{key}")
    }
}

pub(crate) static KIND: Kind = Kind {
    columns: &["Id"],
    surface: Surface::Internal,
    layers: Layers::None,
    ..Kind::of::<ObjectKey>("object_keys", "Id", "object key")
};

object!(ObjectKey, KIND, key = |pair| pair.id.clone());
