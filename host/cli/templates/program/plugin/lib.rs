//! Gives machines the action `greet` and notes each machine that is created.

use formwork_sdk::plugin::{Action, ActionCall, Config, Description, Event};
use formwork_sdk::{Failure, Plugin, log};
use serde_json::{Value, json};

const NAME: &str = "@NAME@/name";

struct Greeter;

impl Plugin for Greeter {
    fn describe() -> Description {
        Description {
            documentation: "Says hello to machines.".to_owned(),
            auto_start: true,
            ..Description::new("@NAME@", env!("CARGO_PKG_VERSION"))
        }
        .action(Action::on("machines", "greet").accepts([NAME]))
        .event("machines.create.*")
    }

    fn act(call: &ActionCall) -> Result<Value, Failure> {
        let machine = name_of(&call.object).unwrap_or(&call.key);
        log::info!("greeted {machine}");
        let name = call.params.read::<String>(NAME)?;
        Ok(json!(format!("hello {}", name.as_deref().unwrap_or(machine))))
    }

    fn on_event(event: &Event, _config: &Config) -> Result<(), Failure> {
        log::info!("machine {} was created", name_of(&event.object).unwrap_or(&event.key));
        Ok(())
    }
}

formwork_sdk::export_plugin!(Greeter);

/// The name of an object, as the API shows it.
fn name_of(object: &Value) -> Option<&str> {
    object.get("Name").and_then(Value::as_str)
}
