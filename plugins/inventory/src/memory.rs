//! The main memory.

use serde_json::{Map, Value, json};

use crate::{smbios, source};

/// Reads total sizes in bytes, and the modules as the firmware lists them.
pub(crate) fn read() -> Map<String, Value> {
    let text = source::bytes("/proc/meminfo", 64 << 10).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut memory = Map::new();
    for (name, key) in [("total_bytes", "MemTotal"), ("swap_bytes", "SwapTotal")] {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        if let Some(bytes) = kib.and_then(|kib| kib.checked_mul(1024)) {
            memory.insert(name.to_owned(), json!(bytes));
        }
    }
    let modules = smbios::memory_modules();
    if !modules.is_empty() {
        memory.insert("modules".to_owned(), Value::Array(modules));
    }
    memory
}

#[cfg(test)]
mod tests {
    use formwork_sdk::testing::Host;

    use super::*;

    #[test]
    fn sizes_are_in_bytes() {
        let machine = Host::new().file("/proc/meminfo", "MemTotal:       16384 kB\nSwapTotal: x kB\n");
        assert_eq!(Value::Object(machine.enter(read)), json!({"total_bytes": 16_777_216}));
    }

    #[test]
    fn odd_bytes_give_an_empty_answer() {
        let machine = Host::new().file("/proc/meminfo", b"MemTotal: 99999999999999999999 kB\n\xff");
        assert_eq!(Value::Object(machine.enter(read)), json!({}));
    }
}
