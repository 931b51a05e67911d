//! Packs: uploaded, followed on their way, rolled back and removed.

use std::sync::Arc;

use axum::{
    Extension, Router,
    body::Body,
    http::{HeaderMap, StatusCode, header},
    routing::{get, post},
};
use formwork_api::ApiError;
use formwork_model::{ComponentKind, IncomingPack, InstalledPack, ObjectsExt, Record};

use super::{
    answer::{self, Handled},
    list, objects,
    request::{Query, Target},
};
use crate::{
    commit::internal,
    endpoint::Endpoint,
    kinds,
    packs::{self, MAX_UPLOAD_BYTES, Upload, Wanted},
};

pub(super) fn routes() -> Router<Arc<Endpoint>> {
    Router::new()
        .route("/packs", get(list::list).post(install))
        .route("/packs/{name}", get(objects::show).delete(remove))
        .route("/packs/{name}/rollback", post(roll_back))
        .route("/packs/{name}/grants", get(grants))
        .layer(Extension(InstalledPack::KIND))
}

/// Takes an upload: 202 with the record once it is received, 200 once it is in use, which `wait` waits for.
async fn install(target: Target, headers: HeaderMap, body: Body) -> Handled {
    target.require("create", "")?;
    let wanted = wanted(&target.query)?;
    let (endpoint, caller) = (&target.endpoint, &target.caller);
    let pack = match target.query.value("digest") {
        Some(digest) => packs::again(endpoint, caller, digest, wanted.grants).await?,
        None => {
            let length =
                headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
            if length.is_some_and(|length: u64| length > MAX_UPLOAD_BYTES) {
                return Err(packs::too_long().into());
            }
            let upload = Upload::receive(&endpoint.packs, body).await?;
            packs::receive(endpoint, caller, upload, wanted).await?
        }
    };
    if !pack.incoming.as_ref().is_some_and(IncomingPack::is_under_way) {
        return written(&target, StatusCode::OK, pack);
    }
    let driven = packs::drive(Arc::clone(endpoint), caller.principal.clone(), Arc::clone(&pack));
    // A client that goes away ends its waiting, not the installation.
    let driven = tokio::spawn(driven);
    if !target.query.is("wait") {
        return written(&target, StatusCode::ACCEPTED, pack);
    }
    let pack = driven.await.map_err(|error| internal(&error))??;
    written(&target, StatusCode::OK, pack)
}

/// Reads what the sender says of an upload.
fn wanted(query: &Query) -> Result<Wanted, ApiError> {
    let kind = query.value("kind").map(|word| {
        serde_json::from_value::<ComponentKind>(word.into()).map_err(|_| {
            let message = format!(
                "there is no kind `{word}`\nhint: task, workflow, migration-policy, upgrade-step or plugin"
            );
            ApiError::new(400, "POST", message).about("packs", "")
        })
    });
    Ok(Wanted {
        name: query.value("name").map(str::to_owned),
        kind: kind.transpose()?,
        grants: query.pairs().filter(|(name, _)| *name == "grant").map(|(_, line)| line.to_owned()).collect(),
        downgrade: query.is("allow-downgrade"),
        replace_writable: query.is("replaceWritable"),
    })
}

fn written(target: &Target, status: StatusCode, pack: Arc<InstalledPack>) -> Handled {
    let stored = target.endpoint.snapshot().stored(target.kind.prefix, &pack.name);
    let revision = stored.map(|stored| stored.revision).unwrap_or_default();
    answer::tagged(status, &kinds::shown(pack.as_ref()), revision)
}

async fn roll_back(target: Target) -> Handled {
    let pack = packs::roll_back(&target.endpoint, &target.caller, &target.id).await?;
    written(&target, StatusCode::OK, pack)
}

async fn remove(target: Target) -> Handled {
    let pack = packs::remove(&target.endpoint, &target.caller, &target.id).await?;
    written(&target, StatusCode::OK, pack)
}

/// Lists what the components of a pack may do, and whether they ever did.
async fn grants(target: Target) -> Handled {
    target.require("get", &target.id)?;
    packs::flush(&target.endpoint).await;
    let pack =
        target.endpoint.snapshot().get::<InstalledPack>(&target.id).ok_or_else(|| target.not_found())?;
    answer::json(StatusCode::OK, &pack.grant_uses())
}
