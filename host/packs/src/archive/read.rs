//! Reads a pack file from front to back.

use std::io::Read;

use bytes::Bytes;

use super::{
    Archive, ArchiveError, ArchiveManifest, LIST, Member, SIGNATURE,
    blocks::{Blocks, Head},
    manifest::MAX_LIST_BYTES,
    signature::{self, MAX_SIGNATURE_BYTES},
};
use crate::{Pack, assemble::assemble, digest, files::Files};

impl Archive {
    /// Reads a pack file, checks each member against its digest and the list of members against the signature.
    ///
    /// Memory: what `pack.json` declares, at most [`crate::MAX_TOTAL_BYTES`], and never before it is there. Whether the one who signed is
    /// trusted is for [`crate::Trust`].
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with the file; else all faults of the pack in it together.
    pub fn read(from: impl Read) -> Result<Self, ArchiveError> {
        let mut blocks = Blocks::new(from);
        let list = read_list(&mut blocks)?;
        let manifest = ArchiveManifest::parse(&list)?;
        let mut head = blocks.head()?;
        let mut signature = None;
        if let Some(found) = head.take_if(|head| head.name == SIGNATURE) {
            let text = bounded(&mut blocks, &found, MAX_SIGNATURE_BYTES)?;
            signature = Some(signature::verify(&list, &text)?);
            head = blocks.head()?;
        }
        let mut files = Files::new();
        for member in &manifest.members {
            expect(&manifest, &files, member, head.as_ref())?;
            files.insert(member.path.clone(), read_member(&mut blocks, member)?);
            head = blocks.head()?;
        }
        if let Some(found) = head {
            return Err(surplus(&files, &found));
        }
        blocks.finish()?;
        let pack = assemble(&files)?;
        check_names(&manifest, &pack)?;
        Ok(Self { manifest, list, files, signature, pack })
    }
}

impl ArchiveManifest {
    /// Reads no more of a pack file than its list of members: what it is called, before anything else is known of it.
    ///
    /// # Errors
    ///
    /// The file does not begin with a sound list.
    pub fn read(from: impl Read) -> Result<Self, ArchiveError> {
        Self::parse(&read_list(&mut Blocks::new(from))?)
    }
}

fn read_list<R: Read>(blocks: &mut Blocks<R>) -> Result<Vec<u8>, ArchiveError> {
    match blocks.head()? {
        None => Err(ArchiveError::damaged("there is no member in it")),
        Some(head) if head.name != LIST => {
            Err(ArchiveError::refused(head.name, format!("the first member must be `{LIST}`")))
        }
        Some(head) => bounded(blocks, &head, MAX_LIST_BYTES),
    }
}

fn bounded<R: Read>(blocks: &mut Blocks<R>, head: &Head, limit: u64) -> Result<Vec<u8>, ArchiveError> {
    if head.size > limit {
        return Err(ArchiveError::refused(&head.name, format!("longer than {limit} bytes")));
    }
    blocks.bytes(head.size)
}

/// Checks that what comes next is the member that must come next.
fn expect(
    manifest: &ArchiveManifest,
    done: &Files,
    member: &Member,
    head: Option<&Head>,
) -> Result<(), ArchiveError> {
    let Some(head) = head else {
        return Err(ArchiveError::refused(&member.path, "the member is missing"));
    };
    if head.name == member.path {
        if head.size == member.size {
            return Ok(());
        }
        let reason = format!("it has {} bytes, `{LIST}` says {}", head.size, member.size);
        return Err(ArchiveError::refused(&member.path, reason));
    }
    let later = |listed: &Member| listed.path == head.name && !done.contains_key(&head.name);
    if manifest.members.iter().any(later) {
        let reason = format!("the member is missing, or not in its place; there is `{}`", head.name);
        return Err(ArchiveError::refused(&member.path, reason));
    }
    Err(surplus(done, head))
}

/// Says why there is no place for a member.
fn surplus(done: &Files, head: &Head) -> ArchiveError {
    let reason = match head.name.as_str() {
        LIST => String::from("the member is there twice"),
        SIGNATURE => format!("there may be one, after `{LIST}`"),
        name if done.contains_key(name) => String::from("the member is there twice"),
        _ => format!("the member is not in `{LIST}`"),
    };
    ArchiveError::refused(&head.name, reason)
}

fn read_member<R: Read>(blocks: &mut Blocks<R>, member: &Member) -> Result<Bytes, ArchiveError> {
    let bytes = blocks.bytes(member.size)?;
    if digest(&bytes) != member.blake3 {
        let reason = format!("its bytes do not have the digest that `{LIST}` gives");
        return Err(ArchiveError::refused(&member.path, reason));
    }
    Ok(Bytes::from(bytes))
}

/// Checks that the list speaks of the pack that it lists.
fn check_names(manifest: &ArchiveManifest, pack: &Pack) -> Result<(), ArchiveError> {
    let meta = &pack.meta;
    if (&manifest.name, &manifest.version) == (&meta.name, &meta.version) {
        return Ok(());
    }
    let reason = format!(
        "it is for `{}` {}, but the pack is `{}` {}",
        manifest.name, manifest.version, meta.name, meta.version
    );
    Err(ArchiveError::refused(LIST, reason))
}
