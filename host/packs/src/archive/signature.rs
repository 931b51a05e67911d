//! `pack.sig`: who answers for a pack file.

use formwork_model::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ArchiveError, SIGNATURE, Signer};
use crate::{
    PublicKey, Signature,
    keys::{decode, encode},
};

/// What stands before the bytes that are signed, so that the signature means nothing anywhere else.
const CONTEXT: &[u8] = b"formwork-pack-1\0";

/// The most bytes of `pack.sig`, which has about 300.
pub(super) const MAX_SIGNATURE_BYTES: u64 = 4096;

/// What `pack.sig` says. All of it but the signature is for people: the key id and the time are not signed.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct SignatureFile {
    key_id: String,
    public_key: String,
    signature: String,
    signed_at: Timestamp,
}

/// Signs the bytes of `pack.json` and returns those of `pack.sig`.
pub(super) fn sign(list: &[u8], signer: Signer<'_>) -> Result<Vec<u8>, ArchiveError> {
    let public = signer.key.public();
    let file = SignatureFile {
        key_id: public.id(),
        public_key: public.to_string(),
        signature: encode(&signer.key.sign(&message(list))),
        signed_at: signer.now,
    };
    let mut text = serde_json::to_vec_pretty(&file)
        .map_err(|source| ArchiveError::Transfer { action: "write", source: source.into() })?;
    text.push(b'\n');
    Ok(text)
}

/// Reads `pack.sig` and checks that it signs the bytes of `pack.json`.
pub(super) fn verify(list: &[u8], text: &[u8]) -> Result<Signature, ArchiveError> {
    let file: SignatureFile = serde_json::from_slice(text)
        .map_err(|error| ArchiveError::refused(SIGNATURE, format!("not a signature: {error}")))?;
    let key: PublicKey = file
        .public_key
        .parse()
        .map_err(|error: crate::KeyError| ArchiveError::refused(SIGNATURE, error.to_string()))?;
    let wrong = |reason| Err(ArchiveError::Signature { reason });
    if file.key_id != key.id() {
        return wrong("the key id does not belong to the public key");
    }
    let Ok(signature) = decode(&file.signature) else {
        return wrong("it is not 64 bytes in base64");
    };
    if !key.signed(&message(list), &signature) {
        return wrong("the key that it names did not sign this `pack.json`");
    }
    Ok(Signature { key, signed_at: file.signed_at })
}

fn message(list: &[u8]) -> Vec<u8> {
    [CONTEXT, list].concat()
}
