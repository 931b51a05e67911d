//! Content bundles as the API carries them (drp-api.md 11.2): `meta` and `sections`.

use std::sync::Arc;

use formwork_model::{
    Content, ContentMeta, Kind, NameGrammar, Object, Record, StoreObject, declare, name_problem,
};
use serde_json::Value;

use crate::{
    Fault, Pack, PackError,
    lenient::soften,
    object::{decode, is_read_only, kind_in_pack},
};

/// Makes a pack of a content bundle. Its size is that of the request, which the caller bounds.
///
/// The meta data stay as they were sent but for those that are the server's: the type is `dynamic`, neither writable
/// nor overwritable (drp-api.md 11.4). Members that no type has are ignored, and a number where a text belongs is taken
/// for its digits (drp-behaviour.md 7.2). Artifacts are no part of a pack: whoever loads the bundle sees to them.
///
/// # Errors
///
/// [`PackError::MissingName`] without `meta.Name`; else all faults of the bundle together.
pub fn from_content(content: Content) -> Result<Pack, PackError> {
    let Content { meta, sections, artifacts: _ } = content;
    if meta.name.is_empty() {
        return Err(PackError::MissingName);
    }
    let mut faults = Vec::new();
    if let Some(problem) = name_problem(NameGrammar::Machine, &meta.name, &meta.name) {
        faults.push(Fault::new("meta", problem));
    }
    let mut objects: Vec<Arc<dyn Object>> = Vec::new();
    // Sections of types that the bundle declares itself are read before it is loaded; a name that cannot be one is told
    // with the object that has it.
    sections.get(StoreObject::KIND.prefix).into_iter().flatten().for_each(|(name, _)| drop(declare(name)));
    // A section without objects asks for nothing, whatever its type.
    for (prefix, section) in sections.into_iter().filter(|(_, section)| !section.is_empty()) {
        let kind = match kind_in_pack(&prefix) {
            Ok(kind) => kind,
            Err(reason) => {
                faults.push(Fault::new(format!("sections.{prefix}"), reason));
                continue;
            }
        };
        for (key, mut value) in section {
            soften(kind, &mut value);
            match keyed(kind, &key, value).and_then(|value| decode(kind, value, &meta.name)) {
                Ok(object) => objects.push(object),
                Err(reasons) => {
                    faults.extend(
                        reasons.into_iter().map(|reason| Fault::new(format!("{prefix}:{key}"), reason)),
                    );
                }
            }
        }
    }
    if !faults.is_empty() {
        return Err(PackError::Refused { faults });
    }
    let meta = ContentMeta { r#type: String::from("dynamic"), writable: false, overwritable: false, ..meta };
    Ok(Pack { meta, objects, ..Pack::default() })
}

/// Makes the bundle that `GET /contents/{name}` answers: objects in API form without what only the server writes, and
/// without what never leaves it.
#[must_use]
pub fn to_content<'a>(meta: &ContentMeta, objects: impl IntoIterator<Item = &'a Arc<dyn Object>>) -> Content {
    let mut content = Content { meta: meta.clone(), ..Content::default() };
    for object in objects {
        let kind = object.kind();
        let mut value = object.to_json();
        if let Value::Object(members) = &mut value {
            members.retain(|name, _| !is_read_only(kind, name) && !kind.private.contains(&name.as_str()));
        }
        content.sections.entry(kind.prefix.to_owned()).or_default().insert(object.key(), value);
    }
    content
}

/// Fills in the key of an object from its section when it is absent.
fn keyed(kind: &Kind, key: &str, mut value: Value) -> Result<Value, Vec<String>> {
    let Value::Object(members) = &mut value else {
        return Err(vec![format!("the {} must be a JSON object", kind.noun)]);
    };
    match members.get(kind.key) {
        None | Some(Value::Null) => {}
        Some(Value::String(own)) if own.is_empty() => {}
        Some(Value::String(own)) if own != key => {
            return Err(vec![format!(
                "the {} is called `{own}`, unlike its place in the section",
                kind.noun
            )]);
        }
        Some(_) => return Ok(value),
    }
    members.insert(kind.key.to_owned(), Value::from(key));
    Ok(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn load(content: Value) -> Result<Pack, PackError> {
        from_content(serde_json::from_value(content).unwrap())
    }

    #[test]
    fn bundle_without_a_name_is_refused_with_the_words_of_the_api() {
        let error = load(json!({"meta": {"Version": "v1"}, "sections": {}})).unwrap_err();
        assert!(matches!(error, PackError::MissingName));
        assert_eq!(error.to_string(), "Store at content- has no Name metadata");
    }

    #[test]
    fn bundle_of_a_name_alone_is_legal_and_gets_no_default_values() {
        let pack = load(json!({"meta": {"Name": "xy", "Type": "basic", "Writable": true}})).unwrap();
        assert!(pack.objects.is_empty() && pack.components.is_empty());
        let expected = ContentMeta { name: "xy".into(), r#type: "dynamic".into(), ..ContentMeta::default() };
        assert_eq!(pack.meta, expected);
    }

    #[test]
    fn copies_of_api_answers_load_and_their_read_only_members_are_ignored() {
        let task = json!({"Description": "d", "Bundle": "other", "ReadOnly": false, "Available": "maybe",
            "CreatedBy": 7, "Errors": ["old"], "Meta": {"icon": "x"}, "Unheard": 1});
        let pack = load(json!({"meta": {"Name": "xy"}, "sections": {"tasks": {"t1": task}}})).unwrap();
        let header = pack.objects[0].header();
        assert_eq!(pack.objects[0].key(), "t1");
        assert_eq!((header.bundle.as_str(), header.read_only, header.errors.len()), ("xy", true, 0));
        assert_eq!(header.meta["icon"], "x");
    }

    #[test]
    fn all_faults_are_told_at_once_with_their_places() {
        let sections = json!({
            "gadgets": {"g1": {}}, "interfaces": {"eth0": {}}, "machines": {"m1": {}}, "plugins": {},
            "tasks": {"t1": {"Name": "t2"}, "t3": 3, "t4": {"Templates": 4}, "t5": {"Templates": [{}]}},
        });
        let error = load(json!({"meta": {"Name": "x/y"}, "sections": sections})).unwrap_err();
        let PackError::Refused { faults } = &error else { panic!("{error}") };
        let places: Vec<&str> = faults.iter().map(|fault| fault.place.as_str()).collect();
        assert_eq!(
            places,
            [
                "meta",
                "sections.gadgets",
                "sections.interfaces",
                "sections.machines",
                "tasks:t1",
                "tasks:t3",
                "tasks:t4",
                "tasks:t5",
                "tasks:t5"
            ]
        );
        let text = error.to_string();
        assert!(text.contains("`sections.gadgets`: `gadgets` is no type of object\n"), "{text}");
        assert!(
            text.contains("`sections.interfaces`: objects of type `interfaces` cannot be part of a pack"),
            "{text}"
        );
        assert!(text.contains("`tasks:t1`: the task is called `t2`, unlike its place"), "{text}");
    }

    #[test]
    fn what_was_loaded_is_given_back_and_loads_again() {
        let pack = crate::core().unwrap();
        let content = to_content(&pack.meta, &pack.objects);
        let count: usize = content.sections.values().map(|section| section.len()).sum();
        assert_eq!(count, pack.objects.len());
        for object in content.sections.values().flat_map(|section| section.values()) {
            assert!(object.get("Bundle").is_none() && object.get("Available").is_none());
        }
        let again = from_content(content.clone()).unwrap();
        assert_eq!(to_content(&pack.meta, &again.objects), content);
    }
}
