//! Addresses that subnets give by the API, and take back (drp-api.md 7.13).

use std::{net::Ipv4Addr, sync::Arc};

use axum::http::Method;
use formwork_api::ApiError;
use formwork_core::subnets::free_address;
use formwork_model::{Header, Kind, Machine, Object, Objects, ObjectsExt, Record, Reservation, Subnet};
use formwork_store::Committed;
use serde_json::Value;

use super::{
    claims,
    objects::{Change, Request, remove, update_in},
    tenants,
};
use crate::{
    auth::Caller,
    commit::{Stop, Work, commit_object, refused},
    endpoint::Endpoint,
    random, secure,
};

/// Reserves an address of a subnet, and tells it to the machine that it is for.
pub(crate) async fn allocate(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    subnet: String,
    asked: Reservation,
) -> Result<Committed<Arc<dyn Object>>, ApiError> {
    caller.require(Reservation::KIND.prefix, "create", "")?;
    let by = caller.clone();
    // What clients cannot write they cannot bring along here either.
    let mut asked = asked;
    asked.header = Header { meta: std::mem::take(&mut asked.header.meta), ..Header::default() };
    commit_object(endpoint, &caller.principal, move |work| {
        let own = work.tx.get::<Subnet>(&subnet).ok_or_else(|| missing(Subnet::KIND, "POST", &subnet))?;
        let address = free_address(&*work.tx, &own, &asked.addr, work.now)
            .map_err(|refusal| refused(Subnet::KIND.prefix, &subnet, refusal))?;
        let mut reservation = Reservation { addr: address.to_string(), allocated: true, ..asked.clone() };
        if reservation.strategy.is_empty() {
            reservation.strategy.clone_from(&own.strategy);
        }
        if reservation.token.is_empty() {
            reservation.token = token(work, &by, &reservation)?;
        }
        reservation.normalise();
        reservation.place(&*work.tx);
        if secure::holds_any(&*work.tx, &reservation) {
            claims::require_secure(&by, &reservation)?;
        }
        let stored = work.put(Box::new(reservation.clone()))?;
        tenants::adopt(work, &by, stored.as_ref())?;
        tell_machine(work, &by, &reservation, Some(Value::String(reservation.addr.clone())))?;
        Ok(stored)
    })
    .await
}

/// Takes back an address that [`allocate`] gave, and returns its reservation as it was.
pub(crate) async fn release(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    subnet: String,
    address: Ipv4Addr,
) -> Result<Committed<Arc<dyn Object>>, ApiError> {
    let kind = Reservation::KIND;
    let key = kind.canonical_key(&address.to_string()).into_owned();
    caller.require(kind.prefix, "delete", &key)?;
    let by = caller.clone();
    commit_object(endpoint, &caller.principal, move |work| {
        let own = work.tx.get::<Subnet>(&subnet).ok_or_else(|| missing(Subnet::KIND, "DELETE", &subnet))?;
        let held = work.tx.get::<Reservation>(&key).filter(|_| own.contains(address));
        let held = held.filter(|_| by.sees(kind.prefix, &key));
        let held = held.ok_or_else(|| missing(kind, "DELETE", &key))?;
        if !held.allocated {
            let message = format!(
                "{address} was reserved by hand and not allocated by the subnet\nhint: delete the reservation"
            );
            return Err(ApiError::new(409, "DELETE", message).about(kind.prefix, &key).into());
        }
        remove(work, held.as_ref(), false)?;
        tell_machine(work, &by, &held, None)?;
        Ok(held)
    })
    .await
}

fn missing(kind: &Kind, method: &str, key: &str) -> ApiError {
    ApiError::not_found(method, kind.prefix, key)
}

/// Returns by what the client of a reservation is known: by the first network card of its machine, else by a made-up word.
fn token(work: &Work<'_>, caller: &Caller, reservation: &Reservation) -> Result<String, Stop> {
    if reservation.machine.is_empty() {
        return Ok(random::uuid());
    }
    let machine = work.tx.get::<Machine>(&reservation.machine);
    let machine = machine.filter(|machine| caller.sees(Machine::KIND.prefix, &machine.uuid));
    let machine = machine.ok_or_else(|| no_machine(reservation))?;
    Ok(machine.hardware_addrs.first().cloned().unwrap_or_else(random::uuid))
}

fn no_machine(reservation: &Reservation) -> ApiError {
    let message = format!("{}: Machine {} does not exist", Object::key(reservation), reservation.machine);
    ApiError::invalid(Reservation::KIND.prefix, &Object::key(reservation), vec![message])
}

/// Sets the param of the machine of a reservation, or removes it.
fn tell_machine(
    work: &mut Work<'_>,
    caller: &Caller,
    reservation: &Reservation,
    value: Option<Value>,
) -> Result<(), Stop> {
    let (uuid, name) = (&reservation.machine, &reservation.parameter);
    if uuid.is_empty() || name.is_empty() {
        return Ok(());
    }
    let kind = Machine::KIND;
    let known = work.tx.find(kind.prefix, uuid).is_some() && caller.sees(kind.prefix, uuid);
    match (known, &value) {
        (true, _) => {}
        // A machine that is gone has no param to remove.
        (false, None) => return Ok(()),
        (false, Some(_)) => return Err(no_machine(reservation).into()),
    }
    let request = Request { kind, caller: caller.clone(), method: Method::PATCH, force: false };
    update_in(work, &request, uuid, &Change::Param(name.clone(), value)).map(drop)
}
