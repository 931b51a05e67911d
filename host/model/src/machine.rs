//! Machines (drp-api.md 7.8).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, Missing, NameGrammar, Reference, Values, canonical_arch, name_problem,
    object::{decode, object},
    stage::entry_problem,
};

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
    pub params: Values,
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
            params: Values::new(),
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

pub(crate) static KIND: Kind = Kind {
    prefix: "machines",
    key: "Uuid",
    noun: "machine",
    unique: &["Name"],
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
    decode: decode::<Machine>,
    schema: |generator| generator.subschema_for::<Machine>(),
    columns: &["Name", "Uuid", "Address", "Workflow", "Stage", "CurrentTask", "WorkflowComplete", "JobState"],
};

object!(
    Machine,
    KIND,
    key = |machine| machine.uuid.clone(),
    params = params,
    normalise = normalise,
    problems = problems,
    references = references
);

fn normalise(machine: &mut Machine) {
    machine.partial = false;
    for address in &mut machine.hardware_addrs {
        *address = address.trim().to_lowercase().replace('-', ":");
    }
}

fn problems(machine: &Machine) -> Vec<String> {
    let key = machine.uuid.as_str();
    let mut found: Vec<String> = name_problem(NameGrammar::Machine, key, &machine.name).into_iter().collect();
    match canonical_arch(&machine.arch) {
        None => found.push(format!("{key}: Unsupported arch {}", machine.arch)),
        Some(arch) if arch != machine.arch => {
            found.push(format!("{key}: Please use {arch} for Arch instead of {}", machine.arch));
        }
        Some(_) => {}
    }
    let words = [("Stage", &machine.stage), ("BootEnv", &machine.boot_env), ("Workflow", &machine.workflow)];
    for (word, name) in words.iter().filter(|(_, name)| !name.is_empty() && !NameGrammar::Name.accepts(name))
    {
        found.push(format!("{key}: Invalid {word} `{name}`"));
    }
    for address in machine.hardware_addrs.iter().filter(|address| !is_mac(address)) {
        found.push(format!(
            "{key}: Invalid Hardware Address `{address}`: six pairs of hexadecimal digits needed"
        ));
    }
    if !machine.address.is_empty() && machine.address.parse::<std::net::Ipv4Addr>().is_err() {
        found.push(format!("{key}: Invalid Address `{}`", machine.address));
    }
    for profile in machine.profiles.iter().filter(|profile| !NameGrammar::Name.accepts(profile)) {
        found.push(format!("{key}: Invalid Profile `{profile}`"));
    }
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

fn references(machine: &Machine) -> Vec<Reference> {
    let key = machine.uuid.as_str();
    let hard = |prefix, name: &str, message, unavailable| Reference {
        prefix,
        key: name.to_owned(),
        missing: Missing::Refused,
        message,
        unavailable,
    };
    let mut needed = Vec::new();
    if !machine.stage.is_empty() {
        let name = &machine.stage;
        let unavailable = format!("Stage {name} is not available");
        needed.push(hard("stages", name, format!("Stage {name} does not exist"), Some(unavailable)));
    }
    if !machine.boot_env.is_empty() {
        let name = &machine.boot_env;
        let unavailable = format!("BootEnv {name} is not available");
        needed.push(hard("bootenvs", name, format!("Bootenv {name} does not exist"), Some(unavailable)));
    }
    if !machine.workflow.is_empty() {
        let name = &machine.workflow;
        let unavailable = format!("Workflow {name} is not available");
        needed.push(hard("workflows", name, format!("Workflow {name} does not exist"), Some(unavailable)));
    }
    for (index, name) in machine.profiles.iter().enumerate() {
        needed.push(hard(
            "profiles",
            name,
            format!("{key}: Profile {name} (at {index}) does not exist"),
            None,
        ));
    }
    for (index, entry) in machine.tasks.iter().enumerate() {
        let (prefix, noun, name) = match entry.split_once(':') {
            None => ("tasks", "Task", entry.as_str()),
            Some(("stage", name)) => ("stages", "Stage", name),
            Some(("bootenv", name)) => ("bootenvs", "BootEnv", name),
            Some(_) => continue,
        };
        needed.push(hard(prefix, name, format!("{key}: {noun} {name} (at {index}) does not exist"), None));
    }
    needed
}
