//! A disk of a database and its journal that loses power.

use std::{
    io,
    sync::{Arc, Mutex},
};

use formwork_journal::{Media, Medium};
use redb::StorageBackend;

/// A small generator of numbers, so that each round of the crash test can be run again.
#[derive(Debug)]
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// A disk that keeps of each file what was synced, and of the rest what chance keeps. The first file is the database, the others
/// are segments of its journal.
#[derive(Clone, Debug)]
pub(super) struct Disk(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    files: Vec<Content>,
    /// Operations until the power goes.
    fuse: u64,
    numbers: Numbers,
}

#[derive(Debug, Default)]
struct Content {
    /// What the program sees.
    cached: Vec<u8>,
    /// What outlives the loss of power for sure.
    synced: Vec<u8>,
    /// Writes since the last sync.
    pending: Vec<(usize, Vec<u8>)>,
}

impl Disk {
    pub(super) fn new(images: Vec<Vec<u8>>, fuse: u64) -> Self {
        let numbers = Numbers(fuse.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let files = images
            .into_iter()
            .map(|image| Content { cached: image.clone(), synced: image, pending: Vec::new() })
            .collect();
        Self(Arc::new(Mutex::new(Inner { files, fuse, numbers })))
    }

    pub(super) fn images(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().files.iter().map(|file| file.cached.clone()).collect()
    }

    /// Returns what a restart finds: sectors of 512 bytes are written whole or not at all, in any order.
    pub(super) fn after_power_loss(&self) -> Vec<Vec<u8>> {
        let inner = &mut *self.0.lock().unwrap();
        let mut images = Vec::new();
        for file in &mut inner.files {
            let mut image = file.synced.clone();
            image.resize(file.cached.len(), 0);
            for (offset, data) in std::mem::take(&mut file.pending) {
                for (index, sector) in data.chunks(512).enumerate() {
                    let start = offset + index * 512;
                    if inner.numbers.next() & 1 == 0 && start + sector.len() <= image.len() {
                        image[start..start + sector.len()].copy_from_slice(sector);
                    }
                }
            }
            images.push(image);
        }
        images
    }

    fn operate<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> io::Result<T> {
        let mut inner = self.0.lock().unwrap();
        if inner.fuse == 0 {
            return Err(io::Error::other("the power is off"));
        }
        inner.fuse -= 1;
        Ok(act(&mut inner))
    }
}

impl Media for Disk {
    fn open(&mut self, number: usize, make: bool) -> io::Result<Option<Box<dyn Medium>>> {
        let file = OnDisk { disk: self.clone(), file: number + 1 };
        if self.0.lock().unwrap().files.get(file.file).is_some() {
            return Ok(Some(Box::new(file)));
        }
        if !make {
            return Ok(None);
        }
        self.operate(|inner| inner.files.push(Content::default()))?;
        Ok(Some(Box::new(file)))
    }
}

#[derive(Debug)]
pub(super) struct OnDisk {
    pub(super) disk: Disk,
    pub(super) file: usize,
}

impl OnDisk {
    fn operate(&self, act: impl FnOnce(&mut Content)) -> io::Result<()> {
        self.disk.operate(|inner| act(&mut inner.files[self.file]))
    }
}

impl StorageBackend for OnDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.0.lock().unwrap().files[self.file].cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.disk.0.lock().unwrap();
        let from = inner.files[self.file].cached.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.operate(|file| file.cached.resize(len as usize, 0))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.operate(|file| {
            file.synced = file.cached.clone();
            file.pending.clear();
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.operate(|file| {
            file.cached[offset as usize..offset as usize + data.len()].copy_from_slice(data);
            file.pending.push((offset as usize, data.to_vec()));
        })
    }
}

impl Medium for OnDisk {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.disk.0.lock().unwrap().files[self.file].cached.clone())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset + bytes.len() as u64;
        if StorageBackend::len(self)? < end {
            self.set_len(end)?;
        }
        StorageBackend::write(self, offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn clear(&mut self) -> io::Result<()> {
        self.set_len(0)
    }
}
