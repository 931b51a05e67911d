//! `.fwpack`: a pack as one file, with a digest for each member and a signature.
//!
//! The file is a gzip'd tar of regular files in ustar form, in this order:
//!
//! | member | holds |
//! |---|---|
//! | `pack.json` | an [`ArchiveManifest`]: the members with size and BLAKE3 digest, sorted by path |
//! | `pack.sig` | only in signed packs: the public key and its ed25519 signature of `formwork-pack-1`, a zero byte and the bytes of `pack.json` |
//! | the rest | what `pack.json` lists, in its order and with exactly its sizes |
//!
//! It is read in one go from front to back. What is read is bounded by `pack.json`, which is bounded itself; nothing is
//! ever written to a path that a file names. The same folder always gives the same bytes.

mod blocks;
mod manifest;
mod read;
mod signature;
mod write;

use std::path::Path;

use formwork_model::Timestamp;

pub use manifest::{ArchiveManifest, Member};

use crate::{
    Pack, PackError, Signature, SigningKey,
    assemble::assemble,
    digest,
    files::{Files, pack_files},
};

/// The name of the member that lists the others.
const LIST: &str = "pack.json";

/// The name of the member that signs.
const SIGNATURE: &str = "pack.sig";

/// A pack file in memory. Its members are those that it lists, and its signature, if there is one, is right.
#[derive(Clone, Debug)]
pub struct Archive {
    manifest: ArchiveManifest,
    /// The bytes of `pack.json`, which the signature covers.
    list: Vec<u8>,
    files: Files,
    signature: Option<Signature>,
    pack: Pack,
}

/// Who signs a pack, and when.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// The key that signs.
    pub key: &'a SigningKey,
    /// What is written into the signature as its time.
    pub now: Timestamp,
}

/// A pack file could not be read or written. Nothing of it is used then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// Bytes did not come or could not be written.
    #[error("failed to {action} the pack file")]
    Transfer {
        /// What was tried: `read` or `write`.
        action: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The form of the file is broken, so that nothing is known about its members.
    #[error("the pack file is damaged: {reason}")]
    Damaged {
        /// What does not fit.
        reason: String,
    },
    /// One member is not what it must be.
    #[error("`{member}`: {reason}")]
    Refused {
        /// The member's name.
        member: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The signature does not belong to the pack. There is no flag to accept such a pack.
    #[error("the signature of the pack is wrong: {reason}\nhint: fetch the file again from its publisher")]
    Signature {
        /// What does not fit.
        reason: &'static str,
    },
    /// The members are sound, what they say is not.
    #[error(transparent)]
    Pack(#[from] PackError),
}

impl ArchiveError {
    fn refused(member: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Refused { member: member.into(), reason: reason.into() }
    }

    fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged { reason: reason.into() }
    }
}

impl Archive {
    /// Reads the folder of a pack, as [`crate::load_folder`] does, so that it can be written as one file.
    ///
    /// # Errors
    ///
    /// What is wrong with the pack.
    pub fn from_folder(path: &Path) -> Result<Self, ArchiveError> {
        Self::of_files(pack_files(path)?)
    }

    fn of_files(files: Files) -> Result<Self, ArchiveError> {
        let pack = assemble(&files)?;
        let manifest = ArchiveManifest::of(&pack.meta, &files);
        Ok(Self { list: manifest.to_json()?, manifest, files, signature: None, pack })
    }

    /// Returns the name of these contents: the BLAKE3 digest of `pack.json`, which names every byte of the members. It is
    /// the same whoever signed.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&self.list)
    }

    /// Returns the list of members.
    #[must_use]
    pub fn manifest(&self) -> &ArchiveManifest {
        &self.manifest
    }

    /// Returns the pack that is in it.
    #[must_use]
    pub fn pack(&self) -> &Pack {
        &self.pack
    }

    /// Returns the pack that is in it, and drops the rest.
    #[must_use]
    pub fn into_pack(self) -> Pack {
        self.pack
    }

    /// Returns who signed the file that was read.
    #[must_use]
    pub fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }
}

#[cfg(test)]
mod tests;
