//! Batches: work orders that belong together (drp-api.md 7A.3, 14.5).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, Layers, Reference, Timestamp, WorkOrder,
    names::{uuid_problem, word_problem},
    object::object,
    reference::Needs,
    work_order,
};

/// Many work orders of one template, with one before and one after them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Batch {
    /// The key, a UUID.
    pub uuid: String,
    /// One line for people.
    pub description: String,
    /// Where it stands: one of [`Batch::STATES`].
    pub state: String,
    /// Why it stands there, in words.
    pub status: String,
    /// What makes the members; it needs a blueprint.
    pub setup_work_order_template: WorkOrder,
    /// What a member is made of; null when the setup makes the members otherwise. Clients take what is left out for what they
    /// sent, so this and the next are always written (drp-api.md 17.1).
    pub work_order_template: Option<WorkOrder>,
    /// What runs after all members; null for nothing.
    pub post_work_order_template: Option<WorkOrder>,
    /// The UUID of the work order that makes the members; empty before it is made.
    pub setup_work_order: String,
    /// The UUID of the work order after all members; empty before it is made.
    pub post_work_order: String,
    /// How many members stand where.
    pub work_order_counts: BTreeMap<String, i64>,
    /// The batch whose failed members this one runs again; empty for none.
    pub predecessor: String,
    /// When it was begun.
    pub start_time: Timestamp,
    /// When it ended.
    pub end_time: Timestamp,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl Batch {
    /// Where a batch can stand; the last three are final.
    pub const STATES: &'static [&'static str] =
        &["created", "setup", "running", "post", "failed", "finished", "cancelled"];

    /// Those of them that are not final.
    pub const OPEN: &'static [&'static str] = &["created", "setup", "running", "post"];

    /// Tells whether it does not change any more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self.state.as_str(), "failed" | "finished" | "cancelled")
    }

    /// Returns its templates that are there, with their names.
    fn templates(&self) -> Vec<(&'static str, &WorkOrder)> {
        let setup = ("SetupWorkOrderTemplate", Some(&self.setup_work_order_template));
        let member = ("WorkOrderTemplate", self.work_order_template.as_ref());
        let post = ("PostWorkOrderTemplate", self.post_work_order_template.as_ref());
        let all = [setup, member, post].into_iter();
        all.filter_map(|(name, template)| template.map(|template| (name, template))).collect()
    }
}

pub(crate) static KIND: Kind = Kind {
    indexed: &["State", "StartTime"],
    read_only: &["SetupWorkOrder", "PostWorkOrder", "WorkOrderCounts"],
    opaque: &["Params"],
    columns: &["Uuid", "State", "Status", "WorkOrderCounts", "StartTime", "Description"],
    layers: Layers::Writable,
    ..Kind::of::<Batch>("batches", "Uuid", "batch")
};

object!(
    Batch,
    KIND,
    key = |batch| batch.uuid.clone(),
    normalise = normalise,
    problems = problems,
    references = references
);

fn normalise(batch: &mut Batch) {
    if batch.state.is_empty() {
        batch.state = String::from("created");
    }
    let more = batch.work_order_template.iter_mut().chain(&mut batch.post_work_order_template);
    for template in std::iter::once(&mut batch.setup_work_order_template).chain(more) {
        work_order::normalise(template);
    }
}

fn problems(batch: &Batch) -> Vec<String> {
    let key = batch.uuid.as_str();
    let mut found: Vec<String> = uuid_problem(key, "Uuid", key).into_iter().collect();
    found.extend(word_problem(key, "State", &batch.state, Batch::STATES));
    for (name, template) in batch.templates() {
        found.extend(work_order::content_problems(&format!("{key}: {name}"), template));
    }
    found
}

/// A batch that is over needs nothing any more.
fn references(batch: &Batch) -> Vec<Reference> {
    if batch.is_final() {
        return Vec::new();
    }
    let needs = batch.templates().into_iter().fold(Needs::hard(&batch.uuid), |needs, (_, template)| {
        needs.usable("blueprints", "Blueprint", &template.blueprint)
    });
    needs.done()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::round_trip;

    const UUID: &str = "c2a4e6f8-1b3d-4f57-9a8c-7e6d5c4b3a29";

    #[test]
    fn batch_keeps_all_members_and_those_of_its_templates() {
        let template = |blueprint: &str| {
            let order = WorkOrder { blueprint: blueprint.into(), ..WorkOrder::default() };
            serde_json::to_value(order).unwrap()
        };
        let members = json!({
            "Uuid": UUID, "Description": "rack 4", "State": "running", "Status": "3 to go",
            "SetupWorkOrderTemplate": template("fan-out"), "WorkOrderTemplate": template("flash"),
            "PostWorkOrderTemplate": template("tell"), "SetupWorkOrder": UUID, "PostWorkOrder": "",
            "WorkOrderCounts": {"created": 3, "finished": 9}, "Predecessor": UUID,
            "StartTime": "2031-01-01T00:00:00Z", "EndTime": "0001-01-01T00:00:00Z",
        });
        assert_eq!(round_trip("batches", members).references().len(), 3);
    }

    #[test]
    fn template_for_the_setup_is_always_there_and_the_others_are_null_when_not_given() {
        let json = (KIND.decode)(json!({"WorkOrderTemplate": null})).unwrap().to_json();
        assert_eq!(json["SetupWorkOrderTemplate"]["Blueprint"], "");
        let null = Some(&serde_json::Value::Null);
        assert_eq!((json.get("WorkOrderTemplate"), json.get("PostWorkOrderTemplate")), (null, null));
    }

    #[test]
    fn every_template_of_a_batch_names_a_blueprint() {
        let batch =
            (KIND.decode)(json!({"Uuid": UUID, "State": "idle", "PostWorkOrderTemplate": {}})).unwrap();
        assert_eq!(
            batch.problems(),
            [
                format!("{UUID}: Invalid State `idle`"),
                format!("{UUID}: SetupWorkOrderTemplate: Invalid Blueprint ``"),
                format!("{UUID}: PostWorkOrderTemplate: Invalid Blueprint ``"),
            ]
        );
        assert!(references(&Batch { state: "finished".into(), ..Batch::default() }).is_empty());
    }
}
