//! A plugin that shows what it is called with. It answers every change of a machine by a change of that machine, so that it
//! answers itself, and fails when it is told to.

use formwork_sdk::plugin::{Action, ActionCall, Config, Description, Event};
use formwork_sdk::{Failure, Plugin, kv, log, params, secrets};
use serde_json::{Value, json};

struct Probe;

impl Plugin for Probe {
    fn describe() -> Description {
        let mut description = Description::new("probe", "1.2.3")
            .event("machines.*.*")
            .requires(["probe/name"])
            .action(
                Action::on("machines", "show")
                    .requires(["probe/must"])
                    .accepts(["probe/may", "probe/secret"]),
            )
            .action(Action::on("machines", "refuse"))
            .action(Action::on("machines", "trap"))
            .action(Action::on("system", "ping"))
            .action(Action::on("", "count"));
        description.display_name = String::from("Probe");
        description
    }

    #[expect(clippy::panic, reason = "the tests look at what becomes of a crash")]
    fn act(call: &ActionCall) -> Result<Value, Failure> {
        log::info!("{} of {}", call.action, call.key);
        match call.action.as_str() {
            "show" => Ok(json!({
                "plugin": call.plugin,
                "model": call.model,
                "key": call.key,
                "name": call.object.get("Name"),
                "private": call.object.get("Secret"),
                "params": call.params.0,
                "config": call.config.0,
                "secret": secrets::read("probe/secret")?,
            })),
            "refuse" => Err(Failure::new("not-today", "it does not feel like it").hint("ask tomorrow")),
            "trap" => panic!("as it was told"),
            "count" => {
                let count = kv::get::<u64>("count")?.unwrap_or(0) + 1;
                kv::set("count", &count)?;
                Ok(json!(count))
            }
            _ => Ok(json!("pong")),
        }
    }

    fn on_event(event: &Event, config: &Config) -> Result<(), Failure> {
        if config.read::<bool>("probe/fail")?.unwrap_or(false) {
            return Err(Failure::new("told-to", "it was told to fail"));
        }
        if config.read::<bool>("probe/answer")?.unwrap_or(false) && event.action != "delete" {
            params::write("probe/seen", &event.revision)?;
        }
        Ok(())
    }
}

formwork_sdk::export_plugin!(Probe);
