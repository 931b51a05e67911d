//! What work orders, batches and the machines that run them have beyond the standard routes (drp-api.md 14.5, 14.6).

use std::collections::HashMap;

use axum::http::StatusCode;
use formwork_api::ApiError;
use formwork_core::{machine::pipeline::RUN, work_orders::workflow::Restart};
use formwork_model::{Batch, Machine, Objects, Record, SortKey, Span, WorkOrder};
use formwork_store::Snapshot;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{
    answer::{self, Handled},
    objects::{self, UPDATE},
    request::{Json, Path, Target},
    route::{Body, OF_ONE, Route},
};
use crate::{
    commands::{batches, work_orders},
    kinds,
};

pub(super) fn routes() -> Vec<Route> {
    let restarts = |path: &str, name: &str| (format!("/{path}/{{key}}/restart"), format!("restart_{name}"));
    let (order, restart_an_order) = restarts("work_orders", "work_order");
    let (batch, restart_a_batch) = restarts("batches", "batch");
    vec![
        Route::delete("/work_orders", "delete_work_orders", purge)
            .tells("Removes the work orders of machines that are gone.")
            .answers(204, Body::Nothing)
            .about(WorkOrder::KIND),
        Route::post(order, restart_an_order, restart_order)
            .tells("Has a work order in workflow mode run again that failed or is paused, as another that follows it.")
            .takes(Body::json::<RestartBody>())
            .answers(201, Body::Object(WorkOrder::KIND))
            .refuses(&[400, 404, 409, 422])
            .about(WorkOrder::KIND),
        Route::post(batch, restart_a_batch, restart_batch)
            .tells("Makes a batch of what failed in another.")
            .takes(Body::Ignored)
            .answers(201, Body::Object(Batch::KIND))
            .refuses(&[404, 409])
            .about(Batch::KIND),
        Route::post("/machines/{key}/pick/{order}", "pick_machine_work_order", pick)
            .tells("Gives an agent the work order that it runs next.")
            .takes(Body::Ignored)
            .answers(200, Body::Object(WorkOrder::KIND))
            .answers(204, Body::Nothing)
            .refuses(&[404, 409])
            .about(Machine::KIND),
        Route::get("/machines/{key}/pipeline-execution", "get_pipeline_execution", latest_run)
            .tells("Returns a machine with the work orders of the latest run of its pipeline.")
            .answers(200, Body::any())
            .refuses(OF_ONE)
            .about(Machine::KIND),
        Route::get("/machines/{key}/pipeline-execution/{run}", "get_pipeline_execution_by_id", run)
            .tells("Returns a machine with the work orders of one run of a pipeline.")
            .answers(200, Body::any())
            .refuses(OF_ONE)
            .about(Machine::KIND),
    ]
}

async fn pick(target: Target, Path((_, key)): Path<(String, String)>) -> Handled {
    let (object, _) = objects::permitted(&target, &target.endpoint.snapshot(), UPDATE)?;
    target.require(UPDATE, &kinds::claim_key(object.as_ref()))?;
    let picked = work_orders::pick(&target.endpoint, &target.caller.principal, &object.key(), &key).await?;
    match picked {
        Some(order) => answer::json(StatusCode::OK, &kinds::shown(&order)),
        None => Ok(answer::empty(StatusCode::NO_CONTENT)),
    }
}

async fn restart_order(target: Target, body: Json) -> Handled {
    let (object, _) = objects::permitted(&target, &target.endpoint.snapshot(), UPDATE)?;
    target.require(UPDATE, &kinds::claim_key(object.as_ref()))?;
    target.require("create", "")?;
    let wanted: RestartBody = body.read_without_nulls(target.kind.prefix, &target.id)?;
    let how = wanted.how().ok_or_else(|| {
        let known = MODES.map(|(word, _)| word).join(", ");
        let message = format!("{}: Invalid mode `{}`\nhint: it is one of {known}", object.key(), wanted.mode);
        ApiError::invalid(target.kind.prefix, &object.key(), vec![message])
    })?;
    let made = work_orders::restart(&target.endpoint, &target.caller, &object.key(), how).await?;
    answer::json(StatusCode::CREATED, &kinds::shown(&made))
}

/// How a work order is run again.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct RestartBody {
    /// From where; empty for `retry`.
    #[schemars(extend("enum" = MODES.map(|(word, _)| word)))]
    mode: String,
}

/// What the words of [`RestartBody::mode`] mean.
const MODES: [(&str, Restart); 3] =
    [("retry", Restart::Retry), ("continue", Restart::Continue), ("from-start", Restart::FromStart)];

impl RestartBody {
    /// Returns how the order is run again; nothing for a word that is none of [`MODES`].
    fn how(&self) -> Option<Restart> {
        if self.mode.is_empty() {
            return Some(Restart::default());
        }
        MODES.iter().find(|(word, _)| *word == self.mode).map(|(_, how)| *how)
    }
}

async fn restart_batch(target: Target) -> Handled {
    let (object, _) = objects::permitted(&target, &target.endpoint.snapshot(), UPDATE)?;
    target.require(UPDATE, &kinds::claim_key(object.as_ref()))?;
    let made = batches::restart(&target.endpoint, &target.caller, &object.key()).await?;
    answer::json(StatusCode::CREATED, &kinds::shown(&made))
}

/// Removes the work orders of machines that are gone.
async fn purge(target: Target) -> Handled {
    let caller = target.caller.clone();
    let prefix = target.kind.prefix;
    let may = move |order: &WorkOrder| {
        caller.sees(prefix, &order.uuid) && caller.may(prefix, "delete", &order.uuid)
    };
    let gone = work_orders::purge(&target.endpoint, &target.caller.principal, may).await?;
    tracing::info!(count = gone.len(), "work orders of machines that are gone were removed");
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

async fn latest_run(target: Target) -> Handled {
    run_of(&target, None)
}

async fn run(target: Target, Path((_, run)): Path<(String, String)>) -> Handled {
    run_of(&target, Some(run))
}

/// Answers a machine with the work orders of one run of a pipeline, each behind the one that it follows.
fn run_of(target: &Target, run: Option<String>) -> Handled {
    let snapshot = target.endpoint.snapshot();
    let (object, _) = objects::readable(target, &snapshot)?;
    let orders = orders_of(&snapshot, &object.key(), |uuid| target.caller.sees(WorkOrder::KIND.prefix, uuid));
    let newest = || {
        let newest = orders.iter().max_by_key(|order| order.create_time);
        newest.and_then(|order| order.header.meta.get(RUN).cloned())
    };
    let active = object.header().meta.get(RUN).cloned();
    let is_asked = run.is_some();
    let run = run.or_else(|| active.clone()).or_else(newest).unwrap_or_default();
    let own: Vec<WorkOrder> =
        orders.into_iter().filter(|order| order.header.meta.get(RUN) == Some(&run)).collect();
    if is_asked && own.is_empty() && active.as_ref() != Some(&run) {
        return Err(ApiError::not_found(target.method.as_str(), "pipeline-execution", &run).into());
    }
    let body = json!({"Machine": kinds::shown(object.as_ref()), "WorkOrders": in_order(own)});
    answer::json(StatusCode::OK, &body)
}

fn orders_of(snapshot: &Snapshot, machine: &str, sees: impl Fn(&str) -> bool) -> Vec<WorkOrder> {
    let mut found = Vec::new();
    let span = Span::equal(WorkOrder::KIND.prefix, "Machine", SortKey::of("Machine", &machine.into()));
    snapshot.range(&span, &mut |object| {
        found.extend(object.as_any().downcast_ref::<WorkOrder>().filter(|order| sees(&order.uuid)).cloned());
        true
    });
    found
}

/// Puts work orders behind their predecessors; those without come by the time at which they were made.
fn in_order(mut orders: Vec<WorkOrder>) -> Vec<WorkOrder> {
    orders.sort_by_key(|order| order.create_time);
    let places: HashMap<String, usize> =
        orders.iter().enumerate().map(|(place, order)| (order.uuid.clone(), place)).collect();
    // How many go before one; a chain that comes back to itself ends there.
    let depth = |order: &WorkOrder| {
        let (mut depth, mut place) = (0, places.get(&order.predecessor));
        while let Some(before) = place.and_then(|place| orders.get(*place)).filter(|_| depth < orders.len()) {
            depth += 1;
            place = places.get(&before.predecessor);
        }
        depth
    };
    let mut keyed: Vec<(usize, WorkOrder)> =
        orders.iter().map(|order| (depth(order), order.clone())).collect();
    keyed.sort_by_key(|(depth, _)| *depth);
    keyed.into_iter().map(|(_, order)| order).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_orders_follow_their_predecessors_and_a_circle_ends() {
        let order = |uuid: &str, before: &str| WorkOrder {
            uuid: uuid.into(),
            predecessor: before.into(),
            ..WorkOrder::default()
        };
        let names = |orders: Vec<WorkOrder>| {
            in_order(orders).into_iter().map(|order| order.uuid).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(vec![order("c", "b"), order("a", ""), order("b", "a")]), "a b c");
        assert_eq!(names(vec![order("a", "b"), order("b", "a")]).len(), 3);
    }
}
