//! The parsed templates of boot environments that a parameter changed for some machines (drp-api.md 10.5).

use std::{collections::HashMap, sync::Arc};

use formwork_model::{BootEnv, TemplateInfo};
use formwork_template::TemplateSet;

use super::compiled::Compiled;

/// The variants of one environment that are kept to be shared by machines. What is beyond is parsed for each.
const MAX_VARIANTS: usize = 64;

/// What environments became, by their names. Machines that are told the same share it.
#[derive(Default)]
pub(super) struct Variants(HashMap<String, Vec<(Vec<TemplateInfo>, Arc<Compiled>)>>);

impl Variants {
    /// Returns the parsed templates of an environment as it is for a machine.
    pub(super) fn of(&mut self, env: &BootEnv, shared: impl FnOnce() -> TemplateSet) -> Arc<Compiled> {
        let known = self.0.entry(env.name.clone()).or_default();
        if let Some((_, compiled)) = known.iter().find(|(templates, _)| *templates == env.templates) {
            return Arc::clone(compiled);
        }
        let compiled = Arc::new(Compiled::of_env(env, &shared()));
        if known.len() < MAX_VARIANTS {
            known.push((env.templates.clone(), Arc::clone(&compiled)));
        }
        compiled
    }

    /// Forgets those of the environments that a test does not accept.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|name, _| keep(name));
    }
}
