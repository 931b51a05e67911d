//! Writes the archive format of an initramfs: `newc` cpio (kernel: `Documentation/driver-api/early-userspace/buffer-format.rst`).
//!
//! The same entries give the same bytes: every time is 0 and every owner root. No root and no device node is needed
//! to make one.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const CHARACTER_DEVICE: u32 = 0o020_000;
const TRAILER: &str = "TRAILER!!!";

/// An archive that grows entry by entry. Folders above an entry are added when they are first needed.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    count: u32,
    names: BTreeSet<String>,
}

impl Archive {
    /// Adds a folder, mode 755.
    pub(super) fn folder(&mut self, name: &str) -> Result<()> {
        if name.is_empty() || self.names.contains(name) {
            return Ok(());
        }
        self.entry(name, FOLDER | 0o755, &[], (0, 0))
    }

    /// Adds a regular file with the permissions `mode`.
    pub(super) fn file(&mut self, name: &str, mode: u32, data: &[u8]) -> Result<()> {
        self.entry(name, FILE | mode, data, (0, 0))
    }

    /// Adds a symbolic link to `target`.
    pub(super) fn link(&mut self, name: &str, target: &str) -> Result<()> {
        self.entry(name, LINK | 0o777, target.as_bytes(), (0, 0))
    }

    /// Adds a character device by its major and minor number.
    pub(super) fn character_device(&mut self, name: &str, mode: u32, device: (u32, u32)) -> Result<()> {
        self.entry(name, CHARACTER_DEVICE | mode, &[], device)
    }

    /// Ends the archive and returns its bytes, padded to whole blocks of 512.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        self.count = 0;
        self.write(TRAILER, 0, &[], (0, 0))?;
        self.pad(512);
        Ok(self.bytes)
    }

    fn entry(&mut self, name: &str, mode: u32, data: &[u8], device: (u32, u32)) -> Result<()> {
        if name.starts_with('/') || name == TRAILER || name.contains('\0') {
            bail!("`{name}` cannot be the name of an archive entry");
        }
        if let Some((above, _)) = name.rsplit_once('/') {
            self.folder(above)?;
        }
        if !self.names.insert(name.to_owned()) {
            bail!("`{name}` is in the archive already");
        }
        self.count += 1;
        self.write(name, mode, data, device)
    }

    fn write(&mut self, name: &str, mode: u32, data: &[u8], device: (u32, u32)) -> Result<()> {
        let Ok(size) = u32::try_from(data.len()) else { bail!("`{name}` has more than 4 GiB") };
        let Ok(name_size) = u32::try_from(name.len() + 1) else { bail!("a name is too long") };
        let links = if mode & 0o170_000 == FOLDER { 2 } else { 1 };
        let fields = [self.count, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad(4);
        self.bytes.extend_from_slice(data);
        self.pad(4);
        Ok(())
    }

    fn pad(&mut self, unit: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(unit), 0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::shell;

    fn sample() -> Vec<u8> {
        let mut archive = Archive::default();
        archive.character_device("dev/console", 0o600, (5, 1)).unwrap();
        archive.file("bin/tool", 0o755, b"abc").unwrap();
        archive.link("bin/sh", "tool").unwrap();
        archive.file("init", 0o755, b"#!/bin/sh\n").unwrap();
        archive.finish().unwrap()
    }

    #[test]
    fn header_has_the_fields_of_the_format_in_hexadecimal() {
        let mut archive = Archive::default();
        archive.file("ab", 0o644, b"xyz").unwrap();
        let bytes = archive.finish().unwrap();
        let zero = "00000000";
        let head = format!(
            "07070100000001000081A4{zero}{zero}00000001{zero}00000003{zero}{zero}{zero}{zero}00000003{zero}ab\0"
        );
        assert!(bytes.starts_with(head.as_bytes()));
        assert_eq!(&bytes[head.len()..head.len() + 7], b"\0\0\0xyz\0");
        assert_eq!(bytes.len() % 512, 0);
    }

    #[test]
    fn same_entries_give_the_same_bytes() {
        assert_eq!(sample(), sample());
    }

    #[test]
    fn folders_come_before_what_is_in_them_and_only_once() {
        let text = String::from_utf8_lossy(&sample()).into_owned();
        assert!(text.find("bin\0").unwrap() < text.find("bin/tool\0").unwrap());
        assert_eq!(text.matches("bin\0").count(), 1);
    }

    #[test]
    fn name_given_twice_or_absolute_is_refused() {
        let mut archive = Archive::default();
        archive.file("a", 0o644, b"").unwrap();
        assert!(archive.file("a", 0o644, b"").is_err());
        assert!(archive.file("/b", 0o644, b"").is_err());
        assert!(archive.file(TRAILER, 0o644, b"").is_err());
    }

    #[test]
    fn busybox_lists_what_was_written() {
        let Some(busybox) = shell::find_program("busybox") else { return };
        let mut cpio = Command::new(busybox);
        cpio.args(["cpio", "-tv"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = cpio.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&sample()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<(&str, &str)> =
            text.lines().map(|line| line.split_once(char::is_whitespace).unwrap()).collect();
        let shown: Vec<String> = lines
            .iter()
            .map(|(mode, rest)| {
                format!("{mode} {}", rest.split_whitespace().skip(4).collect::<Vec<_>>().join(" "))
            })
            .collect();
        assert_eq!(lines.len(), 6, "{text}");
        assert!(shown[1].starts_with("crw-------") && shown[1].ends_with("dev/console"), "{text}");
        assert!(shown[3].starts_with("-rwxr-xr-x") && shown[3].ends_with("bin/tool"), "{text}");
        assert!(shown[4].starts_with("lrwxrwxrwx") && shown[4].ends_with("bin/sh -> tool"), "{text}");
    }
}
