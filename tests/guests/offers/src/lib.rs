//! A plugin that offers one action for every type of object, for clients that are to call all of them.

use formwork_sdk::plugin::{Action, ActionCall, Description};
use formwork_sdk::{Failure, Plugin};
use serde_json::{Value, json};

/// The name of the action.
const ACTION: &str = "conformance";

/// What it is offered for: every type that has such routes (drp-api.md appendix A), and the endpoint.
const MODELS: &str = "activities alerts batches blueprints bootenvs catalog_items clusters contexts endpoints filters \
    identity_providers jobs leases machines pipelines plugins pools profiles reservations resource_brokers roles stages \
    store_objects subnets system tasks templates tenants trigger_providers triggers users ux_options ux_settings ux_views \
    version_sets work_orders workflows zones";

struct Offers;

impl Plugin for Offers {
    fn describe() -> Description {
        Description {
            name: "offers".to_owned(),
            version: "1.0.0".to_owned(),
            actions: MODELS.split_whitespace().map(|model| Action::on(model, ACTION)).collect(),
            ..Description::default()
        }
    }

    fn act(call: &ActionCall) -> Result<Value, Failure> {
        Ok(json!({"Model": call.model, "Key": call.key}))
    }
}

formwork_sdk::export_plugin!(Offers);
