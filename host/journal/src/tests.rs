//! Journals that are opened again, torn writes, and what is left of older records.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;

/// Segments in memory, which are there again for who opens them anew.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<Vec<u8>>>>);

struct Part(Memory, usize);

impl Part {
    fn with<T>(&self, act: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        act(&mut self.0.0.lock().unwrap()[self.1])
    }
}

impl Media for Memory {
    fn open(&mut self, number: usize, make: bool) -> io::Result<Option<Box<dyn Medium>>> {
        let mut segments = self.0.lock().unwrap();
        if number >= segments.len() {
            assert_eq!(number, segments.len());
            if !make {
                return Ok(None);
            }
            segments.push(Vec::new());
        }
        Ok(Some(Box::new(Part(self.clone(), number))))
    }
}

impl Medium for Part {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.with(|text| text.clone()))
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(|text| {
            let (start, end) = (offset as usize, offset as usize + bytes.len());
            assert!(start <= text.len());
            text.resize(text.len().max(end), 0);
            text[start..end].copy_from_slice(bytes);
        });
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.with(Vec::clear);
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
fn torn(before: &Memory, after: &Memory, which: u64) -> Memory {
    let (before, after) = (before.0.lock().unwrap(), after.0.lock().unwrap());
    let mut all = after.clone();
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
    Memory(Arc::new(Mutex::new(all)))
}

fn copy(memory: &Memory) -> Memory {
    Memory(Arc::new(Mutex::new(memory.0.lock().unwrap().clone())))
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
            let before = (copy(&memory), model.clone());
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
    assert!(memory.0.lock().unwrap().len() <= 4);
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
    assert!(memory.0.lock().unwrap().iter().all(|text| text.len() < 1000));
}

#[test]
fn bytes_of_a_record_that_look_like_a_record_are_never_taken_for_one() {
    let memory = Memory::default();
    let (mut journal, _) = open(&memory);
    // Who writes into the journal knows the form of a record, and not the sum of the one before it.
    let (forged, _) = frame::encode(Sum::default(), 3, 0, &[b"forged"]);
    journal.append(1, 0, &[b"first"]).unwrap();
    let end = memory.0.lock().unwrap()[0].len();
    journal.append(2, 0, &[&forged]).unwrap();
    // The write of the second record tore where the forged one begins at the end of the first.
    memory.0.lock().unwrap()[0].splice(end.., forged);
    assert_eq!(open(&memory).1, [(1, b"first".to_vec())]);
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
