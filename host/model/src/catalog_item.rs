//! Catalog items: what can be installed and where it is (drp-api.md 7.24).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, Layers, NameGrammar, name_problem,
    names::word_problem,
    object::{object, tell},
};

/// One version of something that can be fetched and installed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
#[schemars(transform = tell::<CatalogItem>)]
pub struct CatalogItem {
    /// The key.
    pub id: String,
    /// The prefix of the type: always `catalog_items`.
    pub r#type: String,
    /// The name of what it installs.
    pub name: String,
    /// The version that is asked for: `tip`, `stable` or a full one.
    pub version: String,
    /// The full version.
    pub actual_version: String,
    /// What it is: one of [`CatalogItem::CONTENT_TYPES`], or empty.
    pub content_type: String,
    /// Its URL; for plugin providers and clients `/ARCH/OS/NAME` comes behind it.
    pub source: String,
    /// SHA-256 digests, hexadecimal, by `any/any` or `ARCH/OS`.
    pub shasum256: BTreeMap<String, String>,
    /// Its URL for tools that cannot read JSON.
    #[serde(rename = "NOJQSource")]
    pub nojq_source: String,
    /// True for a version that is not released.
    pub tip: bool,
    /// True for a version that mends one thing.
    pub hot_fix: bool,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl CatalogItem {
    /// What an item can be.
    pub const CONTENT_TYPES: &'static [&'static str] =
        &["DRP", "DRPUX", "DRPCLI", "ContentPackage", "PluginProvider", "ContentArchive"];
}

pub(crate) static KIND: Kind = Kind {
    absent: &["Bundle"],
    columns: &["Id", "Name", "ActualVersion", "ContentType", "Source"],
    layers: Layers::Writable,
    ..Kind::of::<CatalogItem>("catalog_items", "Id", "catalog item")
};

object!(
    CatalogItem,
    KIND,
    key = |item| item.id.clone(),
    normalise = |item| item.r#type = KIND.prefix.to_owned(),
    problems = problems
);

fn problems(item: &CatalogItem) -> Vec<String> {
    let key = item.id.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Id, key, key).into_iter().collect();
    if !item.content_type.is_empty() {
        found.extend(word_problem(key, "ContentType", &item.content_type, CatalogItem::CONTENT_TYPES));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    #[test]
    fn catalog_item_keeps_all_members_and_has_no_bundle() {
        let members = json!({
            "Id": "lamps-v2", "Type": "catalog_items", "Name": "lamps", "Version": "stable", "ActualVersion": "v2.0.1",
            "ContentType": "PluginProvider", "Source": "https://lamps.example/v2", "Shasum256": {"amd64/linux": "00ff"},
            "NOJQSource": "https://lamps.example/plain", "Tip": true, "HotFix": true,
        });
        assert!(round_trip("catalog_items", members).to_json().get("Bundle").is_none());
    }

    #[test]
    fn catalog_item_is_of_a_known_type_of_content() {
        let item = CatalogItem { content_type: "Cake".into(), ..CatalogItem::default() };
        assert_eq!(problems(&item), [": Invalid Name ``", ": Invalid ContentType `Cake`"]);
    }
}
