//! What can be done to a system, in terms of its Redfish resource (DMTF DSP2046, ComputerSystem).

use formwork_sdk::{Failure, log};
use serde_json::{Value, json};

use crate::service::Service;

/// What can be done to a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// Switch it on.
    On,
    /// Switch it off at once.
    Off,
    /// Switch it off and on again.
    Cycle,
    /// Reset it without switching it off.
    Reset,
    /// Have its operating system restart it, else reset it.
    Reboot,
    /// Say how it is.
    Status,
    /// Boot from the network the next time.
    NextPxe,
    /// Boot from its disk the next time.
    NextDisk,
    /// Enter the setup of its firmware the next time.
    NextBios,
}

/// What a command asks of the controller.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Nothing: it is so already, or only to be looked at.
    Nothing,
    /// Ask for a reset of this type.
    Reset(&'static str),
    /// Change these members of the system.
    Change(Value),
}

impl Command {
    pub(crate) const ALL: &[Self] = &[
        Self::On,
        Self::Off,
        Self::Cycle,
        Self::Reset,
        Self::Reboot,
        Self::Status,
        Self::NextPxe,
        Self::NextDisk,
        Self::NextBios,
    ];

    /// The name of the action.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::On => "poweron",
            Self::Off => "poweroff",
            Self::Cycle => "powercycle",
            Self::Reset => "powerreset",
            Self::Reboot => "reboot",
            Self::Status => "powerstatus",
            Self::NextPxe => "nextbootpxe",
            Self::NextDisk => "nextbootdisk",
            Self::NextBios => "nextbootbios",
        }
    }

    /// Decides what is to be asked of the controller of a system as it is now.
    ///
    /// # Errors
    ///
    /// The system knows no reset that does it.
    pub(crate) fn step(self, system: &Value) -> Result<Step, Failure> {
        let is_off = power(system) == "Off";
        let is_on = power(system) == "On";
        match self {
            Self::Status => Ok(Step::Nothing),
            Self::On if is_on => Ok(Step::Nothing),
            Self::Off if is_off => Ok(Step::Nothing),
            Self::On => reset(system, &["On", "ForceOn", "PushPowerButton"]),
            Self::Off => reset(system, &["ForceOff"]),
            // What is off cannot be switched off first.
            Self::Cycle | Self::Reset | Self::Reboot if is_off => reset(system, &["On", "ForceOn"]),
            Self::Cycle => reset(system, &["PowerCycle", "FullPowerCycle", "ForceRestart"]),
            Self::Reset => reset(system, &["ForceRestart", "PowerCycle"]),
            Self::Reboot => reset(system, &["GracefulRestart", "ForceRestart"]),
            Self::NextPxe => Ok(next_boot("Pxe")),
            Self::NextDisk => Ok(next_boot("Hdd")),
            Self::NextBios => Ok(next_boot("BiosSetup")),
        }
    }

    /// Does it and returns how the system was and what was asked of it.
    pub(crate) fn run(self, service: &Service, id: Option<&str>) -> Result<Value, Failure> {
        let (path, system) = service.system(id)?;
        let step = self.step(&system)?;
        let asked = match &step {
            Step::Nothing => Value::Null,
            Step::Reset(kind) => {
                let default = format!("{path}/Actions/ComputerSystem.Reset");
                let target = system.pointer("/Actions/#ComputerSystem.Reset/target").and_then(Value::as_str);
                service.post(target.unwrap_or(&default), &json!({ "ResetType": kind }))?;
                json!({ "ResetType": kind })
            }
            Step::Change(members) => {
                service.patch(&path, system.get("@odata.etag").and_then(Value::as_str), members)?;
                members.clone()
            }
        };
        log::info!("{}: the power was {}, asked for {asked}", self.name(), power(&system));
        Ok(json!({
            "system": path,
            "power": power(&system),
            "health": system.pointer("/Status/Health"),
            "nextBoot": system.pointer("/Boot/BootSourceOverrideTarget"),
            "asked": asked,
        }))
    }
}

/// The power state: `On`, `Off`, `PoweringOn`, `PoweringOff`, or empty when the controller does not say.
fn power(system: &Value) -> &str {
    system.get("PowerState").and_then(Value::as_str).unwrap_or_default()
}

/// Picks the first type of reset that the system knows. One that does not say which it knows is asked for the first.
fn reset(system: &Value, types: &[&'static str]) -> Result<Step, Failure> {
    let known = system
        .pointer("/Actions/#ComputerSystem.Reset/ResetType@Redfish.AllowableValues")
        .and_then(Value::as_array);
    let fits = |kind: &&&'static str| known.is_none_or(|known| known.iter().any(|value| value == **kind));
    types.iter().find(fits).map(|kind| Step::Reset(kind)).ok_or_else(|| {
        Failure::new("no-reset", format!("the controller offers none of the resets {}", types.join(", ")))
    })
}

fn next_boot(target: &str) -> Step {
    Step::Change(json!({
        "Boot": { "BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": target }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(power: &str, resets: &[&str]) -> Value {
        json!({
            "PowerState": power,
            "Actions": { "#ComputerSystem.Reset": { "ResetType@Redfish.AllowableValues": resets } },
        })
    }

    #[test]
    fn what_is_so_already_is_left_alone() {
        assert_eq!(Command::On.step(&system("On", &["On"])).unwrap(), Step::Nothing);
        assert_eq!(Command::Off.step(&system("Off", &["ForceOff"])).unwrap(), Step::Nothing);
        assert_eq!(Command::Status.step(&json!({})).unwrap(), Step::Nothing);
    }

    #[test]
    fn reset_is_the_best_one_that_the_controller_knows() {
        let on = |resets: &[&str]| Command::Cycle.step(&system("On", resets));
        assert_eq!(on(&["PowerCycle", "ForceRestart"]).unwrap(), Step::Reset("PowerCycle"));
        assert_eq!(on(&["On", "ForceRestart"]).unwrap(), Step::Reset("ForceRestart"));
        let failure = on(&["Nmi"]).unwrap_err();
        assert_eq!(failure.code, "no-reset");
        assert_eq!(Command::Off.step(&json!({"PowerState": "On"})).unwrap(), Step::Reset("ForceOff"));
    }

    #[test]
    fn what_is_off_is_switched_on_by_a_cycle() {
        assert_eq!(Command::Cycle.step(&system("Off", &["On", "PowerCycle"])).unwrap(), Step::Reset("On"));
    }

    #[test]
    fn next_boot_device_counts_once() {
        let Step::Change(members) = Command::NextDisk.step(&json!({})).unwrap() else { panic!("no change") };
        assert_eq!(members["Boot"]["BootSourceOverrideEnabled"], "Once");
        assert_eq!(members["Boot"]["BootSourceOverrideTarget"], "Hdd");
    }
}
