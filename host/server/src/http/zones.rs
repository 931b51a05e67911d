//! Zones as they are looked at and brought in (drp-api.md 14.8).

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use formwork_api::ApiError;
use formwork_model::{Record, Zone};
use tokio::task::spawn_blocking;

use super::{
    answer::{self, Handled},
    objects,
    request::{Authenticated, Raw, Target},
    route::{Body, OF_ONE, Route, Shape},
};
use crate::{commands, commit::internal, endpoint::Endpoint, zone_file};

/// The types of records, with what a value of each holds in its order.
const RECORDS: &[(&str, &[&str])] = &[
    ("A", &["IPv4 address"]),
    ("AAAA", &["IPv6 address"]),
    ("CAA", &["flags", "tag", "value"]),
    ("CNAME", &["name"]),
    ("HTTPS", &["priority", "name", "parameters"]),
    ("MX", &["preference", "name"]),
    ("NS", &["name"]),
    ("PTR", &["name"]),
    ("SOA", &["server", "mailbox", "serial", "refresh", "retry", "expire", "minimum"]),
    ("SRV", &["priority", "weight", "port", "name"]),
    ("SVCB", &["priority", "name", "parameters"]),
    ("TXT", &["text"]),
];

pub(super) fn routes() -> Vec<Route> {
    type Values = BTreeMap<String, BTreeMap<String, Vec<String>>>;
    vec![
        Route::get("/zones/{key}/view", "get_zone_view", view)
            .tells("Returns the values of a zone by name and type.")
            .answers(200, Body::json::<Values>())
            .refuses(OF_ONE)
            .about(Zone::KIND),
        Route::post("/zones-import", "post_zone_import", import)
            .tells("Makes a zone of a zone file.")
            .query(&[("name", Shape::Text, "The name of the zone; that of its origin when it is left out.")])
            .takes(Body::either::<String>())
            .answers(201, Body::Object(Zone::KIND))
            .refuses(&[400, 409, 422])
            .about(Zone::KIND),
        Route::get("/zones-info", "get_zone_info", info)
            .tells("Lists the types of records.")
            .answers(200, Body::json::<Values>()),
    ]
}

async fn info(State(_): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    caller.require(Zone::KIND.prefix, "list", "")?;
    let types: BTreeMap<&str, BTreeMap<&str, &[&str]>> =
        RECORDS.iter().map(|(name, parts)| (*name, BTreeMap::from([("Value", *parts)]))).collect();
    answer::json(StatusCode::OK, &types)
}

/// Answers the values of a zone by name and type, as they are written in it.
async fn view(target: Target) -> Handled {
    let (object, _) = objects::readable(&target, &target.endpoint.snapshot())?;
    let zone = object.as_any().downcast_ref::<Zone>().cloned().unwrap_or_default();
    let mut names: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for record in zone.records {
        names.entry(record.name).or_default().entry(record.r#type).or_default().extend(record.value);
    }
    answer::json(StatusCode::OK, &names)
}

/// Makes a zone of the text of a zone file: the bytes of the body, or a JSON string.
async fn import(target: Target, headers: HeaderMap, Raw(bytes): Raw) -> Handled {
    target.require("create", "")?;
    let refused = |words: String| ApiError::new(400, "POST", words).about(Zone::KIND.prefix, "");
    let text = String::from_utf8(bytes.to_vec())
        .map_err(|error| refused(format!("the zone file is no UTF-8: {error}")))?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let text = match kind.starts_with("application/json") {
        true => serde_json::from_str(&text).map_err(|error| {
            refused(format!("the body is no JSON string: {error}\nhint: or send the file as text/plain"))
        })?,
        false => text,
    };
    let name = target.query.value("name").unwrap_or_default().to_owned();
    let parsed = spawn_blocking(move || zone_file::parse(&text, &name)).await;
    let parsed = parsed.map_err(|error| internal(&error))?;
    let zone = parsed.map_err(|words| refused(format!("zone file: {words}")))?;
    let body = serde_json::to_value(&zone).unwrap_or_default();
    let made = commands::objects::create(&target.endpoint, target.request(), body).await?;
    objects::written(StatusCode::CREATED, &made)
}
