//! What the child does that reads an archive: bytes in, entries out.

mod iso;
mod tape;
mod zipped;

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    os::fd::FromRawFd,
    process::ExitCode,
};

use formwork_confine::{Confinement, confine, end_of_child};

use crate::frame::Emit;

/// What the child may use: the largest windows of compressed data take some hundreds of megabytes, and some gigabytes of
/// them some minutes.
const KEEPS: Confinement = Confinement { memory_bytes: 1 << 30, cpu_seconds: 3600, nice: 5 };

/// Bytes that are written to the pipe at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Most memory of one decoder, in KiB.
const MAX_WINDOW_KIB: u32 = 256 << 10;

/// Reads the archive that is its standard input, writes its entries to standard output, and says what is wrong with it on
/// standard error.
///
/// A program's hidden subcommand calls this and nothing else, and before it starts any thread: the whole process gives up
/// what it does not need first.
pub fn archive_worker() -> ExitCode {
    end_of_child(work())
}

fn work() -> Result<(), String> {
    confine(KEEPS)?;
    let mut emit = Emit::new(BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock()));
    read(standard_input(), &mut emit).map_err(|error| error.to_string())?;
    emit.end().map_err(|error| error.to_string())
}

/// Returns the standard input as a file that can be read at any place. No other descriptor of it can be made.
fn standard_input() -> File {
    #[expect(unsafe_code, reason = "there is no safe way to own a descriptor by its number")]
    // SAFETY: descriptor 0 is open, and nothing else in this process reads from it or closes it.
    unsafe {
        File::from_raw_fd(0)
    }
}

/// Reads any archive that is known and tells its entries. One without a byte has none.
fn read(mut archive: File, emit: &mut Emit<impl Write>) -> io::Result<()> {
    let mut first = Vec::new();
    (&archive).take(512).read_to_end(&mut first)?;
    let is_iso = iso::is_iso(&mut archive)?;
    archive.seek(SeekFrom::Start(0))?;
    if first.is_empty() {
        return Ok(());
    }
    if is_iso {
        return iso::read(archive, emit);
    }
    let begins = |magic: &[u8]| first.starts_with(magic);
    if begins(b"PK\x03\x04") || begins(b"PK\x05\x06") {
        return zipped::read(archive, emit);
    }
    let archive = BufReader::with_capacity(BUFFER_BYTES, archive);
    if begins(&[0x1f, 0x8b]) {
        tape::read(flate2::bufread::MultiGzDecoder::new(archive), emit)
    } else if begins(b"BZh") {
        tape::read(bzip2::bufread::MultiBzDecoder::new(archive), emit)
    } else if begins(b"\xfd7zXZ\0") {
        tape::read(lzma_rust2::XzReader::new_mem_limit(archive, true, MAX_WINDOW_KIB), emit)
    } else if begins(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder = ruzstd::decoding::StreamingDecoder::new(archive).map_err(io::Error::other)?;
        tape::read(decoder, emit)
    } else if tape::is_tape(&first) {
        tape::read(archive, emit)
    } else {
        Err(io::Error::other(
            "it is no archive that is known here: tar, tar with gzip, bzip2, xz or zstd, zip, ISO 9660",
        ))
    }
}
