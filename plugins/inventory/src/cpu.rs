//! The processors.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::source;

/// Most bytes of `/proc/cpuinfo`: a thousand threads of a processor with many flags.
const MAX_BYTES: u32 = 1 << 20;

/// Reads model, vendor, flags, and the numbers of threads, cores and sockets.
pub(crate) fn read() -> Map<String, Value> {
    let text = source::bytes("/proc/cpuinfo", MAX_BYTES).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let fields = || {
        text.lines().filter_map(|line| line.split_once(':')).map(|(key, value)| (key.trim(), value.trim()))
    };
    let first = |keys: &[&str]| {
        let value = |key: &&str| fields().find(|(name, value)| name == key && !value.is_empty());
        keys.iter().find_map(value).map(|(_, value)| value)
    };

    let threads = fields().filter(|(key, value)| *key == "processor" && value.parse::<u32>().is_ok()).count();
    let (mut sockets, mut cores, mut socket) = (BTreeSet::new(), BTreeSet::new(), "");
    for (key, value) in fields() {
        match key {
            "physical id" => {
                socket = value;
                sockets.insert(value);
            }
            "core id" => {
                cores.insert((socket, value));
            }
            _ => {}
        }
    }

    let mut cpu = Map::new();
    if threads > 0 {
        cpu.insert("threads".to_owned(), json!(threads));
        cpu.insert("cores".to_owned(), json!(if cores.is_empty() { threads } else { cores.len() }));
        cpu.insert("sockets".to_owned(), json!(sockets.len().max(1)));
    }
    // x86 says "model name"; ARM boards say "Model" or "Hardware", some nothing at all.
    let names: [(&str, &[&str]); 2] = [
        ("model", &["model name", "cpu model", "Model", "Hardware", "CPU part"]),
        ("vendor", &["vendor_id", "CPU implementer"]),
    ];
    for (name, keys) in names {
        if let Some(value) = first(keys) {
            cpu.insert(name.to_owned(), json!(value));
        }
    }
    if let Some(flags) = first(&["flags", "Features"]) {
        cpu.insert("flags".to_owned(), flags.split_whitespace().collect());
    }
    cpu
}

#[cfg(test)]
mod tests {
    use formwork_sdk::testing::Host;

    use super::*;

    fn of(cpuinfo: impl Into<Vec<u8>>) -> Value {
        Value::Object(Host::new().file("/proc/cpuinfo", cpuinfo).enter(read))
    }

    #[test]
    fn threads_cores_and_sockets_are_counted() {
        let thread = |number: u32, socket: u32, core: u32| {
            format!(
                "processor\t: {number}\nvendor_id\t: MadeUp\nmodel name\t: Made Up 9: fast\n\
                 physical id\t: {socket}\ncore id\t\t: {core}\nflags\t\t: fpu vmx\n\n"
            )
        };
        let text: String = [thread(0, 0, 0), thread(1, 0, 1), thread(2, 1, 0), thread(3, 0, 0)].concat();
        let expected = json!({
            "threads": 4, "cores": 3, "sockets": 2,
            "model": "Made Up 9: fast", "vendor": "MadeUp", "flags": ["fpu", "vmx"],
        });
        assert_eq!(of(text), expected);
    }

    #[test]
    fn an_arm_board_has_as_many_cores_as_threads() {
        let text = "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n\n\
                    processor\t: 1\nCPU part\t: 0xd08\n\nModel\t\t: Small Board 4\n";
        let expected = json!({
            "threads": 2, "cores": 2, "sockets": 1,
            "model": "Small Board 4", "vendor": "0x41", "flags": ["fp", "asimd"],
        });
        assert_eq!(of(text), expected);
    }

    #[test]
    fn odd_bytes_give_an_empty_answer() {
        assert_eq!(of(b"\xff\xfe:\x00\nprocessor"), json!({}));
        assert_eq!(Value::Object(Host::new().enter(read)), json!({}));
    }
}
