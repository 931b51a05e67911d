//! Whose packs an endpoint accepts.

use std::fmt;

use formwork_model::{Publisher, Timestamp};

use crate::PublicKey;

/// The signature of a pack file. It has been found to be right: the owner of `key` signed exactly these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Who signed.
    pub key: PublicKey,
    /// When, in the words of whoever sent the file: the signature does not cover it, so nothing may depend on it.
    pub signed_at: Timestamp,
}

/// The publishers that an endpoint trusts.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    publishers: Vec<(PublicKey, Publisher)>,
}

impl Trust {
    /// Trusts publishers. One whose key is no key is left out, as nobody can have signed with it.
    pub fn new<'a>(publishers: impl IntoIterator<Item = &'a Publisher>) -> Self {
        let with_key = |publisher: &Publisher| Some((publisher.public_key.parse().ok()?, publisher.clone()));
        Self { publishers: publishers.into_iter().filter_map(with_key).collect() }
    }

    /// Judges the signature of a pack, or that there is none. Of several publishers with one key the best counts.
    #[must_use]
    pub fn verify(&self, signature: Option<&Signature>, now: Timestamp) -> Verdict {
        let Some(signature) = signature else { return Verdict::Unsigned };
        let known = || {
            self.publishers.iter().filter(|(key, _)| *key == signature.key).map(|(_, publisher)| publisher)
        };
        let valid = |publisher: &&Publisher| publisher.not_after.is_unset() || now <= publisher.not_after;
        let named = |publisher: &Publisher| (publisher.id.clone(), publisher.title().to_owned());
        if let Some(publisher) = known().find(valid) {
            let (id, name) = named(publisher);
            return Verdict::Trusted { id, name };
        }
        match known().max_by_key(|publisher| publisher.not_after) {
            Some(publisher) => {
                let (id, name) = named(publisher);
                Verdict::Expired { id, name, not_after: publisher.not_after }
            }
            None => Verdict::Unknown { key: signature.key },
        }
    }
}

/// What an endpoint thinks of the signature of a pack. Its text says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A publisher that is trusted signed it.
    Trusted {
        /// The key of the publisher's object.
        id: String,
        /// The publisher's name.
        name: String,
    },
    /// Somebody signed it whom nobody here knows.
    Unknown {
        /// The key that signed.
        key: PublicKey,
    },
    /// The publisher's time is over. A pack that was signed before does not help: the time of signing is not proved.
    Expired {
        /// The key of the publisher's object.
        id: String,
        /// The publisher's name.
        name: String,
        /// When it was over.
        not_after: Timestamp,
    },
    /// Nobody signed it.
    Unsigned,
}

impl Verdict {
    /// Tells whether the pack may be installed without `--allow-unsigned`.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        matches!(self, Self::Trusted { .. })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trusted { name, .. } => write!(formatter, "the pack is signed by `{name}`"),
            Self::Unknown { key } => write!(
                formatter,
                "the pack is signed with key `{}`, which belongs to no publisher that is trusted here\n\
                 hint: if you trust its owner, create a publisher with the public key `{key}`",
                key.id()
            ),
            Self::Expired { id, name, not_after } => write!(
                formatter,
                "the pack is signed by `{name}`, whose key was good until {not_after}\n\
                 hint: ask for the pack signed with a newer key, or set `NotAfter` of publisher `{id}` to a later time"
            ),
            Self::Unsigned => formatter.write_str(
                "the pack is not signed\n\
                 hint: sign it with `formwork pack sign`, or start the server with `--allow-unsigned`",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningKey;

    fn publisher(id: &str, seed: u8, not_after: i64) -> Publisher {
        Publisher {
            id: id.to_owned(),
            public_key: SigningKey::from_seed(&[seed; 32]).public().to_string(),
            not_after: if not_after == 0 { Timestamp::default() } else { Timestamp::from_millis(not_after) },
            ..Publisher::default()
        }
    }

    fn judged(publishers: &[Publisher], seed: u8, now: i64) -> Verdict {
        let key = SigningKey::from_seed(&[seed; 32]).public();
        let signature = Signature { key, signed_at: Timestamp::default() };
        Trust::new(publishers).verify(Some(&signature), Timestamp::from_millis(now))
    }

    #[test]
    fn key_is_good_until_its_last_instant_and_forever_when_unset() {
        let publishers = [publisher("acme", 1, 1000), publisher("ever", 2, 0)];
        assert_eq!(judged(&publishers, 1, 1000), Verdict::Trusted { id: "acme".into(), name: "acme".into() });
        assert!(judged(&publishers, 2, i64::MAX / 2_000_000).is_trusted());
        let expired = judged(&publishers, 1, 1001);
        let Verdict::Expired { not_after, .. } = &expired else { panic!("{expired}") };
        assert_eq!(not_after.millis(), 1000);
        assert!(expired.to_string().contains("`NotAfter` of publisher `acme`"), "{expired}");
    }

    #[test]
    fn unknown_key_and_no_signature_are_not_trusted_and_say_what_to_do() {
        let unknown = judged(&[publisher("acme", 1, 0)], 3, 0);
        let key = SigningKey::from_seed(&[3; 32]).public();
        assert_eq!(unknown, Verdict::Unknown { key });
        assert!(unknown.to_string().contains(&format!("public key `{key}`")), "{unknown}");
        let unsigned = Trust::default().verify(None, Timestamp::default());
        assert!(unsigned.to_string().contains("--allow-unsigned"));
        assert!(!unsigned.is_trusted() && !unknown.is_trusted());
    }

    #[test]
    fn renewed_publisher_counts_beside_its_expired_entry() {
        let publishers = [publisher("old", 1, 10), publisher("new", 1, 2000)];
        assert_eq!(judged(&publishers, 1, 1500), Verdict::Trusted { id: "new".into(), name: "new".into() });
        assert!(matches!(judged(&publishers, 1, 3000), Verdict::Expired { id, .. } if id == "new"));
    }

    #[test]
    fn publisher_without_a_usable_key_trusts_nobody() {
        let broken = Publisher { id: "acme".into(), public_key: "AAAA".into(), ..Publisher::default() };
        assert!(matches!(judged(&[broken], 1, 0), Verdict::Unknown { .. }));
    }
}
