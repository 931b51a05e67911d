//! What packs need of each other and of the server (drp-behaviour.md 7.1).
//!
//! `Prerequisites` is a comma list of `NAME` or `NAME: RANGE`. A range is a list of comparisons, `>=1.2 <2`, of which all
//! must hold, with spaces or commas between them; `||` separates lists of which one must hold. A comma therefore both ends
//! a prerequisite and stands within a range: what follows it belongs to the range when it begins like a comparison.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

/// The longest text of prerequisites or versions that is looked at, in bytes.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// A version: three numbers. What follows the first hyphen of its text is no part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Breaking changes.
    pub major: u64,
    /// Additions.
    pub minor: u64,
    /// Corrections.
    pub patch: u64,
}

impl Version {
    /// Reads `1.2.3`, `v1.2`, `4.6.0-beta01.2`; the empty text is 0.0.0. Nothing for words like `tip`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let numbers = text.split(['-', '+']).next().unwrap_or_default();
        if text.is_empty() {
            return Some(Self::default());
        }
        let mut parts = numbers.split('.').map(number);
        let version = Self {
            major: parts.next()??,
            minor: parts.next().unwrap_or(Some(0))?,
            patch: parts.next().unwrap_or(Some(0))?,
        };
        parts.next().is_none().then_some(version)
    }

    /// Reads the version of an installed pack, for which a text that is no version counts as none: 0.0.0.
    #[must_use]
    pub fn of_installed(text: &str) -> Self {
        Self::parse(text).unwrap_or_default()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Reads a number of digits only.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A text that is no list of prerequisites or no range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no range of versions\nhint: write it as `>=1.2.0 <2.0.0`, with `||` between alternatives"
)]
pub struct RangeError {
    /// The part that was not understood.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

impl Comparison {
    /// The operators, longer ones before those that they begin with.
    const ALL: [(&'static str, Self); 7] = [
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<", Self::Less),
        (">", Self::Greater),
        ("=", Self::Equal),
    ];

    fn holds(self, version: Version, bound: Version) -> bool {
        match self {
            Self::Less => version < bound,
            Self::LessOrEqual => version <= bound,
            Self::Greater => version > bound,
            Self::GreaterOrEqual => version >= bound,
            Self::Equal => version == bound,
            Self::NotEqual => version != bound,
        }
    }
}

/// A set of versions. The empty text is the set of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Alternatives, each a list of what must hold. None at all means any version.
    alternatives: Vec<Vec<(Comparison, Version)>>,
}

impl Range {
    /// Tells whether a version is in the range.
    #[must_use]
    pub fn accepts(&self, version: Version) -> bool {
        let all = |list: &Vec<(Comparison, Version)>| {
            list.iter().all(|(comparison, bound)| comparison.holds(version, *bound))
        };
        self.alternatives.is_empty() || self.alternatives.iter().any(all)
    }
}

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || RangeError { text: text.chars().take(100).collect() };
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        if text.len() > MAX_TEXT_BYTES {
            return Err(error());
        }
        let alternatives = text.split("||").map(|list| comparisons(list).ok_or_else(error));
        Ok(Self { alternatives: alternatives.collect::<Result<_, _>>()? })
    }
}

/// Reads comparisons of which all must hold; at least one. A version without an operator means exactly this one.
fn comparisons(text: &str) -> Option<Vec<(Comparison, Version)>> {
    let blank = |c: char| c.is_whitespace() || c == ',';
    let mut rest = text.trim_matches(blank);
    let mut found = Vec::new();
    while !rest.is_empty() {
        let known = Comparison::ALL.iter().find(|(word, _)| rest.starts_with(word));
        let (word, comparison) =
            known.map_or(("", Comparison::Equal), |(word, comparison)| (*word, *comparison));
        let after = rest.strip_prefix(word)?.trim_start();
        let end = after.find(|c| blank(c) || matches!(c, '<' | '>' | '=' | '!')).unwrap_or(after.len());
        let (version, remaining) = after.split_at_checked(end)?;
        // An operator without a version compares with nothing.
        found.push((comparison, Version::parse(version).filter(|_| !version.is_empty())?));
        rest = remaining.trim_start_matches(blank);
    }
    (!found.is_empty()).then_some(found)
}

/// One pack that another needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prerequisite {
    /// The name of the pack.
    pub name: String,
    /// The versions that will do.
    pub range: Range,
    /// The range as it was written; empty for any version.
    pub text: String,
}

/// Reads the `Prerequisites` of a pack.
///
/// # Errors
///
/// The first part that is no range of versions.
pub fn prerequisites(text: &str) -> Result<Vec<Prerequisite>, RangeError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(RangeError { text: text.chars().take(100).collect() });
    }
    let mut entries: Vec<(String, String)> = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match (part.split_once(':'), entries.last_mut()) {
            (Some((name, range)), _) => entries.push((name.trim().to_owned(), range.trim().to_owned())),
            (None, Some((_, range))) if continues(range, part) => {
                range.push_str(", ");
                range.push_str(part);
            }
            (None, _) => entries.push((part.to_owned(), String::new())),
        }
    }
    let parsed = |(name, text): (String, String)| Ok(Prerequisite { range: text.parse()?, name, text });
    entries.into_iter().map(parsed).collect()
}

/// Tells whether what follows a comma belongs to the range before it.
fn continues(range: &str, part: &str) -> bool {
    let comparison = part.starts_with(['<', '>', '=', '!', '|']);
    comparison
        || (!range.is_empty() && part.split("||").next().is_some_and(|text| comparisons(text).is_some()))
}

/// A pack as far as others need it.
#[derive(Clone, Copy, Debug)]
pub struct Installed<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version, as it was sent.
    pub version: &'a str,
    /// What it needs, parsed.
    pub needs: &'a [Prerequisite],
}

/// A need that is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The pack that is needed.
    pub name: String,
    /// The versions that will do, as written; empty for any.
    pub range: String,
    /// The version that is installed; nothing when the pack is not.
    pub found: Option<String>,
}

impl fmt::Display for Unmet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, range, found } = self;
        let wanted = if range.is_empty() { String::new() } else { format!(" {range}") };
        match found {
            None => write!(formatter, "pack `{name}`{wanted} is needed, but not installed"),
            Some(version) if version.is_empty() => {
                write!(formatter, "pack `{name}`{wanted} is needed, but the installed one has no version")
            }
            Some(version) => write!(formatter, "pack `{name}`{wanted} is needed, but {version} is installed"),
        }
    }
}

/// Returns which needs are not met. `installed` answers with the version of an installed pack, as it was sent.
pub fn unmet<'a>(needs: &[Prerequisite], mut installed: impl FnMut(&str) -> Option<&'a str>) -> Vec<Unmet> {
    let mut found = Vec::new();
    for need in needs {
        let version = installed(&need.name);
        if !version.is_some_and(|version| need.range.accepts(Version::of_installed(version))) {
            found.push(Unmet {
                name: need.name.clone(),
                range: need.text.clone(),
                found: version.map(str::to_owned),
            });
        }
    }
    found
}

/// Returns which needs among a set of packs are not met, with the pack that has each.
///
/// Given the set as it would be after a change, this one rule judges installing, upgrading, downgrading and removing.
#[must_use]
pub fn unmet_among<'a>(packs: &[Installed<'a>]) -> Vec<(&'a str, Unmet)> {
    let versions: BTreeMap<&str, &str> = packs.iter().map(|pack| (pack.name, pack.version)).collect();
    let of_pack = |pack: &Installed<'a>| {
        let name = pack.name;
        unmet(pack.needs, |name| versions.get(name).copied()).into_iter().map(move |unmet| (name, unmet))
    };
    packs.iter().flat_map(of_pack).collect()
}

/// Returns a circle of packs that need each other, its first name again at the end; nothing when there is none.
#[must_use]
pub fn cycle(packs: &[Installed<'_>]) -> Option<Vec<String>> {
    let needs: BTreeMap<&str, &[Prerequisite]> = packs.iter().map(|pack| (pack.name, pack.needs)).collect();
    let mut done = BTreeSet::new();
    for start in needs.keys().copied() {
        // The way from the start to here, each step with the needs that are still to be followed.
        let mut way = vec![(start, needs.get(start).copied().unwrap_or_default().iter())];
        while let Some((name, open)) = way.last_mut() {
            let Some(next) = open.next().map(|need| need.name.as_str()) else {
                done.insert(*name);
                way.pop();
                continue;
            };
            if let Some(at) = way.iter().position(|(name, _)| *name == next) {
                let mut circle: Vec<String> =
                    way.iter().skip(at).map(|(name, _)| (*name).to_owned()).collect();
                circle.push(next.to_owned());
                return Some(circle);
            }
            if let Some((name, needs)) = needs.get_key_value(next).filter(|_| !done.contains(next)) {
                way.push((name, needs.iter()));
            }
        }
    }
    None
}

/// Returns the packs that need a pack and would be left without it.
#[must_use]
pub fn dependants<'a>(name: &str, packs: &[Installed<'a>]) -> Vec<&'a str> {
    let needs = |pack: &&Installed<'a>| pack.name != name && pack.needs.iter().any(|need| need.name == name);
    packs.iter().filter(needs).map(|pack| pack.name).collect()
}

/// Returns the features of a `RequiredFeatures` text, a list by commas or spaces, that a server does not have.
#[must_use]
pub fn missing_features(required: &str, known: &[&str]) -> Vec<String> {
    let words = required.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    words.filter(|word| !known.contains(word)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
