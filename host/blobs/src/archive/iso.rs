//! Images of ISO 9660 file systems (ECMA-119), with the names of Rock Ridge (IEEE P1282) or Joliet where they have them.
//!
//! Rock Ridge comes first, as it has links and the names of Unix; then Joliet; then the plain names without their version
//! numbers. UDF is not read: an image that has its files in UDF alone is told apart by [`read`].

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

use crate::frame::{Emit, EntryKind};

/// Bytes of a sector, in which descriptors and records of folders stand.
const SECTOR: u64 = 2048;

/// The sector of the first volume descriptor (ECMA-119, 6.2.1).
const FIRST_DESCRIPTOR: u64 = 16;

/// Most volume descriptors that are looked at.
const MAX_DESCRIPTORS: u64 = 32;

/// Most bytes of one folder's records.
const MAX_FOLDER_BYTES: u32 = 64 << 20;

/// Most folders inside each other.
const MAX_DEPTH: usize = 64;

/// Most areas that one record's system use goes on in.
const MAX_CONTINUED: usize = 16;

/// Tells whether a file is such an image.
pub(super) fn is_iso(file: &mut File) -> io::Result<bool> {
    file.seek(SeekFrom::Start(FIRST_DESCRIPTOR * SECTOR + 1))?;
    let mut word = [0; 5];
    Ok(file.read_exact(&mut word).is_ok() && &word == b"CD001")
}

/// Tells the entries of an image.
pub(super) fn read(file: File, emit: &mut Emit<impl Write>) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut image =
        Image { file, length, block: SECTOR, names: Names::Plain, skip: 0, seen: BTreeSet::new() };
    let root = image.choose()?;
    image.folder(root, "", 0, emit)
}

fn broken(words: &str) -> io::Error {
    io::Error::other(format!("the image is damaged: {words}"))
}

/// Which names of the image are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    Plain,
    Joliet,
    RockRidge,
}

/// A run of bytes on the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    block: u32,
    size: u32,
}

/// One record of a folder (ECMA-119, 9.1).
#[derive(Debug)]
struct Record {
    extent: Extent,
    is_folder: bool,
    /// The file goes on in the next record of the same name.
    goes_on: bool,
    name: Vec<u8>,
    system_use: Vec<u8>,
}

/// What Rock Ridge says of a record.
#[derive(Debug, Default)]
struct Unix {
    name: Vec<u8>,
    mode: u32,
    target: Option<String>,
    /// Where a folder is that stands elsewhere, as ECMA-119 allows only eight levels.
    moved_to: Option<u32>,
    /// The folder is shown elsewhere.
    is_moved: bool,
}

struct Image {
    file: File,
    length: u64,
    block: u64,
    names: Names,
    /// Bytes before the entries of Rock Ridge in each system use area.
    skip: usize,
    /// The folders that were visited: one inside itself would have no end.
    seen: BTreeSet<u32>,
}

impl Image {
    /// Reads the descriptors and returns the root of the names that are used.
    fn choose(&mut self) -> io::Result<Extent> {
        let (mut plain, mut joliet) = (None, None);
        for sector in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + MAX_DESCRIPTORS {
            let bytes = self.bytes(sector * SECTOR, SECTOR)?;
            if bytes.get(1..6) != Some(b"CD001") {
                break;
            }
            match bytes.first() {
                Some(1) if plain.is_none() => {
                    self.block = u64::from(u16::from_le_bytes(array(&bytes, 128)?));
                    plain = Some(record(bytes.get(156..190).unwrap_or_default())?.extent);
                }
                Some(2) if is_joliet(&bytes) => {
                    joliet = Some(record(bytes.get(156..190).unwrap_or_default())?.extent);
                }
                Some(255) => break,
                _ => {}
            }
        }
        let plain = plain.ok_or_else(|| broken("it has no primary volume descriptor"))?;
        if !matches!(self.block, 512 | 1024 | 2048) {
            return Err(broken("its blocks have no size that is allowed"));
        }
        if let Some(skip) = self.rock_ridge(plain)? {
            (self.names, self.skip) = (Names::RockRidge, skip);
            return Ok(plain);
        }
        if let Some(joliet) = joliet {
            self.names = Names::Joliet;
            return Ok(joliet);
        }
        Ok(plain)
    }

    /// Looks for the sign of Rock Ridge in the root (SUSP 5.3) and returns the bytes to skip.
    fn rock_ridge(&mut self, root: Extent) -> io::Result<Option<usize>> {
        let records = self.records(root)?;
        let own = records.first().map(|record| record.system_use.as_slice()).unwrap_or_default();
        let sign = (0..=own.len().min(16)).find(|at| own.get(*at..at + 2) == Some(b"SP"));
        Ok(sign.and_then(|at| match own.get(at + 4..at + 7) {
            Some([0xbe, 0xef, skip]) => Some(usize::from(*skip)),
            _ => None,
        }))
    }

    /// Tells what is in a folder, and in its folders.
    fn folder(
        &mut self,
        folder: Extent,
        path: &str,
        depth: usize,
        emit: &mut Emit<impl Write>,
    ) -> io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(broken("it has more than 64 folders inside each other"));
        }
        if !self.seen.insert(folder.block) {
            return Err(broken("a folder is inside itself"));
        }
        let records = self.records(folder)?;
        let mut parts: Vec<Extent> = Vec::new();
        // The first two are the folder itself and the one that it is in.
        for record in records.into_iter().skip(2) {
            let unix = self.unix(&record)?;
            let name = self.name(&record, &unix);
            if unix.is_moved || name.is_empty() {
                continue;
            }
            let path = if path.is_empty() { name } else { format!("{path}/{name}") };
            if let Some(block) = unix.moved_to {
                let extent = self.moved(block)?;
                emit.entry(path.clone(), EntryKind::Folder)?;
                self.folder(extent, &path, depth + 1, emit)?;
            } else if let Some(target) = unix.target {
                emit.entry(path, EntryKind::Symlink(target))?;
            } else if record.is_folder {
                emit.entry(path.clone(), EntryKind::Folder)?;
                self.folder(record.extent, &path, depth + 1, emit)?;
            } else {
                parts.push(record.extent);
                if record.goes_on {
                    continue;
                }
                self.content(path, unix.mode, std::mem::take(&mut parts), emit)?;
            }
        }
        Ok(())
    }

    /// Tells a file with its bytes, or a device.
    fn content(
        &mut self,
        path: String,
        mode: u32,
        parts: Vec<Extent>,
        emit: &mut Emit<impl Write>,
    ) -> io::Result<()> {
        const KIND: u32 = 0o170_000;
        const REGULAR: u32 = 0o100_000;
        if mode & KIND != 0 && mode & KIND != REGULAR {
            return emit.entry(path, EntryKind::Other(format!("mode {mode:o}")));
        }
        let size = parts.iter().map(|part| u64::from(part.size)).sum();
        let mut content = Content { image: self, parts: parts.into_iter(), left: 0 };
        emit.file(path, (size, mode & 0o111 != 0), &mut content)
    }

    /// Returns the extent of a folder whose size only its own first record has.
    fn moved(&mut self, block: u32) -> io::Result<Extent> {
        let bytes = self.bytes(u64::from(block) * self.block, SECTOR)?;
        Ok(record(bytes.get(..34).unwrap_or_default())?.extent)
    }

    fn records(&mut self, folder: Extent) -> io::Result<Vec<Record>> {
        if folder.size > MAX_FOLDER_BYTES {
            return Err(broken("a folder has more than 64 MiB of records"));
        }
        let bytes = self.bytes(u64::from(folder.block) * self.block, u64::from(folder.size))?;
        let mut records = Vec::new();
        // No record goes over the end of a sector; the rest of one is zeros.
        for sector in bytes.chunks(usize::try_from(SECTOR).unwrap_or(2048)) {
            let mut rest = sector;
            while let Some(length) = rest.first().map(|length| usize::from(*length)).filter(|l| *l > 0) {
                let whole = rest.get(..length).ok_or_else(|| broken("a record goes beyond its sector"))?;
                records.push(record(whole)?);
                rest = rest.get(length..).unwrap_or_default();
            }
        }
        Ok(records)
    }

    /// Returns the name of a record as it is used.
    fn name(&self, record: &Record, unix: &Unix) -> String {
        match self.names {
            Names::RockRidge if !unix.name.is_empty() => String::from_utf8_lossy(&unix.name).into_owned(),
            Names::Joliet => {
                let units = record.name.chunks_exact(2).map(|pair| match pair {
                    [high, low] => u16::from_be_bytes([*high, *low]),
                    _ => 0,
                });
                without_version(
                    &char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect::<String>(),
                )
            }
            _ => without_version(&String::from_utf8_lossy(&record.name)),
        }
    }

    /// Reads what Rock Ridge says of a record.
    fn unix(&mut self, record: &Record) -> io::Result<Unix> {
        let mut unix = Unix::default();
        if self.names != Names::RockRidge {
            return Ok(unix);
        }
        let mut link = Link::default();
        let mut area = record.system_use.get(self.skip..).unwrap_or_default().to_vec();
        for _ in 0..MAX_CONTINUED {
            let mut next = None;
            let mut rest = area.as_slice();
            while let Some([first, second, length, _version]) = rest.first_chunk::<4>() {
                let Some(data) = rest.get(4..usize::from(*length)) else { break };
                match (first, second) {
                    (b'N', b'M') => unix.name.extend(data.get(1..).unwrap_or_default()),
                    (b'P', b'X') => unix.mode = u32::from_le_bytes(array(data, 0)?),
                    (b'S', b'L') => link.add(data.get(1..).unwrap_or_default()),
                    (b'C', b'L') => unix.moved_to = Some(u32::from_le_bytes(array(data, 0)?)),
                    (b'R', b'E') => unix.is_moved = true,
                    (b'C', b'E') => next = Some((number(data, 0)?, number(data, 8)?, number(data, 16)?)),
                    (b'S', b'T') => break,
                    _ => {}
                }
                rest = rest.get(usize::from(*length)..).unwrap_or_default();
            }
            let Some((block, offset, length)) = next else { break };
            area =
                self.bytes(u64::from(block) * self.block + u64::from(offset), u64::from(length.min(2048)))?;
        }
        unix.target = link.done();
        Ok(unix)
    }

    /// Reads a few bytes at a place.
    fn bytes(&mut self, at: u64, length: u64) -> io::Result<Vec<u8>> {
        if at.saturating_add(length) > self.length {
            return Err(broken("it ends before its files do; was all of it uploaded?"));
        }
        self.file.seek(SeekFrom::Start(at))?;
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// The bytes of a file, extent by extent.
struct Content<'a> {
    image: &'a mut Image,
    parts: std::vec::IntoIter<Extent>,
    left: u64,
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            let Some(part) = self.parts.next() else { return Ok(0) };
            let at = u64::from(part.block) * self.image.block;
            if at.saturating_add(u64::from(part.size)) > self.image.length {
                return Err(broken("it ends before its files do; was all of it uploaded?"));
            }
            self.image.file.seek(SeekFrom::Start(at))?;
            self.left = u64::from(part.size);
        }
        let read = (&self.image.file).take(self.left).read(buffer)?;
        self.left = self.left.saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

/// The target of a link, which Rock Ridge writes element by element (P1282, 4.1.3).
#[derive(Debug, Default)]
struct Link {
    elements: Vec<String>,
    goes_on: bool,
    any: bool,
}

impl Link {
    fn add(&mut self, mut rest: &[u8]) {
        self.any = true;
        while let Some([flags, length]) = rest.first_chunk::<2>() {
            let text = rest.get(2..2 + usize::from(*length)).unwrap_or_default();
            let element = match flags & 0b1110 {
                0b0010 => ".".to_owned(),
                0b0100 => "..".to_owned(),
                // The root: the target begins with a slash.
                0b1000 => String::new(),
                _ => String::from_utf8_lossy(text).into_owned(),
            };
            match self.elements.last_mut().filter(|_| self.goes_on) {
                Some(last) => last.push_str(&element),
                None => self.elements.push(element),
            }
            self.goes_on = flags & 1 != 0;
            rest = rest.get(2 + usize::from(*length)..).unwrap_or_default();
        }
    }

    fn done(self) -> Option<String> {
        let root = self.elements.len() == 1 && self.elements.iter().all(String::is_empty);
        self.any.then(|| if root { "/".to_owned() } else { self.elements.join("/") })
    }
}

/// Reads one record.
fn record(bytes: &[u8]) -> io::Result<Record> {
    let short = || broken("a record of a folder is too short");
    let at = |index: usize| bytes.get(index).copied().ok_or_else(short);
    let extent =
        Extent { block: u32::from_le_bytes(array(bytes, 2)?), size: u32::from_le_bytes(array(bytes, 10)?) };
    if at(26)? != 0 {
        return Err(broken("a file is interleaved, which nothing made in this century is"));
    }
    let skipped = u32::from(at(1)?);
    let length = usize::from(at(32)?);
    let name = bytes.get(33..33 + length).ok_or_else(short)?.to_vec();
    // A name of even length is followed by a byte that fills up.
    let system_use = bytes.get(33 + length + (length + 1) % 2..).unwrap_or_default().to_vec();
    let flags = at(25)?;
    Ok(Record {
        extent: Extent { block: extent.block.saturating_add(skipped), ..extent },
        is_folder: flags & 0b10 != 0,
        goes_on: flags & 0x80 != 0,
        name,
        system_use,
    })
}

/// Tells whether a supplementary descriptor is one of Joliet, by its escape sequence.
fn is_joliet(descriptor: &[u8]) -> bool {
    matches!(descriptor.get(88..91), Some(b"%/@" | b"%/C" | b"%/E"))
}

/// Takes the version number off a plain name, and the dot of an empty extension.
fn without_version(name: &str) -> String {
    let name = name.rsplit_once(';').map_or(name, |(name, _)| name);
    name.strip_suffix('.').unwrap_or(name).to_owned()
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> io::Result<[u8; N]> {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk::<N>());
    found.copied().ok_or_else(|| broken("a record is too short"))
}

fn number(bytes: &[u8], at: usize) -> io::Result<u32> {
    Ok(u32::from_le_bytes(array(bytes, at)?))
}
