//! `.Machine` of templates.

use std::sync::Arc;

use formwork_model::Machine;
use formwork_template::{Arguments, CallError, Engine, Object, Value};
use serde_json::Value as Json;

use super::scene::Scene;

/// A machine, as templates see it (drp-behaviour.md 2.5).
pub(super) struct MachineView {
    scene: Arc<Scene>,
    machine: Arc<Machine>,
}

impl MachineView {
    pub(super) fn new(scene: &Arc<Scene>, machine: &Arc<Machine>) -> Self {
        Self { scene: Arc::clone(scene), machine: Arc::clone(machine) }
    }

    /// Returns an address of the machine. A path that needs one exists only once the machine has it.
    fn address(&self, address: String) -> Value {
        if address.is_empty() {
            self.scene.mark_incomplete();
        }
        Value::from(address)
    }

    fn mac(&self, form: &str) -> Result<Value, CallError> {
        let Some(mac) = self.scene.mac() else {
            return Err(format!("machine `{}` has no hardware address", self.machine.name).into());
        };
        let dashes = || mac.replace(':', "-");
        match form {
            "" | "raw" | "ipxe" | "grub" => Ok(Value::from(mac)),
            "pxe" | "pxelinux" => Ok(Value::from(format!("01-{}", dashes()))),
            "rpi4" => Ok(Value::from(dashes())),
            _ => Err(format!("`{form}` is not one of raw, pxe, pxelinux, ipxe, grub, rpi4").into()),
        }
    }
}

/// Returns the path below which a machine has its files.
pub(super) fn path(machine: &Machine) -> String {
    format!("machines/{}", machine.uuid)
}

impl Object for MachineView {
    fn type_name(&self) -> &str {
        "Machine"
    }

    fn field(&self, name: &str) -> Option<Value> {
        let machine = &self.machine;
        Some(match name {
            // The members that paths are made of, without turning the whole machine into JSON.
            "UUID" | "Uuid" => Value::from(machine.uuid.as_str()),
            "Name" => Value::from(machine.name.as_str()),
            "Arch" => Value::from(machine.arch.as_str()),
            "Address" => self.address(machine.address.clone()),
            "HexAddress" => self.address(machine.hex_address()),
            "ShortName" => Value::from(machine.name.split('.').next().unwrap_or_default()),
            "Path" => Value::from(path(machine)),
            "Url" => Value::from(format!("{}/{}", self.scene.site.file_url(), path(machine))),
            // Whoever reads a file must not be able to take the machine's place.
            "Secret" => Value::from(""),
            _ => return self.scene.machine_json().get(name).map(Value::from),
        })
    }

    fn call(&self, name: &str, args: &[Value], _: &mut Engine<'_>) -> Result<Option<Value>, CallError> {
        let args = Arguments::new(args);
        Ok(Some(match name {
            "MacAddr" => {
                let args = args.count(0, 1)?;
                let form = if matches!(args.value(0), Value::Nil) { "" } else { args.text(0)? };
                self.mac(form)?
            }
            "HasProfile" => {
                let wanted = args.count(1, 1)?.text(0)?;
                Value::from(self.machine.profiles.iter().any(|profile| profile == wanted))
            }
            _ => return Ok(None),
        }))
    }

    fn json(&self) -> Json {
        let mut json = self.scene.machine_json().clone();
        if let Some(members) = json.as_object_mut() {
            members.insert(String::from("Secret"), Json::String(String::new()));
        }
        json
    }
}
