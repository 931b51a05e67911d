//! A record as bytes: sums and numbers in front of what it carries.

use std::ops::Range;

/// The sum of a record, which those of all records before it go into.
pub(crate) type Sum = [u8; 16];

/// The bytes in front of what a record carries: its sum, the sum of the record before it, its number, the number from which
/// records are needed, and the length of what it carries; numbers are little endian.
pub(crate) const HEAD: usize = 16 + 16 + 8 + 8 + 8;

/// A record in the text of a segment, which begins [`HEAD`] bytes before what it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) sum: Sum,
    /// The sum of the record before it.
    pub(crate) before: Sum,
    pub(crate) number: u64,
    pub(crate) keep_from: u64,
    /// Where what it carries is.
    pub(crate) payload: Range<usize>,
}

/// Returns a record as bytes, and its sum.
pub(crate) fn encode(before: Sum, number: u64, keep_from: u64, payload: &[&[u8]]) -> (Vec<u8>, Sum) {
    let length: usize = payload.iter().map(|part| part.len()).sum();
    let mut text = Vec::with_capacity(HEAD + length);
    text.extend_from_slice(&Sum::default());
    text.extend_from_slice(&before);
    for number in [number, keep_from, length as u64] {
        text.extend_from_slice(&number.to_le_bytes());
    }
    for part in payload {
        text.extend_from_slice(part);
    }
    let (place, summed) = text.split_at_mut(Sum::default().len());
    let sum = sum(summed);
    place.copy_from_slice(&sum);
    (text, sum)
}

/// Finds the records of a segment, up to the first that is not whole or does not follow.
///
/// # Errors
///
/// A record is damaged and the one behind it is not: a write that broke off does not leave that. It is known by where it begins.
pub(crate) fn scan(text: &[u8]) -> Result<Vec<Frame>, usize> {
    let mut frames: Vec<Frame> = Vec::new();
    let mut start = 0;
    while let Some(frame) = head(text, start) {
        if frames.last().is_some_and(|last| last.sum != frame.before || last.number >= frame.number) {
            break;
        }
        if !is_whole(text, start, &frame) {
            let next = head(text, frame.payload.end);
            let is_followed =
                next.is_some_and(|next| next.before == frame.sum && is_whole(text, frame.payload.end, &next));
            // Of the first record nothing tells whether its head is what is left of an older one.
            if is_followed && !frames.is_empty() {
                return Err(start);
            }
            break;
        }
        start = frame.payload.end;
        frames.push(frame);
    }
    Ok(frames)
}

/// Reads what is in front of a record, which may be anything.
fn head(text: &[u8], start: usize) -> Option<Frame> {
    let (sum, rest) = text.get(start..)?.split_first_chunk::<16>()?;
    let (before, numbers) = rest.split_first_chunk::<16>()?;
    let (number, numbers) = numbers.split_first_chunk::<8>()?;
    let (keep_from, numbers) = numbers.split_first_chunk::<8>()?;
    let (length, _) = numbers.split_first_chunk::<8>()?;
    let [number, keep_from, length] = [number, keep_from, length].map(|bytes| u64::from_le_bytes(*bytes));
    let begin = start + HEAD;
    let payload = begin..begin.checked_add(usize::try_from(length).ok()?)?;
    Some(Frame { sum: *sum, before: *before, number, keep_from, payload })
}

fn is_whole(text: &[u8], start: usize, frame: &Frame) -> bool {
    text.get(start + frame.sum.len()..frame.payload.end).is_some_and(|summed| sum(summed) == frame.sum)
}

fn sum(bytes: &[u8]) -> Sum {
    let mut sum = Sum::default();
    blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut sum);
    sum
}
