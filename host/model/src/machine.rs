//! Machines (drp-api.md 7.8).

use std::{any::Any, collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Cluster, Header, Kind, Layers, NameGrammar, Object, Objects, ObjectsExt as _, Params, Record,
    ResourceBroker, canonical_arch, name_problem,
    names::{list_problems, other_problem},
    object::object,
    stage::entry_problem,
};

mod references;

pub(crate) use self::references::{references, refers_alike};

/// A computer whose life is kept in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Machine {
    /// The key, a UUID.
    pub uuid: String,
    /// The name; unique.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// The IPv4 address; empty when unknown.
    pub address: String,
    /// MAC addresses, lower case with colons.
    pub hardware_addrs: Vec<String>,
    /// The canonical architecture.
    pub arch: String,
    /// The installed operating system; written by tasks.
    #[serde(rename = "OS")]
    pub os: String,
    /// The boot environment.
    pub boot_env: String,
    /// The stage.
    pub stage: String,
    /// The workflow; empty for none.
    pub workflow: String,
    /// True when the task list is exhausted.
    pub workflow_complete: bool,
    /// The expanded task list.
    pub tasks: Vec<String>,
    /// -1 before anything has begun, else the index of the running or next entry; the length when done.
    pub current_task: i64,
    /// The latest job; empty for none.
    pub current_job: String,
    /// How often the current task was tried again after a failure.
    pub retry_task_attempt: i64,
    /// The list that an error handler replaced; at most one.
    pub task_error_stacks: Vec<TaskStack>,
    /// True when an agent may run jobs.
    pub runnable: bool,
    /// Where jobs run; empty for the machine's own agent.
    pub context: String,
    /// Profiles in order of precedence.
    pub profiles: Vec<String>,
    /// The machine's own parameters.
    pub params: Params,
    /// Changing it to anything revokes all tokens of the machine; the server picks the new value.
    pub secret: String,
    /// True when only an unlocking change is accepted from users.
    pub locked: bool,
    /// By what the hardware is known again.
    pub fingerprint: MachineFingerprint,
    /// The pool.
    pub pool: String,
    /// True from allocation out of the pool until its release.
    pub pool_allocated: bool,
    /// Where the machine stands in its pool.
    pub pool_status: String,
    /// The state of the current job.
    pub job_state: String,
    /// The exit state of the current job.
    pub job_exit_state: String,
    /// The result errors of the current job.
    pub job_result_errors: Vec<String>,
    /// Work orders that wait.
    pub pending_work_orders: i64,
    /// Work orders that run.
    pub running_work_orders: i64,
    /// True when the agent runs work orders instead of tasks.
    pub work_order_mode: bool,
    /// The active pipeline; empty for none.
    pub pipeline: String,
    /// True when an answer left members out.
    pub partial: bool,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            uuid: String::new(),
            name: String::new(),
            description: String::new(),
            address: String::new(),
            hardware_addrs: Vec::new(),
            arch: String::new(),
            os: String::new(),
            boot_env: String::new(),
            stage: String::new(),
            workflow: String::new(),
            workflow_complete: false,
            tasks: Vec::new(),
            current_task: -1,
            current_job: String::new(),
            retry_task_attempt: 0,
            task_error_stacks: Vec::new(),
            runnable: true,
            context: String::new(),
            profiles: Vec::new(),
            params: Params::new(),
            secret: String::new(),
            locked: false,
            fingerprint: MachineFingerprint::default(),
            pool: String::new(),
            pool_allocated: false,
            pool_status: String::new(),
            job_state: String::new(),
            job_exit_state: String::new(),
            job_result_errors: Vec::new(),
            pending_work_orders: 0,
            running_work_orders: 0,
            work_order_mode: false,
            pipeline: String::new(),
            partial: false,
            header: Header::default(),
        }
    }
}

impl Machine {
    /// Returns the address as eight upper-case hexadecimal digits; empty without an address.
    #[must_use]
    pub fn hex_address(&self) -> String {
        crate::lease::hex_address(&self.address).unwrap_or_default()
    }
}

impl Machine {
    /// The prefixes of machines and of the types that go through tasks as machines do.
    pub const PREFIXES: [&'static str; 3] = ["machines", "clusters", "resource_brokers"];

    /// The member of `Meta` with the role of a machine, and the role of that which the endpoint itself runs on
    /// (drp-behaviour.md 3.14).
    pub const ROLE: &'static str = "machine-role";
    /// See [`Self::ROLE`].
    pub const OWN_ROLE: &'static str = "self";

    /// Finds the machine, the cluster or the resource broker with a UUID.
    #[must_use]
    pub fn find(objects: &(impl Objects + ?Sized), uuid: &str) -> Option<Arc<dyn Object>> {
        Self::PREFIXES.iter().find_map(|prefix| objects.find(prefix, uuid))
    }

    /// Finds what goes through tasks under a UUID: its type, and the machine that it is. Only what is no machine is copied.
    #[must_use]
    pub fn with_uuid(objects: &(impl Objects + ?Sized), uuid: &str) -> Option<(&'static Kind, Arc<Self>)> {
        if let Some(machine) = objects.get::<Self>(uuid) {
            return Some((Self::KIND, machine));
        }
        let object = Self::find(objects, uuid)?;
        Some((object.kind(), Arc::new(Self::of(object.as_ref())?.clone())))
    }

    /// Returns the machine that a machine, a cluster or a resource broker is.
    #[must_use]
    pub fn of(object: &dyn Object) -> Option<&Self> {
        let any: &dyn Any = object.as_any();
        let cluster = || any.downcast_ref::<Cluster>().map(|cluster| &cluster.0);
        let broker = || any.downcast_ref::<ResourceBroker>().map(|broker| &broker.0);
        any.downcast_ref::<Self>().or_else(cluster).or_else(broker)
    }

    /// Makes an object of a type with a machine's members: a cluster, a resource broker, else a machine.
    #[must_use]
    pub fn into_kind(self, kind: &Kind) -> Box<dyn Object> {
        match kind.prefix {
            "clusters" => Box::new(Cluster(self)),
            "resource_brokers" => Box::new(ResourceBroker(self)),
            _ => Box::new(self),
        }
    }
}

/// Writes what makes a newtype of [`Machine`] an object that can be used like one.
macro_rules! machine_like {
    ($type:ident, $kind:path) => {
        impl std::ops::Deref for $type {
            type Target = crate::Machine;

            fn deref(&self) -> &crate::Machine {
                &self.0
            }
        }

        impl std::ops::DerefMut for $type {
            fn deref_mut(&mut self) -> &mut crate::Machine {
                &mut self.0
            }
        }

        crate::object::object!(
            $type,
            $kind,
            key = |object| object.uuid.clone(),
            params = params,
            normalise = |object| crate::machine::normalise(object),
            problems = crate::machine::problems,
            references = crate::machine::references,
            refers_alike = crate::machine::refers_alike
        );
    };
}

pub(crate) use machine_like;

/// By what hardware is known again (drp-api.md 12.6). Byte strings are base64.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct MachineFingerprint {
    /// The SHA-256 of manufacturer, product and system serial.
    #[serde(rename = "SSNHash")]
    pub ssn_hash: String,
    /// The SHA-256 of manufacturer, product and chassis serial.
    #[serde(rename = "CSNHash")]
    pub csn_hash: String,
    /// `CLOUD:INSTANCE`.
    #[serde(rename = "CloudInstanceID")]
    pub cloud_instance_id: String,
    /// The DMI UUID.
    #[serde(rename = "SystemUUID")]
    pub system_uuid: String,
    /// A SHA-256 for each memory device.
    pub memory_ids: Vec<String>,
}

/// A task list that waits while an error handler runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskStack {
    /// The index in the saved list.
    pub current_task: i64,
    /// The saved list.
    pub task_list: Vec<String>,
    /// The job that failed.
    pub current_job: String,
}

/// Describes machines, or a type of the same members (drp-api.md 7A.5, 7A.6).
pub(crate) const fn kind<R: Record>(prefix: &'static str, noun: &'static str) -> Kind {
    Kind {
        unique: &["Name"],
        indexed: &[
            "Address",
            "HardwareAddrs",
            "Stage",
            "BootEnv",
            "Workflow",
            "Pool",
            "Profiles",
            "Available",
            "Runnable",
        ],
        hidden: &["Secret", "Fingerprint"],
        read_only: &[
            "WorkflowComplete",
            "CurrentJob",
            "RetryTaskAttempt",
            "TaskErrorStacks",
            "PoolAllocated",
            "PoolStatus",
            "JobState",
            "JobExitState",
            "JobResultErrors",
            "PendingWorkOrders",
            "RunningWorkOrders",
        ],
        opaque: &["Params"],
        columns: &[
            "Name",
            "Uuid",
            "Address",
            "Workflow",
            "Stage",
            "CurrentTask",
            "WorkflowComplete",
            "JobState",
        ],
        layers: Layers::Writable,
        has_partial: true,
        more_actions: &["updateTaskList", "token", "whoami"],
        ..Kind::of::<R>(prefix, "Uuid", noun)
    }
}

pub(crate) static KIND: Kind = kind::<Machine>("machines", "machine");

object!(
    Machine,
    KIND,
    key = |machine| machine.uuid.clone(),
    params = params,
    normalise = normalise,
    problems = problems,
    references = references,
    refers_alike = refers_alike
);

/// Brings the members of a machine or something like it into the canonical form.
pub(crate) fn normalise(machine: &mut Machine) {
    machine.partial = false;
    for address in &mut machine.hardware_addrs {
        *address = address.trim().to_lowercase().replace('-', ":");
    }
}

/// Returns what is wrong with a machine or something like it.
pub(crate) fn problems(machine: &Machine) -> Vec<String> {
    let key = machine.uuid.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Machine, key, &machine.name).into_iter().collect();
    match canonical_arch(&machine.arch) {
        None => found.push(format!("{key}: Unsupported arch {}", machine.arch)),
        Some(arch) if arch != machine.arch => {
            found.push(format!("{key}: Please use {arch} for Arch instead of {}", machine.arch));
        }
        Some(_) => {}
    }
    let words = [
        ("Stage", &machine.stage),
        ("BootEnv", &machine.boot_env),
        ("Workflow", &machine.workflow),
        ("Pool", &machine.pool),
        ("Pipeline", &machine.pipeline),
    ];
    found.extend(words.iter().filter_map(|(word, name)| other_problem(key, word, name)));
    for address in machine.hardware_addrs.iter().filter(|address| !is_mac(address)) {
        found.push(format!(
            "{key}: Invalid Hardware Address `{address}`: six pairs of hexadecimal digits needed"
        ));
    }
    if !machine.address.is_empty() && machine.address.parse::<std::net::Ipv4Addr>().is_err() {
        found.push(format!("{key}: Invalid Address `{}`", machine.address));
    }
    found.extend(list_problems(key, "Profile", &machine.profiles));
    found.extend(duplicate_profiles(key, &machine.profiles));
    found.extend(machine.tasks.iter().filter_map(|entry| entry_problem(key, entry, false)));
    found
}

fn duplicate_profiles(key: &str, profiles: &[String]) -> Vec<String> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for (index, profile) in profiles.iter().enumerate() {
        match seen.get(profile.as_str()) {
            Some(first) => found.push(format!("{key}: Duplicate profile {profile}: at {first} and {index}")),
            None => {
                seen.insert(profile, index);
            }
        }
    }
    found
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    matches!(parts.len(), 6 | 8 | 20)
        && parts.iter().all(|part| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{Cluster, Object, kind_of, object::round_trip};

    const UUID: &str = "8f3b7a52-0c1d-4e6f-9a2b-5d7c1e0f4a63";

    /// All members of a machine but the common ones.
    pub(super) fn members() -> Value {
        json!({
            "Uuid": UUID, "Name": "node7", "Description": "left of the door", "Address": "10.9.0.7",
            "HardwareAddrs": ["52:54:00:0a:0b:0c"], "Arch": "arm64", "OS": "debian-12", "BootEnv": "local",
            "Stage": "burn-in", "Workflow": "commission", "WorkflowComplete": false,
            "Tasks": ["stage:burn-in", "bootenv:local", "stress"], "CurrentTask": 2, "CurrentJob": UUID,
            "RetryTaskAttempt": 1,
            "TaskErrorStacks": [{"CurrentTask": 1, "TaskList": ["probe"], "CurrentJob": UUID}],
            "Runnable": true, "Context": "shelf", "Profiles": ["rack-4"], "Params": {"rack/unit": 12},
            "Secret": "bm90LWEtc2VjcmV0", "Locked": true,
            "Fingerprint": {"SSNHash": "AAAA", "CSNHash": "BBBB", "CloudInstanceID": "nimbus:i-5",
                            "SystemUUID": UUID, "MemoryIds": ["CCCC"]},
            "Pool": "spare", "PoolAllocated": true, "PoolStatus": "InUse", "JobState": "running",
            "JobExitState": "", "JobResultErrors": ["fan"], "PendingWorkOrders": 3, "RunningWorkOrders": 1,
            "WorkOrderMode": true, "Pipeline": "edge", "Partial": false,
        })
    }

    #[test]
    fn machines_clusters_and_resource_brokers_have_the_same_members() {
        for prefix in ["machines", "clusters", "resource_brokers"] {
            let object = round_trip(prefix, members());
            assert_eq!(object.key(), UUID);
            assert_eq!(object.params().unwrap().get("rack/unit").unwrap(), 12);
            let machine = Machine::of(object.as_ref()).unwrap();
            assert_eq!(machine.name, "node7");
            assert_eq!(machine.clone().into_kind(object.kind()).to_json(), object.to_json());
            assert_eq!(object.references(), Machine::of(object.as_ref()).unwrap().references());
        }
        assert!(Machine::of(&crate::Profile::default()).is_none());
        assert!(Cluster::default().runnable && Cluster::default().current_task == -1);
        assert_eq!(kind_of("clusters").unwrap().unique, ["Name"]);
    }

    #[test]
    fn everything_wrong_with_a_machine_is_told_at_once() {
        let cluster = Cluster(Machine {
            uuid: "u1".into(),
            boot_env: "1".into(),
            hardware_addrs: vec!["52:54".into()],
            arch: "x86_64".into(),
            address: "ten".into(),
            profiles: vec!["aa".into(), "b/".into(), "aa".into()],
            tasks: vec!["action:1:run".into(), "action:burn:1".into(), "fly:to".into()],
            pool: "1".into(),
            ..Machine::default()
        });
        assert_eq!(
            cluster.problems(),
            [
                "u1: Invalid Name ``",
                "u1: Please use amd64 for Arch instead of x86_64",
                "u1: Invalid BootEnv `1`",
                "u1: Invalid Pool `1`",
                "u1: Invalid Hardware Address `52:54`: six pairs of hexadecimal digits needed",
                "u1: Invalid Address `ten`",
                "u1: Invalid Profile `b/`",
                "u1: Duplicate profile aa: at 0 and 2",
                "u1: Invalid Plugin `1`",
                "u1: Invalid Action `1`",
                "u1: Invalid Task: fly:to",
            ]
        );
    }
}
