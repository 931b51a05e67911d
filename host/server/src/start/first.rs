//! The objects of a fresh endpoint (drp-api.md 3.6), and what an older start left behind.

use std::sync::Arc;

use axum::http::Method;
use formwork_api::ApiError;
use formwork_model::{Machine, Objects, ObjectsExt, Profile, Record, User, kinds};

use super::FirstUser;
use crate::{
    auth::{Caller, hash_password},
    commands::{
        machines::update_machine,
        objects::{Request, create},
    },
    commit::{Work, commit},
    content::is_brought_along,
    endpoint::Endpoint,
    random,
};

/// The name of the first user unless the operator says otherwise.
const FIRST_USER: &str = "rocketskates";

/// Makes what is missing; returns the first user when there was none before.
pub(super) async fn objects(endpoint: &Arc<Endpoint>) -> Result<Option<FirstUser>, ApiError> {
    let fresh = !has_users(&endpoint.snapshot());
    let given = endpoint.options.first_user.clone();
    let is_given = given.is_some();
    let (name, password) = given.unwrap_or_else(|| (FIRST_USER.to_owned(), random::secret()));
    let hash = if fresh { hash_password(&password) } else { String::new() };
    let user = name.clone();
    commit(endpoint, "system", move |work| {
        uncover(work);
        if work.tx.find("profiles", "global").is_none() {
            let mut global = Profile { name: String::from("global"), ..Profile::default() };
            let words = [("color", "blue"), ("icon", "world"), ("title", "Digital Rebar Provision")];
            global.header.meta = words.map(|(key, word)| (key.to_owned(), word.to_owned())).into();
            work.put(Box::new(global))?;
        }
        if fresh {
            work.put(Box::new(User {
                name: user.clone(),
                password_hash: hash.clone(),
                secret: random::secret(),
                roles: vec![String::from("superuser")],
                ..User::default()
            }))?;
        }
        Ok(())
    })
    .await?;
    Ok(fresh.then_some(FirstUser { name, made_password: (!is_given).then_some(password) }))
}

/// Tells whether anybody was made a user; those that content brings along at each start do not count.
fn has_users(objects: &impl Objects) -> bool {
    let mut found = false;
    objects.visit(User::KIND.prefix, &mut |user| {
        found = !is_brought_along(objects, user.as_ref());
        !found
    });
    found
}

/// Makes the host of the endpoint a machine, unless it is one, and returns the UUID of that.
pub(super) async fn own_machine(endpoint: &Arc<Endpoint>) -> Result<String, ApiError> {
    let card = endpoint.local_id.to_lowercase();
    let snapshot = endpoint.snapshot();
    let known = snapshot.find_by::<Machine>(|machine| {
        machine.header.meta.get(Machine::ROLE).is_some_and(|role| role == Machine::OWN_ROLE)
            || !card.is_empty() && machine.hardware_addrs.contains(&card)
    });
    if let Some(known) = known {
        return Ok(known.uuid.clone());
    }
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let body = serde_json::json!({
        "Name": if name.is_empty() { endpoint.id.clone() } else { name },
        "Address": endpoint.address.to_string(),
        "HardwareAddrs": if card.is_empty() { Vec::new() } else { vec![card] },
        "Arch": formwork_model::canonical_arch(std::env::consts::ARCH),
        "BootEnv": "local",
    });
    let request =
        Request { kind: Machine::KIND, caller: Caller::operator(), method: Method::POST, force: false };
    let uuid = create(endpoint, request, body).await?.value.key();
    let own = |machine: &mut Machine| {
        machine.header.meta.insert(Machine::ROLE.to_owned(), Machine::OWN_ROLE.to_owned());
    };
    update_machine(endpoint, "system", &uuid, own).await?;
    Ok(uuid)
}

/// Removes what an earlier start noted about objects that it brought along, which may be others now.
fn uncover(work: &mut Work<'_>) {
    for kind in kinds() {
        let mut stale = Vec::new();
        work.tx.visit(kind.prefix, &mut |object| {
            if is_brought_along(&*work.tx, object.as_ref()) && !work.tx.is_base(kind.prefix, &object.key()) {
                stale.push(object.key());
            }
            true
        });
        for key in stale {
            work.tx.delete(kind.prefix, &key);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        commands::objects::{Change, update},
        testing::{Site, Wishes},
    };

    fn request(prefix: &str, method: Method) -> Request {
        let kind = formwork_model::kind_of(prefix).unwrap();
        Request { kind, caller: Caller::operator(), method, force: false }
    }

    async fn made(site: &Site, prefix: &str, role: Option<&str>) -> String {
        let mut body = json!({"Name": format!("one-of-{prefix}")});
        if let Some(role) = role {
            body["Meta"] = json!({(Machine::ROLE): role});
        }
        create(&site.endpoint, request(prefix, Method::POST), body).await.unwrap().value.key()
    }

    fn role(site: &Site, prefix: &str, key: &str) -> Option<String> {
        site.endpoint.snapshot().find(prefix, key).unwrap().header().meta.get(Machine::ROLE).cloned()
    }

    #[tokio::test]
    async fn row_042_machine_role_is_written_by_the_endpoint_alone() {
        let site = Site::new(Wishes::default());
        let own = own_machine(&site.endpoint).await.unwrap();
        let mut known = vec![("machines", own, Some("self"))];
        for (prefix, role) in
            [("machines", None), ("clusters", Some("cluster")), ("resource_brokers", Some("resource-broker"))]
        {
            known.push((prefix, made(&site, prefix, Some("self")).await, role));
        }
        for (prefix, key, expected) in &known {
            assert_eq!(role(&site, prefix, key).as_deref(), *expected, "{prefix}: absent means machine");
        }
        assert_eq!(own_machine(&site.endpoint).await.unwrap(), known[0].1, "there is one of its own");
        for (prefix, key, expected) in &known {
            for meta in [json!({(Machine::ROLE): "wizard", "color": "red"}), json!({"color": "red"})] {
                let mut body = site.endpoint.snapshot().find(prefix, key).unwrap().to_json();
                body["Meta"] = meta;
                let put = vec![Change::Put(body)];
                update(&site.endpoint, request(prefix, Method::PUT), key.clone(), put).await.unwrap();
                let meta = site.endpoint.snapshot().find(prefix, key).unwrap().header().meta.clone();
                assert_eq!(
                    (meta.get(Machine::ROLE).map(String::as_str), meta["color"].as_str()),
                    (*expected, "red")
                );
            }
        }
    }
}
