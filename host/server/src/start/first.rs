//! The objects of a fresh endpoint (drp-api.md 3.6), and what an older start left behind.

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_model::{KINDS, Objects, Profile, User};

use super::FirstUser;
use crate::{
    auth::hash_password,
    commit::{Work, commit},
    content::BUILT_IN,
    endpoint::Endpoint,
    random,
};

/// The name of the first user unless the operator says otherwise.
const FIRST_USER: &str = "rocketskates";

/// Makes what is missing; returns the first user when there was none before.
pub(super) async fn objects(endpoint: &Arc<Endpoint>) -> Result<Option<FirstUser>, ApiError> {
    let fresh = endpoint.snapshot().count("users") == 0;
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

/// Removes what an earlier start noted about built-in objects, which may be newer now.
fn uncover(work: &mut Work<'_>) {
    for kind in KINDS {
        let mut stale = Vec::new();
        work.tx.visit(kind.prefix, &mut |object| {
            if object.header().bundle == BUILT_IN && !work.tx.is_base(kind.prefix, &object.key()) {
                stale.push(object.key());
            }
            true
        });
        for key in stale {
            work.tx.delete(kind.prefix, &key);
        }
    }
}
