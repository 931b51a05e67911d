//! HMAC-SHA256 (RFC 2104) of a body, so that the service knows who sent it.

use sha2::{Digest, Sha256};

/// The block size of SHA-256, in bytes (RFC 2104, section 2).
const BLOCK: usize = 64;

/// Returns the value of the header line: `sha256=` and the code in hexadecimal.
pub(crate) fn header(key: &[u8], body: &[u8]) -> String {
    let code = hmac(key, body);
    let mut text = String::from("sha256=");
    for byte in code {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let digest = Sha256::digest(key);
    let key = if key.len() > BLOCK { digest.as_slice() } else { key };
    let padded = |with: u8| -> Vec<u8> {
        let mut block: Vec<u8> = key.iter().map(|byte| byte ^ with).collect();
        block.resize(BLOCK, with);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_rfc_4231() {
        assert_eq!(
            header(&[0x0b; 20], b"Hi There"),
            "sha256=b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            header(b"Jefe", b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            header(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"),
            "sha256=60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
