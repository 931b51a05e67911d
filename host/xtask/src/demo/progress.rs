//! Turns lines of logs, of the console and of the feed into the steps that a person follows.

use std::collections::BTreeMap;

use serde_json::Value;

use super::process::Source;
use super::verdict::text;

/// What a line of the machine's console begins with or holds, and the step that it means.
const CONSOLE: &[(&str, &str)] = &[
    ("SeaBIOS (version", "firmware: SeaBIOS starts"),
    (">>Start PXE over IPv4", "firmware: UEFI asks for an address (PXE)"),
    ("NBP file downloaded successfully", "firmware: UEFI has loaded the boot loader"),
    ("iPXE initialising devices", "firmware: iPXE starts"),
    ("Kernel panic", "machine: the kernel panics"),
];

/// What the discovery system's first process writes before each of its lines.
const INIT: &str = "formwork-init: ";

/// Remembers what was told, so that an object that changed in nothing visible is not told again.
#[derive(Debug, Default)]
pub(super) struct Progress {
    told: BTreeMap<String, String>,
}

impl Progress {
    /// Returns the step that `line` means, if it is one.
    pub(super) fn step(&mut self, source: Source, line: &str) -> Option<String> {
        match source {
            Source::Machine => console(line),
            Source::Endpoint => boot_service(line),
            Source::Feed => {
                let (key, step) = change(&serde_json::from_str(line).ok()?)?;
                let told = self.told.insert(key, step.clone());
                (told.as_ref() != Some(&step)).then_some(step)
            }
        }
    }
}

fn console(line: &str) -> Option<String> {
    if let Some((_, words)) = line.split_once(INIT) {
        let words = words.split_once("] ").map_or(words, |(_, words)| words);
        return Some(format!("machine: {words}"));
    }
    if let Some((_, version)) = line.split_once("Linux version ") {
        return Some(format!("kernel: Linux {}", version.split(' ').next().unwrap_or_default()));
    }
    CONSOLE.iter().find(|(mark, _)| line.contains(mark)).map(|(_, step)| (*step).to_owned())
}

/// Returns what the endpoint's boot services (DHCP, TFTP, HTTP) report; warnings and errors of all others too.
fn boot_service(line: &str) -> Option<String> {
    let level = |name: &str| line.split_once(&format!(" {name} ")).map(|(_, words)| words.trim());
    if let Some(words) = level("ERROR").or_else(|| level("WARN")) {
        return Some(format!("endpoint: {words}"));
    }
    let (_, words) = level("INFO")?.split_once("formwork_boot")?;
    words.split_once(": ").map(|(_, words)| words.to_owned())
}

/// Returns what a change on the feed is about, and how it is told.
fn change(event: &Value) -> Option<(String, String)> {
    let object = event.get("Object")?;
    let step = match (text(event, "Type"), text(event, "Action")) {
        ("machines", "create") => format!("machine {}: created", text(object, "Name")),
        ("machines", "update" | "save" | "patch") => machine(object),
        ("jobs", "create" | "update" | "save" | "patch") => {
            format!("job {}: {}", text(object, "Task"), text(object, "State"))
        }
        _ => return None,
    };
    Some((format!("{}/{}", text(event, "Type"), text(event, "Key")), step))
}

fn machine(object: &Value) -> String {
    let name = text(object, "Name");
    if object.get("WorkflowComplete") == Some(&Value::Bool(true)) {
        return format!("machine {name}: workflow {} complete", text(object, "Workflow"));
    }
    let (workflow, stage) = (text(object, "Workflow"), text(object, "Stage"));
    format!(
        "machine {name}: workflow {workflow}, stage {stage}, boot environment {}",
        text(object, "BootEnv")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(source: Source, line: &str) -> Option<String> {
        Progress::default().step(source, line)
    }

    #[test]
    fn markers_of_the_discovery_system_are_told_without_their_clock() {
        let line = "formwork-init: [2.82] network up 10.77.0.50 eth0";
        assert_eq!(step(Source::Machine, line).as_deref(), Some("machine: network up 10.77.0.50 eth0"));
    }

    #[test]
    fn firmware_and_kernel_are_recognised_on_the_console() {
        let kernel = "[    0.000000] Linux version 6.1.0-56-cloud-amd64 (debian-kernel@...) (gcc-12 ...)";
        assert_eq!(step(Source::Machine, kernel).as_deref(), Some("kernel: Linux 6.1.0-56-cloud-amd64"));
        assert!(step(Source::Machine, "iPXE initialising devices...ok").is_some());
        assert_eq!(step(Source::Machine, "[    0.1] ACPI: bus type PCI registered"), None);
    }

    #[test]
    fn boot_services_are_told_and_the_rest_of_the_log_only_from_warnings_up() {
        let offer = "2026-11-21T04:48:41.1Z  INFO formwork_boot::dhcp: offer 10.77.0.50 to 52:54:00:77:00:01";
        assert_eq!(step(Source::Endpoint, offer).as_deref(), Some("offer 10.77.0.50 to 52:54:00:77:00:01"));
        assert_eq!(step(Source::Endpoint, "2026-11-21T04:48:41.1Z  INFO formwork_server: listening"), None);
        let warning = "2026-11-21T04:48:41.1Z  WARN formwork_server: slow";
        assert_eq!(step(Source::Endpoint, warning).as_deref(), Some("endpoint: formwork_server: slow"));
    }

    #[test]
    fn change_of_an_object_is_told_once() {
        let mut progress = Progress::default();
        let line =
            r#"{"Type":"jobs","Action":"update","Key":"j","Object":{"Task":"greet","State":"running"}}"#;
        assert_eq!(progress.step(Source::Feed, line).as_deref(), Some("job greet: running"));
        assert_eq!(progress.step(Source::Feed, line), None);
        assert_eq!(progress.step(Source::Feed, "no JSON"), None);
    }
}
