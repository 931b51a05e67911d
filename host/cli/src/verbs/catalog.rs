//! The catalog: content, plugins and programs that can be had from elsewhere (drp-behaviour.md 7.3, drp-api.md 12.10).

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use formwork_client::{BlobKind, Client, Method, download_from};
use formwork_model::CatalogItem;
use serde_json::{Value, json};

use super::{Given, contents, transfer};
use crate::{commands::Context, failure::UsageError, input};

/// Where an endpoint keeps its catalogs, named by their versions.
const FOLDER: &str = "rebar-catalog/rackn-catalog";

/// The most bytes that are downloaded at once.
const MAX_BYTES: usize = 2 << 30;

/// The columns of a catalog.
const COLUMNS: &[&str] = &["Id", "Name", "ActualVersion", "ContentType", "Source"];

/// Shows the whole catalog.
pub(super) async fn show(_: Given<'_>, context: &mut Context) -> Result<()> {
    let catalog = catalog(context).await?;
    context.out.value(&catalog, &[])
}

/// Lists the items.
pub(super) async fn items(_: Given<'_>, context: &mut Context) -> Result<()> {
    let items = of(&catalog(context).await?)?;
    context.out.value(&items, COLUMNS)
}

/// Shows an item.
pub(super) async fn item(given: Given<'_>, context: &mut Context) -> Result<()> {
    let item = find(&given, context).await?;
    context.out.value(&item, &[])
}

/// Fetches the file of an item: `item download NAME [to FILE]`.
pub(super) async fn item_download(given: Given<'_>, context: &mut Context) -> Result<()> {
    let item = find(&given, context).await?;
    let bytes = bytes_of(&item, &given, context).await?;
    let own = item.source.rsplit('/').next().unwrap_or_default().to_owned();
    transfer::write(&bytes, given.optional("TARGET").unwrap_or(&own), &mut context.out)
}

/// Fetches an item and gives it to the endpoint.
pub(super) async fn item_install(given: Given<'_>, context: &mut Context) -> Result<()> {
    let item = find(&given, context).await?;
    let bytes = bytes_of(&item, &given, context).await?;
    let client = context.client()?;
    let shown = match item.content_type.as_str() {
        "ContentPackage" => {
            let bundle = formwork_packs::parse_bundle(&bytes)
                .map_err(|error| UsageError(format!("`{}` is no content bundle: {error}", item.source)))?;
            contents::send(context, &item.name, &bundle).await?
        }
        "PluginProvider" => {
            let path = ["plugin_providers", item.name.as_str()];
            client.call(Method::POST, path).bytes(bytes).patiently().send().await?.value
        }
        "DRPUX" => {
            let query = formwork_client::Query::new().with("explode", true);
            let call = client.call(Method::POST, ["files", "ux", "drp-ux.zip"]).query(query);
            call.bytes(bytes).patiently().send().await?.value
        }
        "DRP" => {
            client.call(Method::POST, ["system", "upgrade"]).bytes(bytes).patiently().send().await?.value
        }
        other => {
            bail!("items of type `{other}` are not installed\nhint: `catalog item download` fetches the file")
        }
    };
    context.out.value(&shown, &[])
}

/// Gives the endpoint the catalog and all its files, with this endpoint as their source.
pub(super) async fn update_local(_: Given<'_>, context: &mut Context) -> Result<()> {
    let mut catalog = catalog(context).await?;
    let client = context.client()?;
    let mut count = 0;
    for mut item in of(&catalog)? {
        let bytes = download(&item.source, context).await?;
        check(&item, "any/any", &bytes)?;
        let file = item.source.rsplit('/').next().unwrap_or_default().to_owned();
        let path =
            ["files", "rebar-catalog", item.name.as_str(), item.actual_version.as_str(), file.as_str()];
        client.call(Method::POST, path).bytes(bytes).patiently().send().await?;
        item.source = format!("{}/files/{}", client.endpoint(), path.get(1..).unwrap_or_default().join("/"));
        if let Some(stored) = catalog.pointer_mut(&format!("/sections/catalog_items/{}", pointer(&item.id))) {
            *stored = serde_json::to_value(&item)?;
        }
        count += 1;
    }
    let version = catalog.pointer("/meta/Version").and_then(Value::as_str).unwrap_or("v0.0.0").to_owned();
    let name = format!("{}.json", version.trim_start_matches('v'));
    let path = ["files", "rebar-catalog", "rackn-catalog", name.as_str()];
    client.call(Method::POST, path).bytes(serde_json::to_vec(&catalog)?).send().await?;
    context.out.line(&format!("Updated the local catalog: {count} items"))
}

/// Writes a catalog of the items that the endpoint has.
pub(super) async fn create(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let items = client.collection("catalog_items").list(&formwork_client::Query::new()).await?;
    let section: serde_json::Map<String, Value> =
        items.into_iter().filter_map(|item| Some((item.get("Id")?.as_str()?.to_owned(), item))).collect();
    let catalog = json!({
        "meta": {"Name": "rackn-catalog", "Version": given.optional("pkg-version").unwrap_or("v0.0.1"), "Type": "dynamic"},
        "sections": {"catalog_items": section}
    });
    let text = format!("{}\n", serde_json::to_string_pretty(&catalog)?);
    transfer::write(text.as_bytes(), given.text("TARGET"), &mut context.out)
}

/// Fetches a file: from the endpoint when it is there, else from elsewhere.
pub(super) async fn download(url: &str, context: &Context) -> Result<Vec<u8>> {
    let client = context.client()?;
    if let Some(path) = url.strip_prefix(client.endpoint()).and_then(|rest| rest.strip_prefix("/files/")) {
        let mut bytes = Vec::new();
        client.blob_fetch(BlobKind::Files, path, &mut bytes, |_, _| {}).await?;
        return Ok(bytes);
    }
    Ok(download_from(url, context.settings.download_proxy.as_deref(), MAX_BYTES).await?)
}

/// Reads the catalog that was named, or the newest of the endpoint.
async fn catalog(context: &Context) -> Result<Value> {
    let bytes = match context.settings.catalog.as_deref() {
        Some(url) if url.contains("://") => download(url, context).await?,
        Some(file) => input::file(file)?.into_bytes(),
        None => newest(&context.client()?).await?,
    };
    serde_json::from_slice(&bytes).context("the catalog is no JSON")
}

async fn newest(client: &Client) -> Result<Vec<u8>> {
    let files = match client.blobs(BlobKind::Files, FOLDER, false).await {
        Ok(files) => files,
        Err(error) if error.is_not_found() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let newest = files.iter().filter_map(|file| Some((version(file.strip_suffix(".json")?)?, file))).max();
    let Some((_, file)) = newest else {
        bail!(
            "the endpoint has no catalog\nhint: -c or RS_CATALOG name one, a URL or a file; `catalog updateLocal` copies it"
        );
    };
    let mut bytes = Vec::new();
    client.blob_fetch(BlobKind::Files, &format!("{FOLDER}/{file}"), &mut bytes, |_, _| {}).await?;
    Ok(bytes)
}

/// Reads a version such as 1.2.3 or v1.2.3-a; what is before a final one comes before it.
fn version(text: &str) -> Option<(Vec<u64>, bool, String)> {
    let text = text.trim_start_matches('v');
    let (numbers, rest) = text.split_once('-').unwrap_or((text, ""));
    let numbers: Result<Vec<u64>, _> = numbers.split('.').map(str::parse).collect();
    Some((numbers.ok()?, rest.is_empty(), rest.to_owned()))
}

fn of(catalog: &Value) -> Result<Vec<CatalogItem>> {
    let Some(items) = catalog.pointer("/sections/catalog_items").and_then(Value::as_object) else {
        bail!("the catalog has no section `catalog_items`");
    };
    items.values().map(|item| Ok(serde_json::from_value(item.clone())?)).collect()
}

/// Returns the item of a name and a version: `stable` when none is asked for.
async fn find(given: &Given<'_>, context: &Context) -> Result<CatalogItem> {
    let name = given.text("NAME");
    let wanted = given.optional("version").unwrap_or(if given.is_on("tip") { "tip" } else { "stable" });
    let items = of(&catalog(context).await?)?;
    let known: Vec<String> =
        items.iter().filter(|item| item.name == name).map(|item| item.version.clone()).collect();
    let found = items.into_iter().find(|item| {
        item.name == name && (item.version == wanted || item.actual_version == wanted || item.id == wanted)
    });
    match (found, known.is_empty()) {
        (Some(item), _) => Ok(item),
        (None, true) => bail!("the catalog has no `{name}`\nhint: `catalog items` lists what it has"),
        (None, false) => {
            bail!(
                "the catalog has no version `{wanted}` of `{name}`\nhint: --version takes {}",
                known.join(", ")
            )
        }
    }
}

/// Downloads the file of an item for an architecture, and checks its sum.
async fn bytes_of(item: &CatalogItem, given: &Given<'_>, context: &Context) -> Result<Vec<u8>> {
    let arch = given.optional("arch").unwrap_or("amd64");
    let os = given.optional("os").unwrap_or("linux");
    let url = match (item.content_type.as_str(), Path::new(&item.source).extension()) {
        // Programs are kept one for each architecture.
        ("PluginProvider", _) => format!("{}/{arch}/{os}/{}", item.source, item.name),
        _ => item.source.clone(),
    };
    let bytes = download(&url, context).await?;
    check(item, &format!("{arch}/{os}"), &bytes)?;
    Ok(bytes)
}

fn check(item: &CatalogItem, place: &str, bytes: &[u8]) -> Result<()> {
    let Some(sum) = item.shasum256.get(place).or_else(|| item.shasum256.get("any/any")) else {
        return Ok(());
    };
    let found = super::local::sha256(bytes);
    if !found.eq_ignore_ascii_case(sum) {
        bail!("`{}` has the sum {found}, and the catalog says {sum}", item.source);
    }
    Ok(())
}

fn pointer(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_catalog_is_the_one_of_the_highest_version() {
        let mut names =
            ["1.10.0", "1.9.9", "1.10.0-alpha", "v1.2"].map(|name| (version(name).unwrap(), name));
        names.sort();
        assert_eq!(names.map(|(_, name)| name), ["v1.2", "1.9.9", "1.10.0-alpha", "1.10.0"]);
        assert_eq!(version("latest"), None);
    }
}
