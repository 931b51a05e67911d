//! Which paths a member of a pack may have, and which lines may be shown to people.

/// How many names a path may have: `templates/NAME` needs two, the rest is for folders in `files/`.
pub(crate) const MAX_DEPTH: usize = 4;

/// The longest path, in bytes; what fits into the header of a ustar member at most.
const MAX_PATH_BYTES: usize = 255;

/// Returns what is wrong with the path of a member. Nothing is ever unpacked to it; still it names one file only.
pub(crate) fn path_problem(path: &str) -> Option<&'static str> {
    let mut parts = path.split('/');
    if path.is_empty() {
        Some("the name is empty")
    } else if path.starts_with('/') {
        Some("the path is absolute")
    } else if parts.any(|part| part == "..") {
        Some("the path leads out of the pack")
    } else if path.split('/').any(|part| matches!(part, "" | ".")) {
        Some("the path has an empty part or `.`")
    } else if path.contains('\\') || !is_plain_line(path) {
        Some("the path has a character that does not belong into one")
    } else if path.len() > MAX_PATH_BYTES {
        Some("the path is longer than 255 bytes")
    } else if path.split('/').count() > MAX_DEPTH {
        Some("the path has more than 4 names")
    } else {
        None
    }
}

/// Tells whether a text can be shown on one line as it is: no control characters, and none that change the direction
/// of writing, with which a line would look unlike what it says.
pub(crate) fn is_plain_line(text: &str) -> bool {
    !text.chars().any(|c| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_pass() {
        for path in ["pack.yaml", "files/a/b/c", "tasks/..a.yaml", "params/größe.yaml", "files/a b"] {
            assert_eq!(path_problem(path), None, "{path}");
        }
        let long = "x".repeat(256);
        for path in [
            "",
            "/etc/passwd",
            "..",
            "../x",
            "files/../../x",
            "files//x",
            "./x",
            "files/",
            "a\\..\\b",
            "a\0b",
            "a\nb",
            "a\u{202e}b",
            "a/b/c/d/e",
            &long,
        ] {
            assert!(path_problem(path).is_some(), "{path}");
        }
    }
}
