//! Memory devices in the tables of the firmware (SMBIOS 3, section 7.18): by their serial numbers a machine is known
//! again even after its main board was changed.

use crate::hardware::{sha256, usable_serial};

/// Where the fields of a memory device are in its record.
mod offset {
    pub(super) const SIZE: usize = 0x0c;
    pub(super) const MANUFACTURER: usize = 0x17;
    pub(super) const SERIAL: usize = 0x18;
    pub(super) const ASSET_TAG: usize = 0x19;
    pub(super) const PART: usize = 0x1a;
}

/// Asset tags that firmware writes by itself; one that is empty says nothing against the device.
const FIRMWARE_TAGS: &[&str] = &["unknown", "none", "na", "notspecified", "assettagnum", "tobefilledbyoem"];

/// Returns an identifier for each memory device that has a usable serial number, sorted. When two are the same, the
/// vendor copied them and none is worth anything.
pub(crate) fn ids(records: &[Vec<u8>]) -> Vec<String> {
    let mut ids: Vec<String> = records.iter().filter_map(|record| id(record)).collect();
    ids.sort();
    if ids.windows(2).any(|pair| pair.first() == pair.last()) { Vec::new() } else { ids }
}

fn id(record: &[u8]) -> Option<String> {
    let size = record.get(offset::SIZE..offset::SIZE + 2)?;
    if size == [0, 0] {
        return None;
    }
    let text = |at| string(record, at).unwrap_or_default();
    let (maker, part) = (text(offset::MANUFACTURER), text(offset::PART));
    let (serial, tag) = (text(offset::SERIAL), text(offset::ASSET_TAG));
    let plain: String = tag.chars().filter(char::is_ascii_alphanumeric).collect();
    let junk_tag = FIRMWARE_TAGS.contains(&plain.to_lowercase().as_str());
    let serial = usable_serial(&serial)?;
    (!junk_tag).then(|| sha256(&format!("{maker}{part}{serial}")))
}

/// Returns the string that a field names. Strings follow the record's formatted part, each with a zero byte at its end;
/// a field holds the number of its string, counted from one.
fn string(record: &[u8], at: usize) -> Option<String> {
    let formatted = usize::from(*record.get(1)?);
    if at >= formatted {
        return None;
    }
    let number = usize::from(*record.get(at)?).checked_sub(1)?;
    let bytes = record.get(formatted..)?.split(|byte| *byte == 0).nth(number)?;
    Some(String::from_utf8_lossy(bytes).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a record of a memory device with four strings.
    fn device(size: u16, serial: &str, tag: &str) -> Vec<u8> {
        let mut record = vec![0; 0x1b];
        record[0] = 17;
        record[1] = 0x1b;
        record[offset::SIZE..offset::SIZE + 2].copy_from_slice(&size.to_le_bytes());
        record[offset::MANUFACTURER..=offset::PART].copy_from_slice(&[1, 2, 3, 4]);
        for text in ["Maker", serial, tag, "Part"] {
            // No string may be empty: an empty one would end the list.
            record.extend_from_slice(if text.is_empty() { b" " } else { text.as_bytes() });
            record.push(0);
        }
        record.push(0);
        record
    }

    #[test]
    fn devices_are_known_by_maker_part_and_serial() {
        let found = ids(&[device(8192, "B2", ""), device(8192, "A1", "tag")]);
        let mut expected = [sha256("MakerPartA1"), sha256("MakerPartB2")];
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn empty_slots_and_junk_are_left_out_and_copies_spoil_all() {
        assert!(ids(&[device(0, "A1", "")]).is_empty());
        assert!(ids(&[device(8192, "00000000", ""), device(8192, "A1", "Unknown")]).is_empty());
        assert!(ids(&[device(8192, "A1", ""), device(8192, "A1", ""), device(8192, "B2", "")]).is_empty());
    }

    #[test]
    fn record_that_ends_too_early_is_no_device() {
        let whole = device(8192, "A1", "");
        for length in 0..0x1b {
            assert!(ids(&[whole[..length].to_vec()]).is_empty(), "{length}");
        }
    }
}
