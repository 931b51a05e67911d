//! Storing what a job moved on: a machine, or a work order.

use formwork_core::jobs::Moved;
use formwork_model::{Machine, Record as _};

use super::{machines, work_orders};
use crate::commit::{Stop, Work};

/// Stores a machine or a work order as a job left it.
pub(crate) fn put_moved(work: &mut Work<'_>, moved: Moved) -> Result<(), Stop> {
    match moved {
        Moved::Machine(machine) => {
            let kind = Machine::find(&*work.tx, &machine.uuid).map_or(Machine::KIND, |found| found.kind());
            machines::put_after_job(work, kind, *machine)
        }
        Moved::WorkOrder(order) => work_orders::put_order(work, *order).map(drop),
    }
}
