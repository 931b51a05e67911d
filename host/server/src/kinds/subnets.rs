//! Subnets and reservations: a new subnet gets the options that follow from its network, and a reservation names the subnet
//! that its address is in (drp-api.md 7.12, 7.13).

use std::sync::Arc;

use formwork_core::subnets;
use formwork_model::{Object, Reservation, Subnet};

use super::{Behaviour, pair};
use crate::{
    commands::objects::Request,
    commit::{Stop, Work},
};

/// How subnets behave.
pub(super) struct Subnets;

impl Behaviour for Subnets {
    fn complete(&self, work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
        let Some(mut subnet) = object.as_any().downcast_ref::<Subnet>().cloned() else { return Ok(object) };
        subnet.add_options();
        place_within(work, &subnet, Some(&subnet))?;
        Ok(Box::new(subnet))
    }

    fn change(
        &self,
        work: &mut Work<'_>,
        _request: &Request,
        old: &Arc<dyn Object>,
        new: &dyn Object,
    ) -> Result<Arc<dyn Object>, Stop> {
        let stored = work.put(new.boxed())?;
        if let Some((old, new)) = pair::<Subnet>(old.as_ref(), new)
            && old.subnet != new.subnet
        {
            place_within(work, old, None)?;
            place_within(work, new, None)?;
        }
        Ok(stored)
    }

    fn delete_with(&self, work: &mut Work<'_>, object: &dyn Object, _force: bool) -> Result<(), Stop> {
        let subnet = object.as_any().downcast_ref::<Subnet>();
        subnet.map_or(Ok(()), |subnet| place_within(work, subnet, None))
    }
}

/// How reservations behave.
pub(super) struct Reservations;

impl Behaviour for Reservations {
    fn complete(&self, work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
        let Some(mut own) = object.as_any().downcast_ref::<Reservation>().cloned() else { return Ok(object) };
        own.place(&*work.tx);
        Ok(Box::new(own))
    }
}

/// Says again of the reservations in the network of a subnet which subnet they are in; `new` counts although it is not there
/// yet.
fn place_within(work: &mut Work<'_>, network: &Subnet, new: Option<&Subnet>) -> Result<(), Stop> {
    let Some(span) = network.span() else { return Ok(()) };
    for reservation in subnets::misplaced(&*work.tx, span, new) {
        work.put_unchecked(Box::new(reservation))?;
    }
    Ok(())
}
