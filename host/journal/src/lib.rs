//! A journal: records that are durable when they are appended, until their owner has them elsewhere.
//!
//! A record costs one write and one flush, which is the least that durability takes. The records lie one after the other in a
//! few segments. When one is long enough, the next record begins another, if there is one of which nothing is needed any more
//! over what is there: a file whose length does not change is flushed faster.
//!
//! Each record has the sum of the one before it in its own, so that what is left of older records behind the end is never
//! taken for a part of the journal, whatever bytes somebody has put into it.
//!
//! | module | holds |
//! |---|---|
//! | `frame` | a record as bytes |
//! | `media` | where segments are: files of a folder, or what a test makes of it |

mod frame;
mod media;

use std::{io, ops::Range};

use frame::{Frame, Sum};
pub use media::{Folder, Media, Medium};

/// An open journal.
pub struct Journal {
    media: Box<dyn Media>,
    segments: Vec<Segment>,
    /// The segment that the last record is in, if there is one.
    current: Option<usize>,
    /// The sum of the last record.
    sum: Sum,
    /// The number of the last record.
    last: u64,
    /// Records of lower numbers are not needed, and that is durable.
    keep_from: u64,
    segment_bytes: u64,
}

/// A part of the journal.
struct Segment {
    medium: Box<dyn Medium>,
    /// Where the next record goes.
    end: u64,
    /// The number of the last record; zero without any.
    last: u64,
    /// How many bytes it may have.
    length: u64,
}

/// What an opened journal holds.
#[derive(Debug, Default)]
pub struct Records {
    parts: Vec<Part>,
    keep_from: u64,
}

/// The records of one segment.
#[derive(Debug)]
struct Part {
    text: Vec<u8>,
    frames: Vec<Frame>,
}

impl Records {
    /// Returns the records that are needed, each with its number, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let all = self.parts.iter().flat_map(|part| part.frames.iter().map(move |frame| (part, frame)));
        all.filter(|(_, frame)| frame.number >= self.keep_from)
            .map(|(part, frame)| (frame.number, part.bytes(frame.payload.clone())))
    }
}

impl Part {
    fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.text.get(range).unwrap_or_default()
    }
}

impl Journal {
    /// Opens a journal, and returns what it holds. The next records follow that. A segment ends with the first record that goes
    /// beyond `segment_bytes`.
    ///
    /// A record that was not written whole ends the reading: it was never acknowledged. One that is whole may not have been
    /// acknowledged either; it is durable when this returns.
    ///
    /// # Errors
    ///
    /// Those of the media; and a record before the last one of its segment is damaged.
    pub fn open(mut media: Box<dyn Media>, segment_bytes: u64) -> io::Result<(Self, Records)> {
        let (mut segments, mut parts) = (Vec::new(), Vec::new());
        while let Some(mut medium) = media.open(segments.len(), false)? {
            let text = medium.read()?;
            let frames = frame::scan(&text).map_err(|start| {
                let reason = format!("the record at byte {start} of segment {} is damaged", segments.len());
                io::Error::new(io::ErrorKind::InvalidData, reason)
            })?;
            segments.push(Segment { medium, end: 0, last: 0, length: text.len() as u64 });
            parts.push(Some(Part { text, frames }));
        }
        let mut journal = Self {
            media,
            segments,
            current: None,
            sum: Sum::default(),
            last: 0,
            keep_from: 0,
            segment_bytes,
        };
        let mut parts = journal.take(parts);
        journal.flush_last(&parts)?;
        let keep_from = journal.keep_from;
        parts.retain(|part| part.frames.last().is_some_and(|last| last.number >= keep_from));
        Ok((journal, Records { parts, keep_from }))
    }

    /// Returns the number of the last record; zero before the first.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Appends a record with a number above that of the last, which also says that records below `keep_from` are not needed
    /// any more. The record outlives a loss of power when this returns.
    ///
    /// # Errors
    ///
    /// Those of the media. It is then not known whether the record is there; the next one takes its place.
    pub fn append(&mut self, number: u64, keep_from: u64, payload: &[&[u8]]) -> io::Result<()> {
        let (text, sum) = frame::encode(self.sum, number, keep_from, payload);
        let place = self.place()?;
        let Some(segment) = self.segments.get_mut(place) else { return Err(io::ErrorKind::NotFound.into()) };
        let end = segment.end + text.len() as u64;
        segment.length = segment.length.max(end);
        segment.medium.write(segment.end, &text)?;
        segment.medium.sync()?;
        segment.end = end;
        segment.last = number;
        (self.current, self.sum, self.last, self.keep_from) = (Some(place), sum, number, keep_from);
        Ok(())
    }

    /// Returns the segment for the next record.
    fn place(&mut self) -> io::Result<usize> {
        if let Some(current) = self.current
            && self.segments.get(current).is_some_and(|segment| segment.end < self.segment_bytes)
        {
            return Ok(current);
        }
        // The record that says that a segment is not needed must be durable before that is written over.
        let free = |(index, segment): &(usize, &Segment)| {
            segment.last < self.keep_from.max(1) && self.current != Some(*index)
        };
        let found = self.segments.iter().enumerate().find(free).map(|(index, _)| index);
        let index = found.unwrap_or(self.segments.len());
        match self.segments.get_mut(index) {
            Some(segment) => {
                // One record of unusual length must not keep its room for good.
                if segment.length > self.segment_bytes.saturating_mul(2) {
                    segment.medium.clear()?;
                    segment.length = 0;
                }
                segment.end = 0;
            }
            None => {
                let medium = self.media.open(index, true)?.ok_or(io::ErrorKind::NotFound)?;
                self.segments.push(Segment { medium, end: 0, last: 0, length: 0 });
            }
        }
        Ok(index)
    }

    /// Writes the last record once more over itself. What was read may never have reached the medium: a process that ended between
    /// its write and its flush has left it in the system's memory, and after a flush that failed the system takes it for clean.
    fn flush_last(&mut self, parts: &[Part]) -> io::Result<()> {
        let last = parts.last().and_then(|part| Some((part, part.frames.last()?)));
        let segment = self.current.and_then(|current| self.segments.get_mut(current));
        let (Some((part, frame)), Some(segment)) = (last, segment) else { return Ok(()) };
        let start = frame.payload.start - frame::HEAD;
        segment.medium.write(start as u64, part.bytes(start..frame.payload.end))?;
        segment.medium.sync()
    }

    /// Goes back from the latest segment as long as each record has the sum of the one before it, and takes those in.
    fn take(&mut self, mut parts: Vec<Option<Part>>) -> Vec<Part> {
        let first = |part: &Option<Part>| part.as_ref()?.frames.first().map(|frame| frame.number);
        let mut order: Vec<_> =
            (0..parts.len()).filter_map(|index| Some((first(parts.get(index)?)?, index))).collect();
        order.sort_unstable();
        let mut taken = Vec::new();
        let mut wanted = None;
        for (_, index) in order.into_iter().rev() {
            let Some(part) = parts.get_mut(index).and_then(Option::take) else { break };
            let (Some(first), Some(last)) = (part.frames.first(), part.frames.last()) else { break };
            if wanted.is_some_and(|wanted| wanted != last.sum) {
                break;
            }
            if wanted.is_none() {
                (self.current, self.sum, self.last) = (Some(index), last.sum, last.number);
                self.keep_from = last.keep_from;
            }
            wanted = Some(first.before);
            if let Some(segment) = self.segments.get_mut(index) {
                (segment.end, segment.last) = (last.payload.end as u64, last.number);
            }
            taken.push(part);
        }
        taken.reverse();
        taken
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Journal").field("last", &self.last).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
