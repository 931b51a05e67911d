//! What one render is about.

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use formwork_core::{
    params::{self, Found, Level},
    plugins::is_secure,
};
use formwork_model::{
    BootEnv, Job, Machine, Object, ObjectsExt, Param, Profile, Stage, Task, TemplateInfo, WorkOrder,
};
use formwork_store::Snapshot;
use formwork_template::{Confidential, RenderLimits, RenderOptions};
use serde_json::{Value as Json, json};

use crate::{
    auth::{self, FOREVER_SECONDS},
    clock::now,
    endpoint::Endpoint,
};

/// Milliseconds that one render may take (drp-behaviour.md 2.6).
const RENDER_MILLIS: u64 = 2000;

/// What templates can learn of the endpoint that renders them.
pub(crate) trait Site: Send + Sync {
    /// Returns the address that machines are told.
    fn address(&self) -> IpAddr;
    /// Returns the base URL of the file server.
    fn file_url(&self) -> String;
    /// Returns the base URL of the API.
    fn api_url(&self) -> String;
    /// Returns the folder that files are served from.
    fn file_root(&self) -> PathBuf;
    /// Returns what the endpoint says of itself, as far as it never changes.
    fn info(&self) -> Json;
    /// Returns the value of a parameter as texts use it, secure ones in the clear; nothing when it cannot be opened.
    fn used(&self, objects: &Snapshot, name: &str, found: Found) -> Option<Json>;
    /// Returns a token for the agent of a machine that is not known yet.
    fn unknown_token(&self, objects: &Snapshot) -> String;
    /// Returns a token for the agent of a machine; the usual life, or the longest.
    fn machine_token(&self, objects: &Snapshot, machine: &Machine, forever: bool) -> String;
}

impl Site for Endpoint {
    fn address(&self) -> IpAddr {
        self.address.into()
    }

    fn file_url(&self) -> String {
        Self::file_url(self)
    }

    fn api_url(&self) -> String {
        Self::api_url(self)
    }

    fn file_root(&self) -> PathBuf {
        self.options.base_root.join(&self.options.file_root)
    }

    fn info(&self) -> Json {
        json!({
            "Id": self.id,
            "LocalId": self.local_id,
            "HaId": self.id,
            "Version": crate::VERSION,
            "Address": self.address.to_string(),
            "ApiPort": self.options.api_port,
            "FilePort": self.options.static_port,
            "TftpPort": self.options.tftp_port,
            "DhcpPort": self.options.dhcp_port,
        })
    }

    fn used(&self, objects: &Snapshot, name: &str, found: Found) -> Option<Json> {
        self.vault.used_or_none(objects, name, found)
    }

    fn unknown_token(&self, objects: &Snapshot) -> String {
        auth::unknown_token(self, objects)
    }

    fn machine_token(&self, objects: &Snapshot, machine: &Machine, forever: bool) -> String {
        auth::machine_token(self, objects, machine, forever.then_some(FOREVER_SECONDS))
    }
}

/// What one render is about: everything that hangs below the root object.
pub(super) struct Scene {
    pub(super) site: Arc<dyn Site>,
    pub(super) objects: Snapshot,
    pub(super) about: About,
    levels: OnceLock<Vec<Level<'static>>>,
    machine_json: OnceLock<Json>,
    used_mac: AtomicBool,
    incomplete: AtomicBool,
}

/// The objects that a render is about.
#[derive(Clone, Default)]
pub(super) struct About {
    /// The machine; none for boot environments of unknown ones.
    pub(super) machine: Option<Arc<Machine>>,
    /// Which of its hardware addresses the text is for.
    pub(super) mac: usize,
    /// The boot environment.
    pub(super) env: Option<Arc<BootEnv>>,
    /// The stage.
    pub(super) stage: Option<Arc<Stage>>,
    /// The task.
    pub(super) task: Option<Arc<Task>>,
    /// The job.
    pub(super) job: Option<Arc<Job>>,
    /// The work order that the job belongs to.
    pub(super) order: Option<Arc<WorkOrder>>,
    /// The operating system that asks for a job's actions.
    pub(super) target_os: String,
    /// The entry that is rendered.
    pub(super) entry: Option<Arc<TemplateInfo>>,
    /// What is read that errors about the render must not quote.
    pub(super) confidential: Arc<Confidential>,
}

impl About {
    /// Returns what a render for a machine is about: it, its boot environment and its stage.
    pub(super) fn machine(objects: &Snapshot, machine: Arc<Machine>) -> Self {
        let env = formwork_core::boot::env_for(objects, Some(&machine));
        let stage = objects.get::<Stage>(&machine.stage);
        Self { machine: Some(machine), env, stage, ..Self::default() }
    }

    /// Returns what a render for a job is about: its machine and, where it belongs to one, its work order.
    pub(super) fn job(objects: &Snapshot, machine: Arc<Machine>, job: &Job) -> Self {
        let order = objects.get::<WorkOrder>(&job.work_order);
        let of_order = order.as_ref().and_then(|order| objects.get::<Stage>(&order.stage));
        let about = Self::machine(objects, machine);
        let stage = of_order.or_else(|| about.stage.clone());
        Self { job: Some(Arc::new(job.clone())), order, stage, ..about }
    }
}

impl Scene {
    pub(super) fn new(site: &Arc<dyn Site>, objects: &Snapshot, about: About) -> Self {
        Self {
            site: Arc::clone(site),
            objects: objects.clone(),
            about,
            levels: OnceLock::new(),
            machine_json: OnceLock::new(),
            used_mac: AtomicBool::new(false),
            incomplete: AtomicBool::new(false),
        }
    }

    /// Returns the architecture that boot data are chosen for.
    pub(super) fn arch(&self) -> &str {
        let arch = self.about.machine.as_ref().map(|machine| machine.arch.as_str()).unwrap_or_default();
        if arch.is_empty() { "amd64" } else { arch }
    }

    /// Returns what parameters are looked up for: the work order, the machine, or the profile `global` without both.
    pub(super) fn subject(&self) -> Arc<dyn Object> {
        if let Some(order) = &self.about.order {
            return Arc::clone(order) as _;
        }
        match &self.about.machine {
            Some(machine) => Arc::clone(machine) as _,
            None => match self.objects.get::<Profile>("global") {
                Some(global) => global as _,
                None => Arc::new(Profile::default()) as _,
            },
        }
    }

    /// Returns the value of a parameter.
    pub(super) fn param(&self, name: &str) -> Option<Json> {
        let own = self.levels().iter().find_map(|level| Found::at(level, name));
        match own {
            Some(found) => self.used(name, found),
            None => self.default(name),
        }
    }

    /// Returns the value of a parameter merged over all sources.
    pub(super) fn composed(&self, name: &str) -> Option<Json> {
        let own = self.levels().iter().filter_map(|level| Found::at(level, name));
        let own = own.filter_map(|found| self.used(name, found));
        params::merged(own.chain(self.default(name)))
    }

    /// Returns a value as texts use it. That of a secure parameter is in no error from here on.
    fn used(&self, name: &str, found: Found) -> Option<Json> {
        let value = self.site.used(&self.objects, name, found)?;
        if is_secure(&self.objects, name) {
            self.confidential().add(&format!("secure param \"{name}\""), &value);
        }
        Some(value)
    }

    /// Returns a token for the agent of the machine, or of one that is not known yet; of the usual life, or the longest.
    pub(super) fn token(&self, forever: bool) -> String {
        let token = match &self.about.machine {
            Some(machine) => self.site.machine_token(&self.objects, machine, forever),
            None => self.site.unknown_token(&self.objects),
        };
        self.confidential().add("token", &Json::from(token.as_str()));
        token
    }

    /// Returns what errors about this render must not quote.
    pub(super) fn confidential(&self) -> &Arc<Confidential> {
        &self.about.confidential
    }

    /// Returns which of the required parameters have no value.
    pub(super) fn lacking(&self, required: &[String]) -> Vec<String> {
        let has = |name: &str| {
            self.levels().iter().any(|level| level.values().contains_key(name))
                || self.default(name).is_some()
        };
        required.iter().filter(|name| !has(name)).cloned().collect()
    }

    fn levels(&self) -> &[Level<'static>] {
        self.levels.get_or_init(|| params::levels_of(&self.objects, &self.subject()))
    }

    fn default(&self, name: &str) -> Option<Json> {
        self.objects.get::<Param>(name)?.default_value().cloned()
    }

    /// Returns the machine as JSON; made once a render.
    pub(super) fn machine_json(&self) -> &Json {
        self.machine_json.get_or_init(|| match &self.about.machine {
            Some(machine) => machine.to_json(),
            None => Json::Null,
        })
    }

    /// Returns the hardware address that the text is for, and remembers that it was asked for.
    pub(super) fn mac(&self) -> Option<&str> {
        self.used_mac.store(true, Ordering::Relaxed);
        let machine = self.about.machine.as_ref()?;
        let mac = machine.hardware_addrs.get(self.about.mac).map(String::as_str);
        if mac.is_none() {
            self.mark_incomplete();
        }
        mac
    }

    /// Remembers that the text uses something that the machine does not have yet.
    pub(super) fn mark_incomplete(&self) {
        self.incomplete.store(true, Ordering::Relaxed);
    }

    /// Tells whether a hardware address was asked for.
    pub(super) fn used_mac(&self) -> bool {
        self.used_mac.load(Ordering::Relaxed)
    }

    /// Tells whether the text used an address that the machine does not have.
    pub(super) fn is_incomplete(&self) -> bool {
        self.incomplete.load(Ordering::Relaxed)
    }
}

/// Returns the bounds of a render that begins now, and what its errors must not quote.
pub(super) fn options(scene: &Scene) -> RenderOptions {
    let deadline = now().plus_millis(RENDER_MILLIS);
    let expired = Some(Arc::new(move || now() > deadline) as _);
    RenderOptions {
        limits: RenderLimits { expired, ..RenderLimits::default() },
        confidential: Arc::clone(scene.confidential()),
        ..RenderOptions::default()
    }
}
