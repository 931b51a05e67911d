//! Power control of machines through their management controllers, by Redfish (DMTF DSP0266) over HTTP.
//!
//! Every action may be repeated: what is so already is left alone.

mod command;
mod service;

use formwork_sdk::plugin::{Action, ActionCall, Description};
use formwork_sdk::{Failure, Plugin};
use serde_json::Value;

use command::Command;
use service::{Login, Service};

/// The address of the management controller: a URL, or a host name or address that is asked by https.
const ADDRESS: &str = "redfish/address";

/// Who logs in.
const USER: &str = "redfish/username";

/// With which password, a secret.
const PASSWORD: &str = "redfish/password";

/// How: `basic` with each request, or a `session`.
const AUTH: &str = "redfish/auth";

/// The id of the system; the first one without.
const SYSTEM: &str = "redfish/system";

struct Redfish;

impl Plugin for Redfish {
    fn describe() -> Description {
        let mut description = Description::new("redfish", env!("CARGO_PKG_VERSION"))
            .accepts([ADDRESS, USER, PASSWORD, AUTH, SYSTEM]);
        description.display_name = String::from("Redfish");
        description.documentation = String::from(
            "Switches machines on and off and sets what they boot from next, through the management controller whose \
             address is in `redfish/address`.",
        );
        description.auto_start = true;
        for command in Command::ALL {
            let action = Action::on("machines", command.name())
                .requires([ADDRESS])
                .accepts([USER, PASSWORD, AUTH, SYSTEM]);
            description = description.action(action);
        }
        description
    }

    fn act(call: &ActionCall) -> Result<Value, Failure> {
        let command = Command::ALL.iter().find(|command| command.name() == call.action);
        let command = command
            .ok_or_else(|| Failure::new("unknown-action", format!("there is no action `{}`", call.action)))?;
        let read = |name: &str| call.params.read::<String>(name);
        let address = read(ADDRESS)?.ok_or_else(|| {
            Failure::new("no-address", format!("`{ADDRESS}` has no value")).hint("set it on the machine")
        })?;
        let login = Login::of(read(AUTH)?.as_deref(), read(USER)?, password(call)?)?;
        let service = Service::open(&address, &login)?;
        let done = command.run(&service, read(SYSTEM)?.as_deref());
        // What the command came to counts, not whether the controller forgot the session at once.
        service.close();
        done
    }
}

formwork_sdk::export_plugin!(Redfish);

/// The password: that of the request, else the secret of the machine, of the plugin or of the global profile.
fn password(call: &ActionCall) -> Result<Option<String>, Failure> {
    match call.params.read::<String>(PASSWORD)? {
        Some(password) => Ok(Some(password)),
        None => Ok(formwork_sdk::secrets::read(PASSWORD)?),
    }
}

#[cfg(test)]
mod tests;
