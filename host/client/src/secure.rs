//! Secure params: values are sealed here, so that they do not travel in the clear (drp-api.md 6.3; drp-behaviour.md 1.6).

use base64::{Engine, engine::general_purpose::STANDARD};
use crypto_box::{
    PublicKey, SalsaBox, SecretKey,
    aead::{Aead, AeadCore, OsRng},
};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{ClientError, Collection, Query};

/// The members of a sealed value.
const MEMBERS: [&str; 3] = ["Key", "Nonce", "Payload"];

impl Collection<'_> {
    /// Returns the value of a param as it is to be sent for an object: in a NaCl box that only the endpoint opens when the
    /// param is secure, else as it is. What is sealed already stays so.
    ///
    /// A caller who may not look up the definition sends the value in the clear; the endpoint seals it then.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 403 without the right `updateSecure`, 404 when there is no such object.
    pub async fn sealed(&self, id: &str, name: &str, value: &Value) -> Result<Value, ClientError> {
        let is_secure = match self.client.collection("params").show(name, &Query::new()).await {
            Ok(param) => param.get("Secure") == Some(&Value::Bool(true)),
            Err(ClientError::Api(refusal)) if matches!(refusal.code, 403 | 404) => false,
            Err(error) => return Err(error),
        };
        if !is_secure || is_sealed(value) {
            return Ok(value.clone());
        }
        seal(self.public_key(id).await?, value)
            .ok_or_else(|| wrong(self.prefix, id, "it cannot be sealed to"))
    }

    /// Returns all params of an object as they are to be sent, each as [`Collection::sealed`] does.
    ///
    /// # Errors
    ///
    /// As [`Collection::sealed`].
    pub async fn sealed_all(
        &self,
        id: &str,
        params: &Map<String, Value>,
    ) -> Result<Map<String, Value>, ClientError> {
        let query = Query::new().with("Secure", "Eq(true)").with("slim", "Meta");
        let secure = match self.client.collection("params").list(&query).await {
            Err(ClientError::Api(refusal)) if refusal.code == 403 => Vec::new(),
            listed => listed?,
        };
        let is_secure =
            |name: &str| secure.iter().any(|param| param.get("Name").is_some_and(|own| own == name));
        let to_seal = |(name, value): &(&String, &Value)| is_secure(name) && !is_sealed(value);
        if !params.iter().any(|pair| to_seal(&pair)) {
            return Ok(params.clone());
        }
        let public = self.public_key(id).await?;
        let sealed = params.iter().map(|pair| {
            let value = if to_seal(&pair) { seal(public, pair.1) } else { Some(pair.1.clone()) };
            let value = value.ok_or_else(|| wrong(self.prefix, id, "it cannot be sealed to"))?;
            Ok((pair.0.clone(), value))
        });
        sealed.collect()
    }

    /// Returns the public key that secure params of an object are sealed to.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; an answer that is no key is one.
    pub async fn public_key(&self, id: &str) -> Result<[u8; 32], ClientError> {
        let answer = self.client.ask(Method::GET, &[self.prefix, id, "pubkey"], &Query::new()).await?;
        let text: String = answer.decode()?;
        let bytes = STANDARD.decode(&text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| wrong(self.prefix, id, "it is not base64 of 32 bytes"))
    }
}

/// A key pair that secure values of a content bundle are sealed to while the bundle is in a file (drp-behaviour.md 1.6).
pub struct BundleKey {
    secret: SecretKey,
}

impl BundleKey {
    /// Makes a pair for one bundle.
    #[must_use]
    pub fn generate() -> Self {
        Self { secret: SecretKey::generate(&mut OsRng) }
    }

    /// Reads the secret half: base64 of 32 bytes, as [`BundleKey::to_base64`] writes it.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = STANDARD.decode(text).ok()?.try_into().ok()?;
        Some(Self { secret: SecretKey::from_bytes(bytes) })
    }

    /// Returns the secret half.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.secret.to_bytes())
    }

    /// Seals the JSON of a value. Nothing for one that is too long for a box.
    #[must_use]
    pub fn seal(&self, value: &Value) -> Option<Value> {
        seal(*self.secret.public_key().as_bytes(), value)
    }

    /// Opens a value that was sealed to this pair. Nothing for one that was sealed to another, or is broken.
    #[must_use]
    pub fn open(&self, sealed: &Value) -> Option<Value> {
        let [key, nonce, payload] = MEMBERS.map(|name| STANDARD.decode(sealed.get(name)?.as_str()?).ok());
        let (key, nonce): ([u8; 32], [u8; 24]) = (key?.try_into().ok()?, nonce?.try_into().ok()?);
        let opening = SalsaBox::new(&PublicKey::from_bytes(key), &self.secret);
        let clear = opening.decrypt(&nonce.into(), payload?.as_slice()).ok()?;
        serde_json::from_slice(&clear).ok()
    }
}

/// Shows that there is a key, never which.
impl std::fmt::Debug for BundleKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("BundleKey")
    }
}

fn wrong(prefix: &str, id: &str, reason: &str) -> ClientError {
    let path = format!("/{prefix}/{id}/pubkey");
    ClientError::Answer { method: String::from("GET"), path, reason: reason.to_owned() }
}

/// Tells whether a value has the form of a sealed one: exactly the members `Key`, `Nonce` and `Payload`, all of them texts.
#[must_use]
pub fn is_sealed(value: &Value) -> bool {
    value.as_object().is_some_and(|members| {
        members.len() == MEMBERS.len()
            && MEMBERS.iter().all(|name| members.get(*name).is_some_and(Value::is_string))
    })
}

/// Seals the JSON of a value to a public key, with a key pair and a nonce made for it alone.
fn seal(public: [u8; 32], value: &Value) -> Option<Value> {
    let ephemeral = SecretKey::generate(&mut OsRng);
    let nonce = SalsaBox::generate_nonce(&mut OsRng);
    let sealing = SalsaBox::new(&PublicKey::from_bytes(public), &ephemeral);
    let payload = sealing.encrypt(&nonce, value.to_string().as_bytes()).ok()?;
    Some(json!({
        "Key": STANDARD.encode(ephemeral.public_key().as_bytes()),
        "Nonce": STANDARD.encode(nonce),
        "Payload": STANDARD.encode(payload),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_value_has_the_documented_lengths_and_opens_with_the_secret_key() {
        let secret = SecretKey::generate(&mut OsRng);
        let sealed = seal(*secret.public_key().as_bytes(), &json!({"user": "root"})).unwrap();
        assert!(is_sealed(&sealed));
        let [key, nonce, payload] =
            MEMBERS.map(|name| STANDARD.decode(sealed[name].as_str().unwrap()).unwrap());
        assert_eq!((key.len(), nonce.len(), payload.len()), (32, 24, r#"{"user":"root"}"#.len() + 16));
        let opening = SalsaBox::new(&PublicKey::from_slice(&key).unwrap(), &secret);
        let nonce: [u8; 24] = nonce.try_into().unwrap();
        assert_eq!(opening.decrypt(&nonce.into(), payload.as_slice()).unwrap(), br#"{"user":"root"}"#);
    }

    #[test]
    fn value_of_a_bundle_opens_with_its_own_key_only() {
        let key = BundleKey::generate();
        let again = BundleKey::from_base64(&key.to_base64()).unwrap();
        let mut sealed = key.seal(&json!({"user": "root"})).unwrap();
        assert_eq!(again.open(&sealed), Some(json!({"user": "root"})));
        assert_eq!(BundleKey::generate().open(&sealed), None);
        sealed["Payload"] = json!("AAAA");
        assert_eq!(again.open(&sealed), None);
        assert!(BundleKey::from_base64("AAAA").is_none() && BundleKey::from_base64("?").is_none());
        assert_eq!(format!("{key:?}"), "BundleKey");
    }

    #[test]
    fn what_is_no_sealed_value_is_told_apart() {
        for value in
            [json!("pw"), json!({"Key": "a"}), json!({"Key": "a", "Nonce": "b", "Payload": 1}), Value::Null]
        {
            assert!(!is_sealed(&value), "{value}");
        }
    }
}
