//! Machines: what the server does to them on its own account, and who they are (drp-api.md 7.8, 12.6).

use std::sync::Arc;

use formwork_api::{ApiError, Whoami, WhoamiResult};
use formwork_core::machine;
use formwork_model::{Machine, ObjectsExt};

use crate::{
    auth::{self, Caller},
    commit::commit,
    endpoint::Endpoint,
};

/// Changes a machine on the server's own account.
pub(crate) async fn update_machine(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    uuid: &str,
    change: impl Fn(&mut Machine) + Clone + Send + Sync + 'static,
) -> Result<Arc<Machine>, ApiError> {
    let uuid = uuid.to_owned();
    commit(endpoint, principal, move |work| {
        let old =
            work.tx.get::<Machine>(&uuid).ok_or_else(|| ApiError::not_found("PATCH", "machines", &uuid))?;
        let mut machine = old.as_ref().clone();
        change(&mut machine);
        if machine == *old {
            return Ok(old);
        }
        work.put_unchecked(Box::new(machine.clone()))?;
        Ok(Arc::new(machine))
    })
    .await
}

/// Tells a machine which object it is, and remembers a fingerprint that it did not have (drp-api.md 12.6).
pub(crate) async fn whoami(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    mut whoami: Whoami,
) -> Result<Whoami, ApiError> {
    caller.require("machines", "whoami", "")?;
    whoami.result = WhoamiResult::default();
    let snapshot = endpoint.snapshot();
    let machines = snapshot.list::<Machine>();
    let Some((machine, score)) = whoami.best(machines.iter().map(AsRef::as_ref)) else { return Ok(whoami) };
    if let Some(learned) = machine::learn_fingerprint(machine, &whoami.fingerprint) {
        let found = learned.fingerprint;
        update_machine(endpoint, &caller.principal, &machine.uuid, move |machine| {
            machine.fingerprint = found.clone();
        })
        .await?;
    }
    whoami.result = WhoamiResult {
        score,
        uuid: machine.uuid.clone(),
        token: auth::machine_token(endpoint, &snapshot, machine, None),
    };
    Ok(whoami)
}
