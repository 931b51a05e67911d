//! Journals that are opened again, torn writes, and what is left of older records.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;

/// Segments in memory, which are there again for who opens them anew.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Inner>>);

#[derive(Clone, Default)]
struct Inner {
    segments: Vec<Content>,
    sync_fails: bool,
}

#[derive(Clone, Default)]
struct Content {
    /// What a reader finds.
    text: Vec<u8>,
    /// What outlives a loss of power.
    synced: Vec<u8>,
    /// What the next sync has to write.
    dirty: Vec<Range<usize>>,
}

impl Memory {
    fn of(texts: Vec<Vec<u8>>) -> Self {
        let segment = |text: Vec<u8>| Content { synced: text.clone(), text, dirty: Vec::new() };
        let segments = texts.into_iter().map(segment).collect();
        Self(Arc::new(Mutex::new(Inner { segments, sync_fails: false })))
    }

    fn texts(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().segments.iter().map(|segment| segment.text.clone()).collect()
    }

    fn after_power_loss(&self) -> Self {
        Self::of(self.0.lock().unwrap().segments.iter().map(|segment| segment.synced.clone()).collect())
    }

    fn sync_fails(&self, fails: bool) {
        self.0.lock().unwrap().sync_fails = fails;
    }
}

struct Part(Memory, usize);

impl Media for Memory {
    fn open(&mut self, number: usize, make: bool) -> io::Result<Option<Box<dyn Medium>>> {
        let mut inner = self.0.lock().unwrap();
        if number >= inner.segments.len() {
            assert_eq!(number, inner.segments.len());
            if !make {
                return Ok(None);
            }
            inner.segments.push(Content::default());
        }
        Ok(Some(Box::new(Part(self.clone(), number))))
    }
}

impl Medium for Part {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.0.texts().swap_remove(self.1))
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let content = &mut self.0.0.lock().unwrap().segments[self.1];
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        assert!(start <= content.text.len());
        content.text.resize(content.text.len().max(end), 0);
        content.text[start..end].copy_from_slice(bytes);
        content.dirty.push(start..end);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let inner = &mut *self.0.0.lock().unwrap();
        let content = &mut inner.segments[self.1];
        // Linux takes what it failed to write for written.
        let dirty = std::mem::take(&mut content.dirty);
        if inner.sync_fails {
            return Err(io::Error::other("the disk is ill"));
        }
        content.synced.resize(content.text.len(), 0);
        for range in dirty {
            content.synced[range.clone()].copy_from_slice(&content.text[range]);
        }
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.0.0.lock().unwrap().segments[self.1] = Content::default();
        Ok(())
    }
}

const SEGMENT_BYTES: u64 = 400;

fn open(memory: &Memory) -> (Journal, Vec<(u64, Vec<u8>)>) {
    let (journal, records) = Journal::open(Box::new(memory.clone()), SEGMENT_BYTES).unwrap();
    let records = records.iter().map(|(number, bytes)| (number, bytes.to_vec())).collect();
    (journal, records)
}

/// Some of what was written after `before` reached the disk: parts of eight bytes, by the bits of `which`.
fn torn(before: &[Vec<u8>], after: &Memory, which: u64) -> Memory {
    let mut all = after.texts();
    for (number, text) in all.iter_mut().enumerate() {
        let old = before.get(number).map(Vec::as_slice).unwrap_or_default();
        for (index, part) in text.chunks_mut(8).enumerate() {
            if which.rotate_left(index as u32) & 1 == 0 {
                for (place, byte) in part.iter_mut().enumerate() {
                    *byte = old.get(index * 8 + place).copied().unwrap_or(0);
                }
            }
        }
    }
    Memory::of(all)
}

proptest! {
    #[test]
    fn what_was_appended_and_is_needed_is_read_back_whatever_is_torn(
        steps in prop::collection::vec((0_usize..300, 0_u64..12, any::<u64>(), any::<bool>()), 1..60),
    ) {
        let memory = Memory::default();
        let (mut journal, found) = open(&memory);
        prop_assert!(found.is_empty());
        let mut model: Vec<(u64, Vec<u8>)> = Vec::new();
        for (length, behind, which, is_opened_again) in steps {
            let before = (memory.texts(), model.clone());
            let number = journal.last() + 1 + which % 3;
            // What is needed never goes back.
            let needed = model.first().map_or(0, |(number, _)| *number);
            let keep_from = number.saturating_sub(behind).max(needed);
            let payload = vec![which as u8; length];
            let (front, rest) = payload.split_at(length / 2);
            journal.append(number, keep_from, &[front, rest]).unwrap();
            model.push((number, payload));
            model.retain(|(number, _)| *number >= keep_from);

            let (_, found) = open(&torn(&before.0, &memory, which));
            prop_assert!(found == model || found == before.1, "torn");
            prop_assert_eq!(&open(&memory.after_power_loss()).1, &model);
            if is_opened_again {
                let found;
                (journal, found) = open(&memory);
                prop_assert_eq!(&found, &model);
            }
        }
    }
}

#[test]
fn segments_are_used_again_when_nothing_in_them_is_needed() {
    let memory = Memory::default();
    let (mut journal, _) = open(&memory);
    for number in 1..=1000 {
        journal.append(number, number.saturating_sub(3), &[&[7; 100]]).unwrap();
    }
    assert!(memory.texts().len() <= 4);
}

#[test]
fn record_longer_than_a_segment_is_kept_and_its_room_is_given_back() {
    let memory = Memory::default();
    let (mut journal, _) = open(&memory);
    journal.append(1, 0, &[&[7; 10_000]]).unwrap();
    assert_eq!(open(&memory).1, [(1, vec![7; 10_000])]);
    for number in 2..=20 {
        journal.append(number, number, &[&[7; 100]]).unwrap();
    }
    assert!(memory.texts().iter().all(|text| text.len() < 1000));
}

#[test]
fn bytes_of_a_record_that_look_like_a_record_are_never_taken_for_one() {
    let memory = Memory::default();
    let (mut journal, _) = open(&memory);
    // Who writes into the journal knows the form of a record, and not the sum of the one before it.
    let (forged, _) = frame::encode(Sum::default(), 3, 0, &[b"forged"]);
    journal.append(1, 0, &[b"first"]).unwrap();
    let end = memory.texts()[0].len();
    journal.append(2, 0, &[&forged]).unwrap();
    // The write of the second record tore where the forged one begins at the end of the first.
    let mut text = memory.texts().swap_remove(0);
    text.splice(end.., forged);
    assert_eq!(open(&Memory::of(vec![text])).1, [(1, b"first".to_vec())]);
}

#[test]
fn record_whose_flush_failed_is_durable_once_somebody_has_read_it() {
    let memory = Memory::default();
    let (mut journal, _) = open(&memory);
    journal.append(1, 0, &[b"one"]).unwrap();
    memory.sync_fails(true);
    journal.append(2, 0, &[&[2; SEGMENT_BYTES as usize]]).unwrap_err();
    assert!(Journal::open(Box::new(memory.clone()), SEGMENT_BYTES).is_err());
    memory.sync_fails(false);
    assert_eq!(open(&memory.after_power_loss()).1.len(), 1);
    let (mut journal, found) = open(&memory);
    assert_eq!(found.len(), 2);
    // It goes to another segment.
    journal.append(3, 0, &[b"three"]).unwrap();
    let numbers: Vec<_> = open(&memory.after_power_loss()).1.into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn damage_in_front_of_a_whole_record_is_told_and_not_taken_for_the_end() {
    let memory = Memory::default();
    let (mut journal, _) = open(&memory);
    let mut ends = Vec::new();
    for number in 1..=3 {
        journal.append(number, 0, &[b"words"]).unwrap();
        ends.push(memory.texts()[0].len());
    }
    let damaged = |place: usize| {
        let mut text = memory.texts().swap_remove(0);
        text[place] ^= 1;
        let opened = Journal::open(Box::new(Memory::of(vec![text])), SEGMENT_BYTES);
        opened.map(|(_, records)| records.iter().count()).map_err(|error| error.to_string())
    };
    let second = ends[1] - 1;
    assert_eq!(
        damaged(second).unwrap_err(),
        format!("the record at byte {} of segment 0 is damaged", ends[0])
    );
    assert_eq!(damaged(ends[2] - 1), Ok(2));
}

#[test]
fn folder_is_made_with_the_first_record_and_held_by_one_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let open = || Journal::open(Box::new(Folder::new(&path)), SEGMENT_BYTES);
    let (mut journal, _) = open().unwrap();
    assert!(!path.exists());
    journal.append(1, 0, &[b"one"]).unwrap();
    let error = open().unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
    drop(journal);
    let (journal, records) = open().unwrap();
    assert_eq!(journal.last(), 1);
    assert_eq!(records.iter().collect::<Vec<_>>(), [(1, &b"one"[..])]);
}
