//! Preferences: settings of the endpoint by name (drp-api.md 7.25, 12.4).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Header, Kind, Surface, object::object};

/// One setting. The API shows all of them as one map.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Preference {
    /// The key.
    pub name: String,
    /// The value, always a string.
    pub val: String,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind = Kind {
    columns: &["Name", "Val"],
    surface: Surface::Own,
    ..Kind::of::<Preference>("preferences", "Name", "preference")
};

object!(Preference, KIND, key = |preference| preference.name.clone());
