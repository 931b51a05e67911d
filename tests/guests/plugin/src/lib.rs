//! A plugin that counts what it is told, and whose actions the test names.

use formwork_sdk::plugin::{Action, ActionCall, Config, Description, Event};
use formwork_sdk::{Failure, Plugin, kv};
use serde_json::{Value, json};

struct Counter;

impl Plugin for Counter {
    fn describe() -> Description {
        Description {
            name: "counter".to_owned(),
            version: "1.0.0".to_owned(),
            actions: vec![Action::on("machines", "count").requires(["counter/step"])],
            events: vec!["machines.update.*".to_owned()],
            ..Description::default()
        }
    }

    fn act(call: &ActionCall) -> Result<Value, Failure> {
        match call.action.as_str() {
            "count" => {
                let count =
                    kv::get::<u32>("count")?.unwrap_or(0) + call.params.read("counter/step")?.unwrap_or(1);
                kv::set("count", &count)?;
                Ok(json!({"count": count, "key": call.key}))
            }
            other => Err(Failure::new("unknown-action", format!("there is no action `{other}`"))),
        }
    }

    fn on_event(event: &Event, _config: &Config) -> Result<(), Failure> {
        if event.kind == "machines" {
            return Ok(());
        }
        Err(Failure::new("odd-event", format!("{} {} {}", event.kind, event.action, event.revision)))
    }
}

formwork_sdk::export_plugin!(Counter);
