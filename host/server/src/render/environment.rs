//! `.Env` and `.Env.OS` of templates.

use std::sync::Arc;

use formwork_model::{ArchInfo, BootEnv, Object as _, OsInfo, canonical_arch};
use formwork_template::{Arguments, CallError, Engine, Object, Value};
use serde_json::Value as Json;

use super::scene::Scene;

/// Families that share their installer with another one.
const FAMILY_TYPES: &[(&str, &[&str])] = &[
    (
        "rhel",
        &[
            "redhat",
            "rhel",
            "centos",
            "centos-stream",
            "fedora",
            "scientificlinux",
            "rocky",
            "alma",
            "almalinux",
            "oraclelinux",
        ],
    ),
    ("debian", &["debian", "ubuntu"]),
];

/// A boot environment, as templates see it (drp-behaviour.md 2.5).
pub(super) struct EnvView {
    scene: Arc<Scene>,
    env: Arc<BootEnv>,
}

impl EnvView {
    pub(super) fn new(scene: &Arc<Scene>, env: &Arc<BootEnv>) -> Self {
        Self { scene: Arc::clone(scene), env: Arc::clone(env) }
    }

    fn boot(&self) -> ArchInfo {
        self.env.for_arch(self.scene.arch())
    }

    fn initrds(&self, protocol: &str, arch: &str) -> Result<Value, CallError> {
        let paths: Result<Vec<String>, CallError> = self
            .env
            .for_arch(arch)
            .initrds
            .iter()
            .map(|file| path_for(&self.scene, &self.env, protocol, file, arch))
            .collect();
        Ok(Value::from(paths?.join(",")))
    }
}

/// Returns where a file of an environment's install tree is, by the protocol that fetches it.
pub(super) fn path_for(
    scene: &Scene,
    env: &BootEnv,
    protocol: &str,
    file: &str,
    arch: &str,
) -> Result<String, CallError> {
    let path = format!("{}/{}", env.install_tree(arch), file.trim_start_matches('/'));
    match protocol {
        "tftp" => Ok(path),
        "http" => Ok(format!("{}/{path}", scene.site.file_url())),
        "disk" => Ok(scene.site.file_root().join(path).display().to_string()),
        _ => Err(format!("`{protocol}` is not one of tftp, http, disk").into()),
    }
}

fn known_arch(arch: &str) -> Result<&'static str, CallError> {
    canonical_arch(arch).ok_or_else(|| format!("`{arch}` is not a supported architecture").into())
}

fn texts(items: &[String]) -> Value {
    Value::from(items.iter().map(|item| Value::from(item.as_str())).collect::<Vec<_>>())
}

impl Object for EnvView {
    fn type_name(&self) -> &str {
        "BootEnv"
    }

    fn field(&self, name: &str) -> Option<Value> {
        Some(match name {
            "Name" => Value::from(self.env.name.as_str()),
            "OS" => Value::object(OsView(Arc::clone(&self.env))),
            "Kernel" => Value::from(self.boot().kernel),
            "Initrds" => texts(&self.boot().initrds),
            "BootParams" => Value::from(self.boot().boot_params),
            "InstallUrl" => {
                let tree = self.env.install_tree(self.scene.arch());
                Value::from(format!("{}/{tree}", self.scene.site.file_url()))
            }
            _ => return self.env.to_json().get(name).map(Value::from),
        })
    }

    fn call(&self, name: &str, args: &[Value], _: &mut Engine<'_>) -> Result<Option<Value>, CallError> {
        let args = Arguments::new(args);
        let own = self.scene.arch();
        Ok(Some(match name {
            "PathFor" => {
                let args = args.count(2, 2)?;
                Value::from(path_for(&self.scene, &self.env, args.text(0)?, args.text(1)?, own)?)
            }
            "PathForArch" => {
                let args = args.count(3, 3)?;
                let arch = known_arch(args.text(2)?)?;
                Value::from(path_for(&self.scene, &self.env, args.text(0)?, args.text(1)?, arch)?)
            }
            "JoinInitrds" => self.initrds(args.count(1, 1)?.text(0)?, own)?,
            "JoinInitrdsFor" => {
                let args = args.count(2, 2)?;
                self.initrds(args.text(0)?, known_arch(args.text(1)?)?)?
            }
            "KernelFor" => Value::from(self.env.for_arch(known_arch(args.count(1, 1)?.text(0)?)?).kernel),
            "InitrdsFor" => texts(&self.env.for_arch(known_arch(args.count(1, 1)?.text(0)?)?).initrds),
            "LineFrom" => return Err("`.Env.LineFrom` is not offered by this endpoint".into()),
            _ => return Ok(None),
        }))
    }

    fn json(&self) -> Json {
        self.env.to_json()
    }
}

/// The operating system of a boot environment.
struct OsView(Arc<BootEnv>);

fn split(os: &OsInfo) -> (&str, &str) {
    os.name.split_once('-').unwrap_or((&os.name, ""))
}

fn family(os: &OsInfo) -> &str {
    if os.family.is_empty() { split(os).0 } else { &os.family }
}

fn version(os: &OsInfo) -> &str {
    if os.version.is_empty() { split(os).1 } else { &os.version }
}

/// Tells whether a version has all the parts that are asked for: `7` is met by `7.9`, `7.9` is not by `7`.
fn version_meets(have: &str, asked: &str) -> bool {
    let number = |part: &str| part.parse::<u64>().map_err(|_| part.to_owned());
    let mut have = have.split('.').map(number);
    asked.split('.').map(number).all(|part| have.next() == Some(part))
}

impl Object for OsView {
    fn type_name(&self) -> &str {
        "OsInfo"
    }

    fn field(&self, name: &str) -> Option<Value> {
        let os = &self.0.os;
        Some(match name {
            "FamilyName" => Value::from(family(os)),
            "FamilyVersion" => Value::from(version(os)),
            "FamilyType" => {
                let family = family(os);
                let of = FAMILY_TYPES.iter().find(|(_, members)| members.contains(&family));
                Value::from(of.map_or(family, |(name, _)| name))
            }
            _ => return self.json().get(name).map(Value::from),
        })
    }

    fn call(&self, name: &str, args: &[Value], _: &mut Engine<'_>) -> Result<Option<Value>, CallError> {
        if name != "VersionEq" {
            return Ok(None);
        }
        let asked = Arguments::new(args).count(1, 1)?.text(0)?;
        Ok(Some(Value::from(version_meets(version(&self.0.os), asked))))
    }

    fn json(&self) -> Json {
        serde_json::to_value(&self.0.os).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_met_part_by_part() {
        for (have, asked, met) in
            [("7.9", "7", true), ("7", "7.9", false), ("07", "7", true), ("12", "1", false), ("", "7", false)]
        {
            assert_eq!(version_meets(have, asked), met, "{have} {asked}");
        }
    }

    #[test]
    fn family_and_version_come_from_the_name_when_they_are_not_told() {
        let os = OsInfo { name: String::from("ubuntu-22.04"), ..OsInfo::default() };
        assert_eq!((family(&os), version(&os)), ("ubuntu", "22.04"));
        let view = OsView(Arc::new(BootEnv { os, ..BootEnv::default() }));
        assert_eq!(view.field("FamilyType").unwrap().as_str(), Some("debian"));
    }
}
