//! Content types.

/// Returns the content type of a file by the end of its name, `other` for one that is not known.
///
/// UEFI HTTP boot takes a loader, or an image that it makes a disk of, by its type alone (UEFI 2.10, section 24.7).
#[must_use]
pub fn content_type(name: &str, other: &'static str) -> &'static str {
    let end = name.rsplit('/').next().and_then(|file| file.rsplit_once('.')).map(|(_, end)| end);
    match end.unwrap_or_default() {
        "efi" => "application/efi",
        "iso" => "application/vnd.efi-iso",
        "img" => "application/vnd.efi-img",
        "ipxe" | "txt" | "cfg" | "sh" | "ks" | "seed" | "log" => "text/plain; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "json" => "application/json",
        "yaml" | "yml" => "application/yaml",
        _ => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loader_image_and_script_have_the_types_that_firmware_wants() {
        for (name, kind) in [
            ("/a.b/snponly.efi", "application/efi"),
            ("isos/debian.iso", "application/vnd.efi-iso"),
            ("disk.img", "application/vnd.efi-img"),
            ("02:00.ipxe", "text/plain; charset=utf-8"),
            ("/a.txt/vmlinuz", "x"),
            ("", "x"),
        ] {
            assert_eq!(content_type(name, "x"), kind, "{name}");
        }
    }
}
