//! Packs: uploaded, followed on their way, rolled back and removed.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use formwork_api::ApiError;
use formwork_model::{ComponentKind, GrantUse, IncomingPack, InstalledPack, ObjectsExt, Record};

use super::{
    answer::{self, Handled},
    list, objects,
    request::{Query, Target},
    route::{Body as Content, OF_ONE, Route, Shape},
};
use crate::{
    commit::internal,
    packs::{self, MAX_UPLOAD_BYTES, Upload, Wanted},
};

pub(super) fn routes() -> Vec<Route> {
    let one = "/packs/{key}";
    vec![
        Route::get("/packs", "list_packs", list::list)
            .tells("Lists every pack.")
            .list_query(InstalledPack::KIND)
            .answers(200, Content::Objects(InstalledPack::KIND))
            .refuses(&[406]),
        Route::post("/packs", "install_pack", install)
            .tells("Takes a pack file or a component, looks at it and installs it in the background.")
            .query(INSTALL)
            .takes(Content::Bytes)
            .streamed()
            .answers(200, Content::Object(InstalledPack::KIND))
            .answers(202, Content::Object(InstalledPack::KIND))
            .refuses(&[400, 403, 409, 413, 422]),
        Route::get(one, "get_pack", objects::show)
            .tells("Returns a pack.")
            .answers(200, Content::Object(InstalledPack::KIND))
            .refuses(OF_ONE),
        Route::delete(one, "delete_pack", remove)
            .tells("Removes a pack with all that is in it.")
            .answers(200, Content::Object(InstalledPack::KIND))
            .refuses(&[404, 409]),
        Route::post("/packs/{key}/rollback", "roll_back_pack", roll_back)
            .tells("Brings the version before the one in use back.")
            .takes(Content::Ignored)
            .answers(200, Content::Object(InstalledPack::KIND))
            .refuses(&[404, 409]),
        Route::get("/packs/{key}/grants", "list_pack_grants", grants)
            .tells("Lists what the components of a pack may do, and whether they ever did.")
            .answers(200, Content::json::<Vec<GrantUse>>())
            .refuses(OF_ONE),
    ]
    .into_iter()
    .map(|route| route.about(InstalledPack::KIND))
    .collect()
}

/// What the sender of a pack may say of it.
const INSTALL: &[(&str, Shape, &str)] = &[
    (
        "grant",
        Shape::Text,
        "Consents to a line of what a component asks for, as `COMPONENT: LINE`; `all` to everything. Can be repeated.",
    ),
    (
        "digest",
        Shape::Text,
        "Goes on with an upload that was received before and waits for consent; the body is empty.",
    ),
    ("wait", Shape::Flag, "Answers once the pack is in use or refused."),
    ("name", Shape::Text, "The name of a bare component."),
    ("kind", Shape::Text, "The kind of a bare component."),
    ("allow-downgrade", Shape::Flag, "An older version may replace the one in use."),
    ("replaceWritable", Shape::Flag, "Objects of the same keys that were made by hand give way."),
];

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
pub(super) fn wanted(query: &Query) -> Result<Wanted, ApiError> {
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
    Ok(answer::object(status, pack.as_ref(), revision))
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
