//! Paths of the dynamic file space, and the files that are there without a template.

use std::sync::Arc;

use formwork_model::{Machine, ObjectsExt};
use formwork_store::Snapshot;

use super::{
    RenderProblem, Rendered,
    compiled::Compiled,
    environment::path_for,
    scene::{About, Scene, Site},
    shared::SharedTemplates,
};

/// The longest path that is looked at, in bytes.
const MAX_PATH_BYTES: usize = 1024;

/// Returns a path in its one form: no slash at the ends, no empty parts. `None` for a path that is none, as when it
/// climbs, or holds control characters.
pub(super) fn clean(path: &str) -> Option<String> {
    if path.len() > MAX_PATH_BYTES || path.chars().any(char::is_control) {
        return None;
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() || parts.iter().any(|part| matches!(*part, "." | "..")) {
        return None;
    }
    Some(parts.join("/"))
}

/// Renders what `kexec` needs to start a machine's boot environment (drp-api.md 10.6).
pub(super) fn kexec(
    site: &Arc<dyn Site>,
    objects: &Snapshot,
    shared: &SharedTemplates,
    uuid: &str,
) -> Option<Result<Rendered, RenderProblem>> {
    let about = About::machine(objects, objects.get::<Machine>(uuid)?);
    let env = about.env.clone()?;
    let scene = Arc::new(Scene::new(site, objects, about));
    let boot = env.for_arch(scene.arch());
    if boot.kernel.is_empty() {
        return None;
    }
    let url = |file: &str| path_for(&scene, &env, "http", file, scene.arch()).unwrap_or_default();
    let mut text = format!("kernel {}\n", url(&boot.kernel));
    for initrd in &boot.initrds {
        text.push_str(&format!("initrd {}\n", url(initrd)));
    }
    text.push_str("params {{.BootParams}}\n");
    let entry = formwork_model::TemplateInfo {
        name: String::from("kexec"),
        contents: text,
        ..formwork_model::TemplateInfo::default()
    };
    let compiled = Compiled::new(format!("bootenvs:{}", env.name), &[entry], ("", ""), &shared.of(objects));
    compiled.entries.first().map(|entry| compiled.rendered(entry, &scene))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_has_one_form_and_never_climbs() {
        assert_eq!(clean("/a//b/").as_deref(), Some("a/b"));
        for path in ["", "/", "a/../b", "./a", "a\0b", "a\nb"] {
            assert_eq!(clean(path), None, "{path:?}");
        }
        assert_eq!(clean(&"a".repeat(MAX_PATH_BYTES + 1)), None);
    }
}
