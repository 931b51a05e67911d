//! What machines, clusters and resource brokers need of other objects (drp-api.md 7.8).

use super::Machine;
use crate::{Object, Reference, reference::Needs};

/// Returns what a machine or something like it needs of others.
pub(crate) fn references(machine: &Machine) -> Vec<Reference> {
    let usable = |noun: &str, name: &str| Some(format!("{noun} {name} is not available"));
    let (stage, bootenv, workflow) = (&machine.stage, &machine.boot_env, &machine.workflow);
    Needs::hard(&machine.uuid)
        .with("stages", stage, format!("Stage {stage} does not exist"), usable("Stage", stage))
        .with("bootenvs", bootenv, format!("Bootenv {bootenv} does not exist"), usable("BootEnv", bootenv))
        .with(
            "workflows",
            workflow,
            format!("Workflow {workflow} does not exist"),
            usable("Workflow", workflow),
        )
        .list("profiles", "Profile", &machine.profiles)
        .tasks(&machine.tasks)
        .one("pipelines", "Pipeline", &machine.pipeline)
        .done()
}

/// Tells whether the members that [`references`] looks at are the same: every job changes a machine, and few change these.
pub(crate) fn refers_alike(machine: &Machine, other: &dyn Object) -> bool {
    Machine::of(other).is_some_and(|other| {
        machine.stage == other.stage
            && machine.boot_env == other.boot_env
            && machine.workflow == other.workflow
            && machine.pipeline == other.pipeline
            && machine.profiles == other.profiles
            && machine.tasks == other.tasks
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{kind_of, machine::tests::members, object::round_trip};

    #[test]
    fn what_a_machine_names_must_exist_in_the_words_that_clients_compare() {
        let machine = Machine {
            uuid: "u1".into(),
            stage: "s1".into(),
            boot_env: "b1".into(),
            profiles: vec!["p1".into()],
            tasks: vec!["t1".into(), "context:c1".into(), "stage:s2".into()],
            ..Machine::default()
        };
        let needed = machine.references();
        assert!(needed.iter().all(|reference| reference.missing == crate::Missing::Refused));
        let messages: Vec<_> = needed.iter().map(|reference| reference.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "Stage s1 does not exist",
                "Bootenv b1 does not exist",
                "u1: Profile p1 (at 0) does not exist",
                "u1: Task t1 (at 0) does not exist",
                "u1: Stage s2 (at 2) does not exist",
            ]
        );
        assert_eq!(needed[1].unavailable.as_deref(), Some("BootEnv b1 is not available"));
    }

    #[test]
    fn machines_that_refer_alike_have_the_same_references() {
        let machine = Machine::of(round_trip("machines", members()).as_ref()).unwrap().clone();
        let names: Vec<String> = machine.to_json().as_object().unwrap().keys().cloned().collect();
        let mut differ = 0;
        for name in names {
            let mut json = machine.to_json();
            let member = json.get_mut(&name).unwrap();
            *member = match member.take() {
                Value::String(text) => json!(format!("{text}x")),
                Value::Array(mut list) if list.iter().all(Value::is_string) => {
                    list.push(json!("more"));
                    Value::Array(list)
                }
                other => other,
            };
            let Ok(other) = (kind_of("machines").unwrap().decode)(json) else { continue };
            let needed = |object: &dyn Object| -> Vec<_> {
                let references = object.references().into_iter();
                references.map(|reference| (reference.prefix, reference.key)).collect()
            };
            let same = needed(&machine) == needed(other.as_ref());
            differ += usize::from(!same);
            assert!(same || !machine.refers_alike(other.as_ref()), "{name}");
        }
        assert_eq!(differ, 6, "stage, boot environment, workflow, profiles, tasks, pipeline");
    }
}
