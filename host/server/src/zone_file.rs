//! Zone files (RFC 1035 section 5, RFC 2308 section 4) as zones.

use std::{collections::BTreeMap, str::FromStr};

use formwork_model::{Zone, ZoneRecord};
use hickory_proto::{
    rr::{Name, RecordType},
    serialize::txt::Parser,
};

/// The records that a zone file may have.
const MAX_RECORDS: usize = 100_000;

/// Reads a zone file. Its origin is that of its first `$ORIGIN`, or of its SOA record, whose values become a record too.
///
/// # Errors
///
/// What is no zone file, one that includes others, and one without an origin. Errors say what and, where it is known, the
/// word at fault.
pub(crate) fn parse(text: &str, name: &str) -> Result<Zone, String> {
    // The library would open the file, wherever the word stands.
    if text.to_ascii_uppercase().contains("$INCLUDE") {
        return Err(String::from("$INCLUDE is not taken\nhint: put the records into one file"));
    }
    let declared = text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let is_origin = words.next().is_some_and(|word| word.eq_ignore_ascii_case("$ORIGIN"));
        words.next().filter(|_| is_origin)
    });
    let fallback = if name.is_empty() { None } else { Some(name) };
    let origin = declared.or(fallback).map(|origin| format!("{}.", origin.trim_end_matches('.')));
    let origin = origin.ok_or("no origin\nhint: begin the file with $ORIGIN, or name the zone by ?name=")?;
    let parsed = Name::from_str(&origin).map_err(|error| format!("origin `{origin}`: {error}"))?;
    let (_, sets) =
        Parser::new(text, None, Some(parsed.clone())).parse().map_err(|error| error.to_string())?;
    let mut records: BTreeMap<(String, String), ZoneRecord> = BTreeMap::new();
    let mut count = 0_usize;
    for set in sets.values() {
        let owner = relative(set.name(), &parsed);
        let kind = set.record_type();
        for record in set.records_without_rrsigs() {
            count += 1;
            if count > MAX_RECORDS {
                return Err(format!("more than {MAX_RECORDS} records"));
            }
            let entry = records.entry((owner.clone(), kind.to_string())).or_insert_with(|| ZoneRecord {
                name: owner.clone(),
                r#type: kind.to_string(),
                ttl: i64::from(record.ttl),
                value: Vec::new(),
            });
            entry.value.push(value(kind, &record.data.to_string()));
        }
    }
    let name = if name.is_empty() { origin.trim_end_matches('.') } else { name };
    Ok(Zone {
        name: name.to_owned(),
        origin: origin.clone(),
        records: records.into_values().collect(),
        ..Zone::default()
    })
}

/// Returns a name as it is below the origin: `@` for the origin, with a dot at its end when it lies elsewhere.
fn relative(name: &Name, origin: &Name) -> String {
    if name == origin {
        return String::from("@");
    }
    let (text, origin) = (name.to_string(), origin.to_string());
    match text.strip_suffix(&origin).and_then(|text| text.strip_suffix('.')) {
        Some(text) => text.to_owned(),
        None => text,
    }
}

/// Returns a value as zones hold it: texts without the quotation marks of the file.
fn value(kind: RecordType, text: &str) -> String {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match kind {
        RecordType::TXT => inner.unwrap_or(text).to_owned(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "$ORIGIN lab.example.\n$TTL 1h\n@ IN SOA ns admin ( 1 3600 600 86400 60 )\n  IN NS ns\nns IN A \
                        10.0.0.1\nwww 60 IN A 10.0.0.2\n    60 IN A 10.0.0.3\nalias IN CNAME www\n@ IN MX 10 mail\n@ IN \
                        TXT \"one text\"\n";

    #[test]
    fn zone_file_becomes_a_zone_with_one_record_for_each_name_and_type() {
        let zone = parse(FILE, "").unwrap();
        assert_eq!((zone.name.as_str(), zone.origin.as_str()), ("lab.example", "lab.example."));
        let record = |name: &str, kind: &str| {
            zone.records.iter().find(|record| record.name == name && record.r#type == kind).unwrap()
        };
        assert_eq!(record("www", "A").value, ["10.0.0.2", "10.0.0.3"]);
        assert_eq!((record("www", "A").ttl, record("ns", "A").ttl), (60, 3600));
        assert_eq!(record("alias", "CNAME").value, ["www.lab.example."]);
        assert_eq!(record("@", "MX").value, ["10 mail.lab.example."]);
        assert_eq!(record("@", "TXT").value, ["one text"]);
        assert_eq!(record("@", "NS").value, ["ns.lab.example."]);
    }

    #[test]
    fn file_that_includes_others_has_no_origin_or_is_no_zone_file_is_refused() {
        for (text, words) in [
            ("$ORIGIN a.\n$include /etc/passwd\n", "$INCLUDE is not taken"),
            ("$ORIGIN a.\n$TTL 1 $INCLUDE /dev/zero\n", "$INCLUDE is not taken"),
            ("www IN A 10.0.0.1\n", "no origin"),
            ("$ORIGIN a.\nwww IN A ten\n", ""),
            ("$ORIGIN a.\nwww IN NOTHING 1\n", ""),
            ("$ORIGIN a.\n( ( (\n", ""),
        ] {
            let error = parse(text, "").unwrap_err();
            assert!(error.contains(words) && !error.is_empty(), "{text}: {error}");
        }
    }
}
