//! `bootenvs fetch`: brings the archives of boot environments to the endpoint, from where they are published or from a
//! mirror (drp-behaviour.md 5.4: the endpoint itself fetches nothing).

use std::{
    collections::BTreeSet,
    env, fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};
use formwork_client::{Client, ClientError, Method, Query};
use formwork_model::BootEnv;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Given, transfer};
use crate::{commands::Context, failure::UsageError};

/// The header with the sum of a file (drp-api.md 11.1).
const SUM_HEADER: &str = "x-drp-sha256sum";

/// The columns of the report.
const COLUMNS: &[&str] = &["BootEnv", "Arch", "Archive", "Bytes", "State"];

/// An archive that an environment needs for an architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Need {
    env: String,
    arch: &'static str,
    archive: String,
    /// The sum that it must have, in lower case; empty when any will do.
    sha256: String,
    url: String,
}

/// Where an archive may be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Url(String),
    File(PathBuf),
}

/// Fetches the archives of one environment, or of all of them, and sends those that the endpoint lacks.
pub(super) async fn run(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let envs = match (given.optional("ID"), given.is_on("all")) {
        (Some(id), false) => vec![client.get::<BootEnv>(id).await?],
        (None, true) => client.list::<BootEnv>(&Query::new()).await?,
        _ => bail!(UsageError(String::from("name one boot environment, or give `--all`"))),
    };
    let needs: Vec<Need> = envs.iter().flat_map(needs).collect();
    if let (Some(id), []) = (given.optional("ID"), needs.as_slice()) {
        bail!(
            "boot environment `{id}` names no archive, so nothing of it can be fetched\n\
             hint: put its kernel into the file root by hand; `formwork bootenvs show {id}` says what is missing"
        );
    }
    let downloads = given.optional("downloads").map_or_else(usual_downloads, PathBuf::from);
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    let mut sent = BTreeSet::new();
    for need in &needs {
        // Environments may share an archive.
        if !sent.insert((need.archive.clone(), need.sha256.clone())) {
            continue;
        }
        match bring(need, given.optional("from"), &downloads, (&client, context)).await {
            Ok((state, bytes)) => rows.push(row(need, state, bytes)),
            Err(error) => {
                rows.push(row(need, "failed", None));
                failed.push(format!("{} for {}: {error:#}", need.env, need.arch));
            }
        }
    }
    context.out.value(&rows, COLUMNS)?;
    if failed.is_empty() { Ok(()) } else { Err(anyhow!(failed.join("\n"))) }
}

fn row(need: &Need, state: &str, bytes: Option<u64>) -> Value {
    json!({"BootEnv": need.env, "Arch": need.arch, "Archive": need.archive, "Bytes": bytes, "State": state})
}

fn needs(env: &BootEnv) -> Vec<Need> {
    let need = |arch: &'static str| {
        let boot = env.for_arch(arch);
        (!boot.iso_file.is_empty()).then(|| Need {
            env: env.name.clone(),
            arch,
            archive: boot.iso_file,
            sha256: boot.sha256.to_lowercase(),
            url: boot.iso_url,
        })
    };
    env.arches().into_iter().filter_map(need).collect()
}

/// Brings one archive to the endpoint; says how, and how long it is.
async fn bring(
    need: &Need,
    from: Option<&str>,
    downloads: &Path,
    (client, context): (&Client, &Context),
) -> Result<(&'static str, Option<u64>)> {
    if is_there(client, need).await? {
        return Ok(("there already", None));
    }
    let places = places(need, from)?;
    let kept;
    let file = match local(&places)? {
        Some(file) => file,
        None => {
            kept = download(need, &places, downloads, context).await?;
            &kept
        }
    };
    let sum = sum_of(file.to_owned()).await?;
    let is_ours = file.starts_with(downloads) && from != downloads.to_str();
    if !need.sha256.is_empty() && sum != need.sha256 {
        if is_ours {
            let _ = fs::remove_file(file);
        }
        bail!(
            "`{}` has the SHA-256 {sum}, and the boot environment wants {}\n\
             hint: it was damaged on its way, or another release took its place",
            file.display(),
            need.sha256
        );
    }
    let path = file.to_str().with_context(|| format!("the name `{}` is no text", file.display()))?;
    let source = transfer::open(path).await?;
    let bytes = source.length;
    transfer::send(client.call(Method::POST, ["isos", need.archive.as_str()]), source).await?;
    if is_ours {
        let _ = fs::remove_file(file);
    }
    Ok(("sent", bytes))
}

/// Asks whether the endpoint has an archive, and the one that is wanted.
async fn is_there(client: &Client, need: &Need) -> Result<bool> {
    let path = std::iter::once("isos").chain(need.archive.split('/'));
    match client.call(Method::HEAD, path).send().await {
        Ok(found) => {
            let sum = found.header(SUM_HEADER).unwrap_or_default();
            Ok(need.sha256.is_empty() || sum.eq_ignore_ascii_case(&need.sha256))
        }
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Returns where an archive may be, the likeliest first. A mirror has it under the name that the endpoint gives it, under its
/// own name, or at the path that it has where it is published.
fn places(need: &Need, from: Option<&str>) -> Result<Vec<Place>> {
    let path = need.url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path);
    let path = path.map(|path| path.split(['?', '#']).next().unwrap_or_default());
    let Some(from) = from else {
        if need.url.is_empty() {
            bail!(UsageError(format!(
                "boot environment `{}` does not say where `{}` is\n\
                 hint: name a folder or a URL that has it with `--from`",
                need.env, need.archive
            )));
        }
        return Ok(vec![Place::Url(need.url.clone())]);
    };
    let own = path.and_then(|path| path.rsplit('/').next());
    let mut names: Vec<&str> = Vec::new();
    for name in [Some(need.archive.as_str()), own, path].into_iter().flatten() {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    if from.contains("://") {
        let base = from.trim_end_matches('/');
        return Ok(names.iter().map(|name| Place::Url(format!("{base}/{name}"))).collect());
    }
    Ok(names.iter().map(|name| Place::File(Path::new(from).join(name))).collect())
}

/// Returns the first of the places that is a file here; nothing when the places are elsewhere.
fn local(places: &[Place]) -> Result<Option<&Path>> {
    let mut tried = Vec::new();
    for place in places {
        let Place::File(file) = place else { return Ok(None) };
        if file.is_file() {
            return Ok(Some(file));
        }
        tried.push(format!("`{}`", file.display()));
    }
    bail!("there is none of {}", tried.join(", "))
}

/// Fetches an archive into the folder of downloads, and goes on with what an earlier call left there.
async fn download(need: &Need, places: &[Place], downloads: &Path, context: &Context) -> Result<PathBuf> {
    let name = need.archive.replace('/', "_");
    let (file, part) = (downloads.join(&name), downloads.join(format!("{name}.part")));
    fs::create_dir_all(downloads).with_context(|| format!("failed to make `{}`", downloads.display()))?;
    let mut missing = Vec::new();
    for place in places {
        let Place::Url(url) = place else { continue };
        match transfer::download(url, &part, context).await {
            Ok(()) => {
                fs::rename(&part, &file).with_context(|| format!("failed to write `{}`", file.display()))?;
                return Ok(file);
            }
            // A mirror may have it under another name.
            Err(error) if places.len() > 1 && is_absent(&error) => missing.push(format!("`{url}`")),
            Err(error) => return Err(error),
        }
    }
    bail!("there is none of {}", missing.join(", "))
}

/// Tells whether a server said that it has no such file.
fn is_absent(error: &anyhow::Error) -> bool {
    let chain = error.downcast_ref::<ClientError>().map(ClientError::chain).unwrap_or_default();
    chain.contains("status 404")
}

/// Returns the SHA-256 of a file in lower case.
async fn sum_of(file: PathBuf) -> Result<String> {
    let failed = format!("failed to read `{}`", file.display());
    let summed = tokio::task::spawn_blocking(move || {
        let mut sum = Sha256::new();
        io::copy(&mut fs::File::open(file)?, &mut sum)?;
        Ok::<String, io::Error>(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    });
    summed.await.context("a sum could not be made")?.context(failed)
}

/// Returns where downloads wait to be complete: in the cache of the user.
fn usual_downloads() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    cache.unwrap_or_else(env::temp_dir).join("formwork/fetch")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(url: &str) -> Need {
        Need {
            env: "debian".into(),
            arch: "amd64",
            archive: "debian.tar.gz".into(),
            sha256: String::new(),
            url: url.into(),
        }
    }

    const URL: &str = "https://deb.example/debian/dists/netboot.tar.gz?a=b";

    #[test]
    fn mirror_may_have_an_archive_under_three_names() {
        let url = |text: &str| Place::Url(text.to_owned());
        assert_eq!(places(&need(URL), None).unwrap(), [url(URL)]);
        assert_eq!(
            places(&need(URL), Some("http://mirror.example/")).unwrap(),
            [
                url("http://mirror.example/debian.tar.gz"),
                url("http://mirror.example/netboot.tar.gz"),
                url("http://mirror.example/debian/dists/netboot.tar.gz"),
            ]
        );
        let file = |text: &str| Place::File(PathBuf::from(text));
        assert_eq!(places(&need(""), Some("/srv/mirror")).unwrap(), [file("/srv/mirror/debian.tar.gz")]);
        let error = places(&need(""), None).unwrap_err().to_string();
        assert!(error.contains("does not say where `debian.tar.gz` is"), "{error}");
    }

    #[test]
    fn folder_without_the_archive_says_what_was_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().to_str();
        let error = local(&places(&need(URL), from).unwrap()).unwrap_err().to_string();
        assert!(
            error.contains("debian.tar.gz`, `") && error.contains("debian/dists/netboot.tar.gz"),
            "{error}"
        );
        fs::write(folder.path().join("netboot.tar.gz"), "x").unwrap();
        let places = places(&need(URL), from).unwrap();
        assert_eq!(local(&places).unwrap(), Some(folder.path().join("netboot.tar.gz").as_path()));
    }

    #[test]
    fn environment_needs_an_archive_for_each_architecture_that_names_one() {
        let env: BootEnv = serde_json::from_value(json!({
            "Name": "both", "Kernel": "k",
            "OS": {"IsoFile": "a.iso", "IsoSha256": "AB", "IsoUrl": "http://x.example/a",
                   "SupportedArchitectures": {"aarch64": {"IsoFile": "b.iso"}, "arm": {"Kernel": "k"}}},
        }))
        .unwrap();
        let found = needs(&env);
        let shown: Vec<_> =
            found.iter().map(|need| (need.arch, need.archive.as_str(), need.sha256.as_str())).collect();
        assert_eq!(shown, [("amd64", "a.iso", "ab"), ("arm64", "b.iso", "")]);
        assert_eq!(needs(&BootEnv::default()), []);
    }

    #[tokio::test]
    async fn sum_is_that_of_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "abc").unwrap();
        let sum = sum_of(file.path().to_owned()).await.unwrap();
        assert_eq!(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
