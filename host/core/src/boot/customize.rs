//! What the parameter `bootenv-customize` changes in a boot environment (drp-api.md 10.5, drp-behaviour.md 5.1).

use std::{collections::BTreeMap, sync::Arc};

use formwork_model::{
    ArchInfo, BootEnv, Object, Objects, ObjectsExt, OsInfo, Param, TemplateInfo, canonical_arch,
};
use serde::Deserialize;
use serde_json::Value;

use crate::params::Level;

/// A map from the name of a boot environment to what is other in it.
pub(super) const PARAM: &str = "bootenv-customize";

/// What one level says of one environment.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Custom {
    loaders: BTreeMap<String, String>,
    #[serde(rename = "OS")]
    os: OsInfo,
    templates: Vec<TemplateInfo>,
}

/// Returns a boot environment as it is for an object with these levels of parameters: what each says of the environment is
/// applied, the least specific first. A level whose value has another form says nothing.
#[must_use]
pub fn customized(
    objects: &(impl Objects + ?Sized),
    levels: &[Level<'_>],
    env: Arc<BootEnv>,
) -> Arc<BootEnv> {
    let default = objects.get::<Param>(PARAM).and_then(|param| param.default_value().cloned());
    let values = levels.iter().filter_map(|level| level.value(PARAM)).chain(default);
    let customs: Vec<Custom> = values.filter_map(|value| of(&env.name, &value)).collect();
    if customs.is_empty() {
        return env;
    }
    let mut made = env.as_ref().clone();
    for custom in customs.into_iter().rev() {
        apply(&mut made, custom);
    }
    Arc::new(made)
}

/// Tells whether an object can change what boot environments are for others: it has a value of the parameter, or is its
/// definition.
#[must_use]
pub fn may_customize(object: &dyn Object) -> bool {
    object.params().is_some_and(|params| params.contains_key(PARAM))
        || object.as_any().downcast_ref::<Param>().is_some_and(|param| param.name == PARAM)
}

fn of(env: &str, value: &Value) -> Option<Custom> {
    Custom::deserialize(value.get(env)?).ok()
}

fn apply(env: &mut BootEnv, custom: Custom) {
    for template in custom.templates {
        match env.templates.iter_mut().find(|own| own.name == template.name) {
            Some(own) => *own = template,
            None => env.templates.push(template),
        }
    }
    env.loaders.extend(custom.loaders);
    apply_system(env, custom.os);
}

fn apply_system(env: &mut BootEnv, custom: OsInfo) {
    if !custom.supported_architectures.is_empty() {
        name_top(env);
    }
    let os = &mut env.os;
    replace(&mut os.name, custom.name);
    replace(&mut os.family, custom.family);
    replace(&mut os.codename, custom.codename);
    replace(&mut os.version, custom.version);
    replace(&mut os.iso_file, custom.iso_file);
    replace(&mut os.iso_sha256, custom.iso_sha256);
    replace(&mut os.iso_url, custom.iso_url);
    for (name, other) in custom.supported_architectures {
        let known =
            |own: &String| canonical_arch(own).is_some() && canonical_arch(own) == canonical_arch(&name);
        let own = os.supported_architectures.keys().find(|own| known(own)).cloned().unwrap_or(name);
        let own = os.supported_architectures.entry(own).or_default();
        replace(&mut own.iso_file, other.iso_file);
        replace(&mut own.sha256, other.sha256);
        replace(&mut own.iso_url, other.iso_url);
        replace(&mut own.kernel, other.kernel);
        replace(&mut own.boot_params, other.boot_params);
        replace(&mut own.loader, other.loader);
        if !other.initrds.is_empty() {
            own.initrds = other.initrds;
        }
    }
}

/// Copies the boot data at the top into the map of architectures where that lacks amd64, for which they are.
fn name_top(env: &mut BootEnv) {
    if env.os.supported_architectures.keys().any(|name| canonical_arch(name) == Some("amd64")) {
        return;
    }
    let top = env.for_arch("amd64");
    if top != ArchInfo::default() {
        env.os.supported_architectures.insert(String::from("amd64"), top);
    }
}

fn replace(own: &mut String, other: String) {
    if !other.is_empty() {
        *own = other;
    }
}
