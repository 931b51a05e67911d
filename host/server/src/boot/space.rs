//! One name space of rendered files and the file root: a rendered file hides a real one (drp-api.md 15.1).

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::Arc,
};

use formwork_core::access;
use formwork_model::{Machine, ObjectsExt};

use super::neighbours;
use crate::{
    auth,
    endpoint::Endpoint,
    render::{self, BootFile, Located, Rendered, Site},
};

/// Links that are followed from one rendered file to the next.
const MAX_LINKS: usize = 8;

/// Why a file is not given, and what helps.
const DENIED: &str = "this file is for one machine and may hold its secrets\n\
    hint: it is given to the address of the machine, and to addresses and network cards that are its own; others send a token \
    that may read the secrets of the machine, as `Authorization: Bearer TOKEN` or `?token=TOKEN`; an operator can set the \
    preference `machineFileAccess` to `anybody`";

/// Who asks for a file.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    /// The address that asks.
    pub(super) peer: IpAddr,
    /// The address of this host that it asks, where that is known.
    pub(super) local: Option<IpAddr>,
    /// The token that it sends.
    pub(super) token: Option<String>,
}

/// What is at a path.
#[derive(Debug)]
pub(super) enum Found {
    /// A rendered text.
    Text(String),
    /// A file of the file root.
    File(PathBuf),
    /// Another place, as a whole URL.
    Elsewhere(String),
    /// Nothing.
    Nothing,
    /// A file of a machine that is not the asker's; why, and what helps.
    Denied(String),
    /// A file that should be there and cannot be rendered; the reason is in the log.
    Broken,
}

/// Looks a path up. Rendering takes the processor for a while, so it does not happen on the thread that asks.
pub(super) async fn find(endpoint: &Arc<Endpoint>, path: &str, asker: Asker) -> Found {
    let (endpoint, path) = (Arc::clone(endpoint), path.to_owned());
    let found = tokio::task::spawn_blocking(move || find_now(&endpoint, path, &asker)).await;
    found.unwrap_or(Found::Broken)
}

/// Follows links from a path. The log names the path that was asked for: a link is rendered text, which may hold secrets.
fn find_now(endpoint: &Arc<Endpoint>, mut path: String, asker: &Asker) -> Found {
    let asked = path.clone();
    let site = site(endpoint, asker);
    for _ in 0..MAX_LINKS {
        let located = render::locate(endpoint, &path);
        let machine = located.as_ref().and_then(Located::machine);
        // What is there is secret by its name, whatever it was rendered from.
        let of_path = access::machine_of_path(&path);
        if let Some(uuid) = of_path.map(|uuid| machine.as_deref().unwrap_or(uuid))
            && let Err(denied) = may_have(endpoint, asker, uuid)
        {
            return refused(&asked, asker, uuid, denied);
        }
        let rendered = located.and_then(|located| endpoint.renderer.render(&located, &site, &endpoint.store));
        if let (Some(Ok(Rendered { read_secrets: true, .. })), Some(uuid)) = (&rendered, machine.as_deref())
            && let Err(denied) = may_have(endpoint, asker, uuid)
        {
            return refused(&asked, asker, uuid, denied);
        }
        match rendered.map(|rendered| rendered.map(|rendered| rendered.file)) {
            None => return endpoint.files.find(&path).map_or(Found::Nothing, Found::File),
            Some(Ok(BootFile::Text(text))) => return Found::Text(text),
            Some(Ok(BootFile::Link(target))) if target.contains("://") => return Found::Elsewhere(target),
            // A link to its own path means the real file that it hides.
            Some(Ok(BootFile::Link(target))) if target.trim_matches('/') == path.trim_matches('/') => {
                return endpoint.files.find(&path).map_or(Found::Nothing, Found::File);
            }
            Some(Ok(BootFile::Link(target))) => path = target,
            Some(Err(error)) => {
                tracing::error!(path = asked, %error, "a boot file cannot be rendered");
                return Found::Broken;
            }
        }
    }
    tracing::error!(path = asked, limit = MAX_LINKS, "too many links from one file to the next");
    Found::Broken
}

/// Returns the endpoint as the asker sees it.
fn site(endpoint: &Arc<Endpoint>, asker: &Asker) -> Arc<dyn Site> {
    render::facing(endpoint, asker.local.unwrap_or(Ipv4Addr::UNSPECIFIED.into()))
}

/// Tells why the asker may not have what may hold the secrets of a machine. One that is not known has none.
fn may_have(endpoint: &Endpoint, asker: &Asker, uuid: &str) -> Result<(), String> {
    let objects = endpoint.snapshot();
    let Some(machine) = objects.get::<Machine>(uuid) else { return Ok(()) };
    let card = || neighbours::card_of(&objects, asker.peer, &machine.hardware_addrs);
    if access::is_open(&objects)
        || access::is_of_machine(&objects, &machine, asker.peer, endpoint.now(), card)
    {
        return Ok(());
    }
    let Some(token) = &asker.token else { return Err(DENIED.to_owned()) };
    let caller = auth::by_token(endpoint, token)
        .map_err(|error| format!("{}\n{DENIED}", error.messages.join(", ")))?;
    let reads = ["get", "getSecure"].iter().all(|action| caller.may("machines", action, uuid));
    match reads && caller.sees("machines", uuid) {
        true => Ok(()),
        false => Err(format!(
            "the token of {} may not read the secrets of this machine\n{DENIED}",
            caller.principal
        )),
    }
}

fn refused(path: &str, asker: &Asker, machine: &str, why: String) -> Found {
    tracing::warn!(
        target: "formwork_boot::access", address = %asker.peer, file = path, machine,
        "a file of a machine was asked for by an address that is not its own"
    );
    Found::Denied(why)
}

#[cfg(test)]
mod tests {
    use formwork_model::{BootEnv, Claim, Lease, Preference, TemplateInfo};

    use super::*;
    use crate::testing::{Site as Place, Wishes};

    const UUID: &str = "c0ffee00-77aa-4c3d-9e1f-525400770001";
    const OWN: &str = "10.0.0.50";
    const STRANGER: &str = "10.0.0.99";

    /// Returns an endpoint with a machine that has files: one of its folder, and two named after its address of which one
    /// holds a token.
    async fn place() -> Place {
        let place = Place::new(Wishes::default());
        let entry = |name: &str, path: &str, contents: &str| TemplateInfo {
            name: name.into(),
            path: path.into(),
            contents: contents.into(),
            ..TemplateInfo::default()
        };
        let env = BootEnv {
            name: "install".into(),
            templates: vec![
                entry("seed", "{{.Machine.Path}}/seed", "{{.ProvisionerURL}} {{.ApiURL}} {{.Machine.Url}}"),
                entry("plain", "{{.Machine.Address}}.ipxe", "exit"),
                entry("token", "{{.Machine.Address}}.cfg", "{{.GenerateToken}}"),
            ],
            ..BootEnv::default()
        };
        let machine = Machine {
            uuid: UUID.into(),
            name: "m1".into(),
            address: OWN.into(),
            boot_env: "install".into(),
            ..Machine::default()
        };
        put(&place, env).await;
        put(&place, machine).await;
        place
    }

    async fn put(place: &Place, object: impl formwork_model::Object + Clone) {
        let written = place.endpoint.store.write("user:anna", move |tx| {
            tx.put(Arc::new(object));
            Ok::<(), std::convert::Infallible>(())
        });
        written.await.unwrap();
    }

    fn by(peer: &str) -> Asker {
        Asker { peer: peer.parse().unwrap(), local: None, token: None }
    }

    async fn text(place: &Place, path: &str, asker: Asker) -> Result<String, Found> {
        match find(&place.endpoint, path, asker).await {
            Found::Text(text) => Ok(text),
            other => Err(other),
        }
    }

    async fn is_denied(place: &Place, path: &str, asker: Asker) -> bool {
        matches!(text(place, path, asker).await, Err(Found::Denied(_)))
    }

    #[tokio::test]
    async fn secrets_of_a_machine_are_for_it_and_what_holds_none_is_for_all() {
        let place = place().await;
        let seed = format!("machines/{UUID}/seed");
        for path in [&seed, &format!("/{seed}"), "10.0.0.50.cfg"] {
            assert!(text(&place, path, by(OWN)).await.is_ok(), "{path}");
        }
        let other_forms = [format!("machines//{UUID}/seed"), format!("//machines/{UUID}//seed/")];
        let secret = [seed.as_str(), "10.0.0.50.cfg", &other_forms[0], &other_forms[1]];
        for path in secret {
            assert!(is_denied(&place, path, by(STRANGER)).await, "{path}");
        }
        assert_eq!(text(&place, "10.0.0.50.ipxe", by(STRANGER)).await.unwrap(), "exit");
        // A real file beside the rendered ones is the machine's own as well.
        let folder = place.folder.path().join("machines").join(UUID);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("key"), "k").unwrap();
        let key = format!("machines/./{UUID}/key");
        assert!(is_denied(&place, &key, by(STRANGER)).await);
        assert!(matches!(find(&place.endpoint, &key, by(OWN)).await, Found::File(_)));
    }

    #[tokio::test]
    async fn address_that_was_leased_to_a_machine_gets_its_files() {
        let place = place().await;
        let lease = Lease {
            addr: STRANGER.into(),
            state: "ACK".into(),
            machine_uuid: UUID.into(),
            expire_time: place.endpoint.now().plus_millis(60_000),
            ..Lease::default()
        };
        put(&place, lease).await;
        assert!(text(&place, &format!("machines/{UUID}/seed"), by(STRANGER)).await.is_ok());
    }

    #[tokio::test]
    async fn token_that_may_read_the_secrets_of_a_machine_gets_its_files_from_anywhere() {
        let place = place().await;
        let seed = format!("machines/{UUID}/seed");
        let with = |token: String| Asker { token: Some(token), ..by(STRANGER) };
        let claims = |actions: &str| place.token(60, &[Claim::new("machines", actions, UUID)]);
        assert!(text(&place, &seed, with(claims("get,getSecure"))).await.is_ok());
        let objects = place.endpoint.snapshot();
        let own = auth::machine_token(&place.endpoint, &objects, &objects.get(UUID).unwrap(), None);
        assert!(text(&place, &seed, with(own)).await.is_ok());
        let other = place.token(60, &[Claim::new("machines", "get,getSecure", "another")]);
        let unknown = auth::unknown_token(&place.endpoint, &objects);
        for (token, why) in [
            (claims("get"), "it reads no secrets"),
            (other, "it is for another machine"),
            (unknown, "everybody can have one"),
            (String::from("nonsense"), "it is none"),
        ] {
            assert!(is_denied(&place, &seed, with(token)).await, "{why}");
        }
    }

    #[tokio::test]
    async fn operator_can_give_the_files_of_machines_to_everybody() {
        let place = place().await;
        let anybody = Preference {
            name: access::PREFERENCE.into(),
            val: access::ANYBODY.into(),
            ..Preference::default()
        };
        put(&place, anybody).await;
        assert!(text(&place, &format!("machines/{UUID}/seed"), by(STRANGER)).await.is_ok());
    }

    #[tokio::test]
    async fn two_networks_are_each_told_their_own_urls_of_one_file() {
        let place = place().await;
        for local in ["10.0.0.1", "192.0.2.1"] {
            let asker = Asker { local: local.parse().ok(), ..by(OWN) };
            let text = text(&place, &format!("machines/{UUID}/seed"), asker).await.unwrap();
            let urls: Vec<&str> = text.split(' ').collect();
            assert!(urls[0].starts_with(&format!("http://{local}:")), "{text}");
            assert!(urls[1].starts_with(&format!("https://{local}:")), "{text}");
            assert!(urls[2] == format!("{}/machines/{UUID}", urls[0]), "{text}");
        }
    }
}
