//! The firmware's table of parts (SMBIOS 3), of which the memory modules are taken.

use serde_json::{Map, Value, json};

use crate::source;

/// Largest table that is read; real ones have some tens of KiB.
const MAX_BYTES: u32 = 256 << 10;

/// The type of a structure that describes a memory module (SMBIOS 3, section 7.18).
const MEMORY_DEVICE: u8 = 17;

/// The type that ends the table (section 7.45).
const END: u8 = 127;

/// Reads the modules that are plugged in. Only root may read the table, and not every machine has one.
pub(crate) fn memory_modules() -> Vec<Value> {
    let table = source::bytes("/sys/firmware/dmi/tables/DMI", MAX_BYTES).unwrap_or_default();
    Structures { left: &table }
        .filter(|structure| structure.kind == MEMORY_DEVICE)
        .filter_map(|structure| structure.module())
        .collect()
}

/// One structure: a formatted part, then numbered strings.
struct Structure<'a> {
    kind: u8,
    formatted: &'a [u8],
    strings: &'a [u8],
}

/// The structures of a table, up to the first that is cut off.
struct Structures<'a> {
    left: &'a [u8],
}

impl<'a> Iterator for Structures<'a> {
    type Item = Structure<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&kind, &length) = (self.left.first()?, self.left.get(1)?);
        // Shorter than its own header: the table is broken, and the next structure cannot be found.
        if kind == END || length < 4 {
            return None;
        }
        let (formatted, rest) = self.left.split_at_checked(usize::from(length))?;
        let end = rest.windows(2).position(|pair| pair == [0, 0])?;
        let strings = rest.get(..end)?;
        self.left = rest.get(end + 2..)?;
        Some(Structure { kind, formatted, strings })
    }
}

impl Structure<'_> {
    /// The module, unless its slot is empty.
    fn module(&self) -> Option<Value> {
        let mut module = Map::new();
        module.insert("size_bytes".to_owned(), json!(self.size_bytes()?));
        if let Some(speed) = self.word(0x15).filter(|speed| ![0, 0xffff].contains(speed)) {
            module.insert("speed_mts".to_owned(), json!(speed));
        }
        let strings =
            [("slot", 0x10), ("bank", 0x11), ("manufacturer", 0x17), ("serial", 0x18), ("part", 0x1a)];
        for (name, offset) in strings {
            if let Some(text) = self.string(offset) {
                module.insert(name.to_owned(), Value::String(text));
            }
        }
        Some(Value::Object(module))
    }

    /// Size of the module; `None` when the slot is empty or the size is unknown.
    fn size_bytes(&self) -> Option<u64> {
        match self.word(0x0c)? {
            0 | 0xffff => None,
            0x7fff => {
                let low = u32::from(self.word(0x1c)?);
                let high = u32::from(self.word(0x1e)?) & 0x7fff;
                Some(u64::from(high << 16 | low) << 20)
            }
            // The highest bit says that the unit is KiB and not MiB.
            kib if kib & 0x8000 != 0 => Some(u64::from(kib & 0x7fff) << 10),
            mib => Some(u64::from(mib) << 20),
        }
    }

    /// Two bytes, the low one first.
    fn word(&self, offset: usize) -> Option<u16> {
        let bytes = self.formatted.get(offset..offset + 2)?;
        Some(u16::from_le_bytes(bytes.try_into().ok()?))
    }

    /// The string whose number stands at an offset; numbers begin at 1.
    fn string(&self, offset: usize) -> Option<String> {
        let number = usize::from(*self.formatted.get(offset)?).checked_sub(1)?;
        source::clean(self.strings.split(|byte| *byte == 0).nth(number)?)
    }
}

#[cfg(test)]
mod tests {
    use formwork_sdk::testing::Host;

    use super::*;

    /// A structure of type 17 with a size word, an extended size, and three strings.
    fn device(size: u16, extended: u32) -> Vec<u8> {
        let mut bytes = vec![0; 0x28];
        bytes[..2].copy_from_slice(&[MEMORY_DEVICE, 0x28]);
        bytes[0x0c..0x0e].copy_from_slice(&size.to_le_bytes());
        bytes[0x10] = 1;
        bytes[0x15..0x17].copy_from_slice(&3200_u16.to_le_bytes());
        bytes[0x17] = 2;
        bytes[0x1a] = 3;
        bytes[0x1c..0x20].copy_from_slice(&extended.to_le_bytes());
        bytes.extend(b"DIMM A1\0Made Up\0 \0\0");
        bytes
    }

    fn modules(table: impl Into<Vec<u8>>) -> Vec<Value> {
        Host::new().file("/sys/firmware/dmi/tables/DMI", table).enter(memory_modules)
    }

    #[test]
    fn modules_in_use_are_listed_with_their_sizes() {
        let other = [[1, 4, 0, 0, 0, 0].as_slice()].concat();
        let table =
            [other, device(16_384, 0), device(0, 0), device(0x7fff, 65_536), device(0x8400, 0)].concat();
        let module = |size: u64| json!({"size_bytes": size, "speed_mts": 3200, "slot": "DIMM A1", "manufacturer": "Made Up"});
        assert_eq!(modules(table), [module(16 << 30), module(64 << 30), module(1 << 20)]);
    }

    #[test]
    fn the_end_marker_ends_the_table() {
        let table = [device(1024, 0), vec![END, 4, 0, 0, 0, 0], device(1024, 0)].concat();
        assert_eq!(modules(table).len(), 1);
    }

    #[test]
    fn a_table_cut_off_anywhere_gives_what_is_whole() {
        let whole = [device(1024, 0), device(1024, 0)].concat();
        let half = whole.len() / 2;
        for length in 0..whole.len() {
            assert_eq!(modules(&whole[..length]).len(), length / half, "{length}");
        }
    }

    #[test]
    fn a_structure_shorter_than_its_header_ends_the_table() {
        assert!(modules([MEMORY_DEVICE, 0, 0, 0]).is_empty());
        assert!(modules([MEMORY_DEVICE, 0x20, 0, 0, 0, 0]).is_empty());
    }
}
