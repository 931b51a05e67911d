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

#[cfg(test)]
mod tests {
    use formwork_sdk::testing::Host;

    use super::*;

    #[test]
    fn machine_is_greeted_by_its_param_else_by_its_name() {
        let mut call = ActionCall {
            action: "greet".to_owned(),
            object: json!({"Name": "n1"}),
            ..ActionCall::default()
        };
        let host = Host::new();
        assert_eq!(host.act::<Greeter>(&call), Ok(json!("hello n1")));
        call.params = [(NAME, "Ann")].into_iter().collect();
        assert_eq!(host.act::<Greeter>(&call), Ok(json!("hello Ann")));
    }

    #[test]
    fn machine_that_is_created_is_noted() {
        let event = Event { object: json!({"Name": "n1"}), ..Event::default() };
        let host = Host::new();
        assert_eq!(host.deliver::<Greeter>(&event, &Config::default()), Ok(()));
        assert_eq!(host.lines(), [(log::Level::Info, "machine n1 was created".to_owned())]);
    }
}
