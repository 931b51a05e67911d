//! Subnets and reservations: a new subnet gets the options that follow from its network, and a reservation names the subnet
//! that its address is in (drp-api.md 7.12, 7.13).

use std::sync::Arc;

use formwork_model::{Object, Objects, Record, Reservation, Subnet};

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
        place_all(work, Some(&subnet))?;
        Ok(Box::new(subnet))
    }

    fn change(
        &self,
        work: &mut Work<'_>,
        _request: &Request,
        old: &Arc<dyn Object>,
        new: &dyn Object,
    ) -> Result<Arc<dyn Object>, Stop> {
        let moved = pair::<Subnet>(old.as_ref(), new).is_some_and(|(old, new)| old.subnet != new.subnet);
        let stored = work.put(new.boxed())?;
        if moved {
            place_all(work, None)?;
        }
        Ok(stored)
    }

    fn delete_with(&self, work: &mut Work<'_>, _object: &dyn Object, _force: bool) -> Result<(), Stop> {
        place_all(work, None)
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

/// Says of all reservations again which subnet they are in, as if a new subnet were there already.
fn place_all(work: &mut Work<'_>, new: Option<&Subnet>) -> Result<(), Stop> {
    let mut moved = Vec::new();
    work.tx.visit(Reservation::KIND.prefix, &mut |object| {
        if let Some(own) = object.as_any().downcast_ref::<Reservation>() {
            let mut placed = own.clone();
            placed.place(&*work.tx);
            let address = placed.addr.parse();
            if let (Some(new), Ok(address)) = (new, address)
                && new.contains(address)
            {
                placed.subnet.clone_from(&new.name);
            }
            if placed.subnet != own.subnet {
                moved.push(placed);
            }
        }
        true
    });
    for reservation in moved {
        work.put_unchecked(Box::new(reservation))?;
    }
    Ok(())
}
