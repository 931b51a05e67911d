//! Architecture names and their accepted spellings (drp-api.md 7.9).

/// The canonical name of an architecture.
pub type Arch = &'static str;

/// Canonical names with the other spellings that mean them, all in lower case.
const ARCHITECTURES: &[(Arch, &[&str])] = &[
    ("amd64", &["x86_64"]),
    ("386", &["i386", "i486", "486", "686", "i686"]),
    ("arm", &["armel", "armhfp"]),
    ("arm64", &["aarch64"]),
    ("ppc64", &["power9"]),
    ("ppc64le", &[]),
    ("mips64", &[]),
    ("mips64le", &["mips64el"]),
    ("s390x", &[]),
    ("mips", &[]),
    ("mipsle", &["mipsel"]),
    ("rpi4", &[]),
];

/// Returns the canonical name for any accepted spelling, in any case.
#[must_use]
pub fn canonical_arch(spelling: &str) -> Option<Arch> {
    let lower = spelling.to_lowercase();
    ARCHITECTURES
        .iter()
        .find(|(name, others)| *name == lower || others.contains(&lower.as_str()))
        .map(|(name, _)| *name)
}
