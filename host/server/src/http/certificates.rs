//! The certificates of the API and of the file server, read and replaced (drp-api.md 12.5). Unless the operator gave the
//! file server one of its own, both have the same.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use base64::{Engine, engine::general_purpose::STANDARD};
use formwork_api::ApiError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::{
    answer::{self, Handled},
    request::{Authenticated, Json},
    route::{Body, Route},
};
use crate::{
    certificate::{Certificate, CertificateError, Pair},
    commit::internal,
    endpoint::Endpoint,
};

/// A certificate and its key: PEM, each once more in base64.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Certificates {
    /// The chain.
    cert: String,
    /// The private key.
    key: String,
}

pub(super) fn routes() -> Vec<Route> {
    let of_api: Which = |endpoint| &endpoint.certificate;
    let of_files: Which = Endpoint::static_certificate;
    [("system", of_api), ("static", of_files)]
        .into_iter()
        .flat_map(|(word, which)| {
            let path = format!("/{word}/cert");
            let read = async move |State(endpoint), caller| read(endpoint, caller, which).await;
            let replace =
                async move |State(endpoint), caller, body| replace(endpoint, caller, body, which).await;
            [
                Route::get(&path, format!("get_{word}_cert"), read)
                    .tells("Returns the certificate with its key, PEM in base64.")
                    .answers(200, Body::json::<Certificates>()),
                Route::post(&path, format!("post_{word}_cert"), replace)
                    .tells("Replaces the certificate and its key.")
                    .takes(Body::json::<Certificates>())
                    .answers(204, Body::Nothing)
                    .refuses(&[400, 422]),
            ]
        })
        .collect()
}

/// Which certificate a route is about.
type Which = fn(&Endpoint) -> &Arc<Certificate>;

/// The key is part of the answer, so it is for those who may copy the endpoint as a whole.
async fn read(endpoint: Arc<Endpoint>, Authenticated(caller): Authenticated, which: Which) -> Handled {
    caller.require("system", "replicate", "")?;
    let pair = which(&endpoint).pair();
    caller.audit("certificate", ("system", ""), "the private key was read");
    let shown = Certificates { cert: STANDARD.encode(pair.certificate), key: STANDARD.encode(pair.key) };
    answer::json(StatusCode::OK, &shown)
}

async fn replace(
    endpoint: Arc<Endpoint>,
    Authenticated(caller): Authenticated,
    body: Json,
    which: Which,
) -> Handled {
    caller.require("system", "upgrade", "")?;
    let given: Certificates = body.read("system", "cert")?;
    let refused = |code, words: String| ApiError::new(code, "POST", words).about("system", "cert");
    let text = |member: &str, text: &str| {
        let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        bytes.ok_or_else(|| refused(400, format!("{member} is no PEM in base64")))
    };
    let pair = Pair { certificate: text("Cert", &given.cert)?, key: text("Key", &given.key)? };
    let certificate = Arc::clone(which(&endpoint));
    let replaced =
        spawn_blocking(move || certificate.replace(pair)).await.map_err(|error| internal(&error))?;
    match replaced {
        Ok(()) => {}
        Err(CertificateError::Invalid(words)) => return Err(refused(422, words).into()),
        Err(error) => return Err(internal(&error).into()),
    }
    caller.audit("certificate", ("system", ""), "the certificate was replaced");
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
