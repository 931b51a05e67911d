//! Looks at the machine that it runs on and writes what it finds to the parameters `inventory/*`.
//!
//! It reads `/sys`, `/proc/cpuinfo` and `/proc/meminfo`, and nothing on the machine changes. What is not there is left out:
//! a machine without DMI, an odd driver or a broken table makes an inventory shorter, never fails it.

mod cpu;
mod disks;
mod dmi;
mod memory;
mod nics;
mod smbios;
mod source;

use formwork_sdk::{Call, Failure, Outcome, Task, log, params};
use source::{Granted, Source};

struct Inventory;

impl Task for Inventory {
    fn run(_call: &Call) -> Result<Outcome, Failure> {
        let disks = disks::read(&Granted);
        let nics = nics::read(&Granted);
        params::write("inventory/dmi", &dmi::read(&Granted))?;
        params::write("inventory/cpu", &cpu::read(&Granted))?;
        params::write("inventory/memory", &memory::read(&Granted))?;
        params::write("inventory/disks", &disks)?;
        params::write("inventory/nics", &nics)?;
        log::info(format_args!("found {} disks and {} network interfaces", disks.len(), nics.len()));
        Ok(Outcome::Done)
    }
}

formwork_sdk::export_task!(Inventory);
