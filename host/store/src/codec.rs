//! Rows and entries as bytes.
//!
//! A row's key is the prefix, a zero byte and the native key, so that the rows of a type lie together in key order.
//! Its value is the revision of the last change as 8 bytes, big endian, and the object as JSON. Entries of the feed lie
//! one after the other, each after its revision and its length as 8 bytes, big endian; an entry is JSON that has all of the
//! rows that it changed.

use std::{str, sync::Arc};

use formwork_model::{Choice, Kind, Object, declare, kind_of, type_of};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{Action, Change, Entry, Revision};

/// The largest object that is saved, in bytes of JSON: far above what the API takes, far below what redb can hold,
/// so that one object never fails the commit of a group.
const OBJECT_BYTES_MAX: usize = 64 << 20;

/// The deepest nesting of an object that is saved: what serde_json parses, less what an entry puts around it.
const DEPTH_MAX: usize = 120;

/// The length of the revision before the JSON of a row.
const REVISION_BYTES: usize = 8;

/// The length of the number that says how long an entry is.
const LENGTH_BYTES: usize = 8;

/// A row by its key; without a value the row goes.
pub(crate) type Row = (Vec<u8>, Option<Vec<u8>>);

/// An entry as it is read; [`push_entry`] writes the same members.
#[derive(Deserialize)]
struct EntryRow<'a> {
    principal: String,
    #[serde(borrow)]
    changes: Vec<ChangeRow<'a>>,
}

#[derive(Deserialize)]
struct ChangeRow<'a> {
    prefix: String,
    key: String,
    action: Action,
    #[serde(borrow)]
    before: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    /// True when readers see an object of the base afterwards, and there is no row.
    #[serde(default)]
    uncovered: bool,
}

pub(crate) fn row_key(prefix: &str, key: &str) -> Vec<u8> {
    [prefix.as_bytes(), &[0], key.as_bytes()].concat()
}

/// Splits a row's key into prefix and native key.
pub(crate) fn split_row_key(bytes: &[u8]) -> Option<(&str, &str)> {
    str::from_utf8(bytes).ok()?.split_once('\0')
}

/// Encodes a row. One that the next start could not read, for its size, its depth or its key, is refused.
///
/// The text is written straight from the object: this is done in the one thread that all writers wait for.
pub(crate) fn encode_row(key: &str, object: &dyn Object, revision: Revision) -> Result<Vec<u8>, String> {
    let mut bytes = revision.0.to_be_bytes().to_vec();
    write_object(&mut bytes, object);
    if bytes.len() > OBJECT_BYTES_MAX {
        return Err(format!("it has {} bytes, more than {OBJECT_BYTES_MAX}", bytes.len()));
    }
    if depth(bytes.get(REVISION_BYTES..).unwrap_or_default()) > DEPTH_MAX {
        return Err(format!("its values are nested more than {DEPTH_MAX} levels deep"));
    }
    check_key(object, key)?;
    Ok(bytes)
}

fn write_object(out: &mut Vec<u8>, object: &dyn Object) {
    object.write(out, &mut |_| Choice::Keep);
}

pub(crate) fn decode_row(
    prefix: &str,
    key: &str,
    bytes: &[u8],
) -> Result<(Arc<dyn Object>, Revision), String> {
    let Some((revision, json)) = bytes.split_first_chunk::<REVISION_BYTES>() else {
        return Err(String::from("it is cut off"));
    };
    let object = decode_object(prefix, json)?;
    check_key(&*object, key)?;
    Ok((object, Revision(u64::from_be_bytes(*revision))))
}

/// Appends an entry, given the row of each change, whose JSON it shares. Returns how many bytes it takes; after an error, the
/// part that was appended has to go.
pub(crate) fn push_entry(out: &mut Vec<u8>, entry: &Entry, rows: &[Row]) -> Result<usize, serde_json::Error> {
    let begin = out.len();
    out.extend_from_slice(&entry.revision.0.to_be_bytes());
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    let text = out.len();
    write_entry(out, entry, rows)?;
    let length = (out.len() - text) as u64;
    if let Some(place) = out.get_mut(text - LENGTH_BYTES..text) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(out.len() - begin)
}

fn write_entry(out: &mut Vec<u8>, entry: &Entry, rows: &[Row]) -> Result<(), serde_json::Error> {
    out.extend_from_slice(br#"{"principal":"#);
    serde_json::to_writer(&mut *out, &*entry.principal)?;
    out.extend_from_slice(br#","changes":["#);
    for (index, (change, (_, row))) in entry.changes.iter().zip(rows).enumerate() {
        out.extend_from_slice(if index == 0 { br#"{"prefix":"# } else { br#",{"prefix":"# });
        serde_json::to_writer(&mut *out, change.prefix)?;
        out.extend_from_slice(br#","key":"#);
        serde_json::to_writer(&mut *out, &*change.key)?;
        out.extend_from_slice(br#","action":"#);
        serde_json::to_writer(&mut *out, &change.action)?;
        if let Some(before) = &change.before {
            out.extend_from_slice(br#","before":"#);
            write_object(out, &**before);
        }
        if let Some(after) = &change.after {
            out.extend_from_slice(br#","after":"#);
            match row.as_ref().and_then(|row| row.split_first_chunk::<REVISION_BYTES>()) {
                Some((_, json)) => out.extend_from_slice(json),
                None => {
                    write_object(out, &**after);
                    out.extend_from_slice(br#","uncovered":true"#);
                }
            }
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    Ok(())
}

/// Splits what [`push_entry`] wrote into entries with their revisions.
pub(crate) fn split_entries(mut bytes: &[u8]) -> Result<Vec<(Revision, &[u8])>, &'static str> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let cut = "it is cut off";
        let (revision, rest) = bytes.split_first_chunk::<REVISION_BYTES>().ok_or(cut)?;
        let (length, rest) = rest.split_first_chunk::<LENGTH_BYTES>().ok_or(cut)?;
        let length = usize::try_from(u64::from_be_bytes(*length)).map_err(|_| cut)?;
        let (entry, rest) = rest.split_at_checked(length).ok_or(cut)?;
        entries.push((Revision(u64::from_be_bytes(*revision)), entry));
        bytes = rest;
    }
    Ok(entries)
}

/// Returns the rows that an entry changed, as it left them.
pub(crate) fn rows_of_entry(revision: Revision, bytes: &[u8]) -> Result<Vec<Row>, String> {
    let entry: EntryRow = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let row = |change: ChangeRow<'_>| {
        let after = change.after.filter(|_| !change.uncovered);
        let value = after.map(|json| [&revision.0.to_be_bytes()[..], json.get().as_bytes()].concat());
        (row_key(&change.prefix, &change.key), value)
    };
    Ok(entry.changes.into_iter().map(row).collect())
}

pub(crate) fn decode_entry(revision: Revision, bytes: &[u8]) -> Result<Entry, String> {
    let row: EntryRow = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let principal: Arc<str> = row.principal.into();
    let changes: Result<Arc<[Change]>, String> =
        row.changes.into_iter().map(|change| decode_change(revision, &principal, change)).collect();
    Ok(Entry { revision, changes: changes?, principal })
}

fn decode_change(revision: Revision, principal: &Arc<str>, row: ChangeRow<'_>) -> Result<Change, String> {
    let some = row.after.or(row.before).map_or("null", RawValue::get);
    let prefix = kind(&row.prefix, some.as_bytes())?.prefix;
    let object =
        |text: Option<&RawValue>| text.map(|text| decode_object(prefix, text.get().as_bytes())).transpose();
    Ok(Change {
        revision,
        principal: Arc::clone(principal),
        prefix,
        key: row.key.into(),
        action: row.action,
        before: object(row.before)?,
        after: object(row.after)?,
    })
}

fn decode_object(prefix: &str, json: &[u8]) -> Result<Arc<dyn Object>, String> {
    kind(prefix, json)?.read_text(json).map_err(|error| error.to_string())
}

/// Returns the kind of an object. That of a type that was declared is made where it is missing, so that an object is never
/// lost because it is read before its declaration; such an object names its type itself.
fn kind(prefix: &str, json: &[u8]) -> Result<&'static Kind, String> {
    if let Some(kind) = kind_of(prefix) {
        return Ok(kind);
    }
    let unknown = || format!("the type `{prefix}` is unknown");
    let value = serde_json::from_slice(json).map_err(|error| format!("{}: {error}", unknown()))?;
    match type_of(&value) == Some(prefix) {
        true => declare(prefix).map_err(|error| format!("{}: {error}", unknown())),
        false => Err(unknown()),
    }
}

fn check_key(object: &dyn Object, key: &str) -> Result<(), String> {
    let found = object.key();
    if found == key { Ok(()) } else { Err(format!("it calls itself `{found}`")) }
}

/// Returns how deep arrays and objects are nested in a JSON text, or at most how deep, when that is less than what is allowed.
fn depth(json: &[u8]) -> usize {
    // A text of few brackets cannot be deep, and those are counted many at a time.
    let brackets = json.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if brackets <= DEPTH_MAX { brackets } else { exact_depth(json) }
}

fn exact_depth(json: &[u8]) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    let (mut is_text, mut is_escaped) = (false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' if !is_text => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use formwork_model::{Preference, Profile};
    use serde_json::json;

    use super::*;

    #[test]
    fn row_comes_back_with_its_revision() {
        let object = Profile { name: "a".into(), description: "ä".into(), ..Profile::default() };
        let bytes = encode_row("a", &object, Revision(258)).unwrap();
        assert_eq!(&bytes[..9], b"\0\0\0\0\0\0\x01\x02{");
        let (read, revision) = decode_row("profiles", "a", &bytes).unwrap();
        assert_eq!((read.to_json(), revision), (object.to_json(), Revision(258)));
    }

    #[test]
    fn row_key_splits_at_the_first_zero() {
        assert_eq!(split_row_key(&row_key("params", "a\0b")), Some(("params", "a\0b")));
        assert_eq!(split_row_key(b"params"), None);
        assert_eq!(split_row_key(b"params\0\xff"), None);
    }

    #[test]
    fn damaged_rows_are_errors_that_say_why() {
        let good = encode_row("a", &Preference { name: "a".into(), ..Preference::default() }, Revision(1));
        let good = good.unwrap();
        for (prefix, key, bytes, part) in [
            ("preferences", "a", &good[..7], "cut off"),
            ("preferences", "a", &good[..12], "EOF"),
            ("preferences", "b", &good[..], "calls itself `a`"),
            ("gadgets", "a", &good[..], "`gadgets` is unknown"),
        ] {
            let reason = decode_row(prefix, key, bytes).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
    }

    fn nested(levels: usize) -> Profile {
        // The profile and its parameters are two levels themselves.
        let deep = (2..levels).fold(json!(1), |inner, _| json!([inner]));
        Profile { name: "a".into(), params: [(String::from("deep"), deep)].into(), ..Profile::default() }
    }

    #[test]
    fn object_that_could_not_be_read_again_is_refused() {
        let error = encode_row("a", &nested(DEPTH_MAX + 1), Revision(1)).unwrap_err();
        assert!(error.contains("nested"), "{error}");
        let error = encode_row("b", &nested(2), Revision(1)).unwrap_err();
        assert!(error.contains("calls itself `a`"), "{error}");
    }

    #[test]
    fn brackets_in_texts_are_no_levels() {
        assert_eq!(exact_depth(br#"{"a":"[[\"[{","b":[[],[{}]]}"#), 4);
        assert_eq!(exact_depth(b"1"), 0);
        let many = format!("[{}1]", "[],".repeat(DEPTH_MAX * 2));
        assert_eq!(depth(many.as_bytes()), 2);
    }

    #[test]
    fn deepest_object_is_read_again_as_row_and_in_an_entry() {
        let object: Arc<dyn Object> = Arc::new(nested(DEPTH_MAX));
        let row = encode_row("a", &*object, Revision(1)).unwrap();
        decode_row("profiles", "a", &row).unwrap();
        let change = Change {
            revision: Revision(1),
            principal: "p".into(),
            prefix: "profiles",
            key: "a".into(),
            action: Action::Updated,
            before: Some(Arc::clone(&object)),
            after: Some(Arc::clone(&object)),
        };
        let changes = vec![change.clone(), change];
        let entry = Entry { revision: Revision(1), principal: "\"p\"".into(), changes: changes.into() };
        // The second change has no row, as one that uncovers a base object.
        let rows = [(row_key("profiles", "a"), Some(row)), (row_key("profiles", "a"), None)];
        let mut bytes = Vec::new();
        let lengths = [(); 2].map(|()| push_entry(&mut bytes, &entry, &rows).unwrap());
        let entries = split_entries(&bytes).unwrap();
        assert_eq!((entries.len(), lengths[0] + lengths[1]), (2, bytes.len()));
        assert_eq!(rows_of_entry(Revision(1), entries[1].1).unwrap(), rows);
        assert_eq!(split_entries(&bytes[..bytes.len() - 1]).unwrap_err(), "it is cut off");
        let read = decode_entry(Revision(1), entries[0].1).unwrap();
        assert_eq!((&*read.principal, read.changes.len()), ("\"p\"", 2));
        for change in &*read.changes {
            let json = |object: &Option<Arc<dyn Object>>| object.as_ref().unwrap().to_json();
            assert_eq!(json(&change.before), object.to_json());
            assert_eq!(json(&change.after), object.to_json());
        }
    }
}
