//! From a script's bytes to lines of commands.

/// The first word of every script.
const MAGIC: &str = "#!ipxe";

/// A line with something in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its number in the script, from 1; of a continued line the first.
    pub(super) number: usize,
    /// The target of `goto`, for a line that is one.
    pub(super) label: Option<String>,
    /// The commands.
    pub(super) segments: Vec<Segment>,
}

/// One command of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// When it runs.
    pub(super) condition: Condition,
    /// The command and its arguments, not expanded; none for an empty command.
    pub(super) words: Vec<String>,
}

/// When a command runs, by the outcome of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// The first of a line, and behind `;`.
    Always,
    /// Behind `&&`.
    OnSuccess,
    /// Behind `||`.
    OnFailure,
}

/// Splits a script into its lines; `None` when it is none. Bytes that are not UTF-8 become replacement characters.
pub(super) fn lines(text: &[u8]) -> Option<Vec<Line>> {
    let text = String::from_utf8_lossy(text);
    let first = text.lines().next()?;
    if first.split_ascii_whitespace().next() != Some(MAGIC) {
        return None;
    }
    let mut lines = Vec::new();
    let mut raw = text.lines().enumerate().skip(1);
    while let Some((index, start)) = raw.next() {
        let mut whole = start.to_owned();
        while whole.ends_with('\\') {
            whole.pop();
            match raw.next() {
                Some((_, more)) => whole.push_str(more),
                None => break,
            }
        }
        lines.extend(line(index + 1, &whole));
    }
    Some(lines)
}

fn line(number: usize, text: &str) -> Option<Line> {
    let text = text.trim();
    if let Some(label) = text.strip_prefix(':') {
        let label = label.split_ascii_whitespace().next().unwrap_or_default().to_owned();
        return Some(Line { number, label: Some(label), segments: Vec::new() });
    }
    let mut segments = vec![Segment { condition: Condition::Always, words: Vec::new() }];
    for word in text.split_ascii_whitespace().take_while(|word| !word.starts_with('#')) {
        let condition = match word {
            "&&" => Some(Condition::OnSuccess),
            "||" => Some(Condition::OnFailure),
            ";" => Some(Condition::Always),
            _ => None,
        };
        match (condition, segments.last_mut()) {
            (Some(condition), _) => segments.push(Segment { condition, words: Vec::new() }),
            (None, Some(segment)) => segment.words.push(word.to_owned()),
            (None, None) => {}
        }
    }
    let empty = segments.iter().all(|segment| segment.words.is_empty());
    (!empty).then_some(Line { number, label: None, segments })
}
