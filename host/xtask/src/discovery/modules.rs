//! Which kernel modules the discovery system takes along, and the two files by which `modprobe` finds them.
//!
//! Debian's kernel packages hold no `modules.dep` and no `modules.alias`, so both are made here from each module's
//! own `.modinfo` section: strings `key=value` with a zero byte after each, `depends=a,b` and `alias=PATTERN` among
//! them. The guest asks for the aliases of the hardware that it has and loads nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// Without this one no virtual machine reaches its endpoint.
const REQUIRED: &str = "virtio_net";

/// What else is taken along where the kernel package has it: buses, network cards, disks, random numbers.
const WANTED: &[&str] = &[
    "virtio_pci",
    "virtio_rng",
    "virtio_blk",
    "virtio_scsi",
    "e1000",
    "e1000e",
    "igb",
    "igc",
    "ixgbe",
    "i40e",
    "ice",
    "r8169",
    "tg3",
    "bnxt_en",
    "mlx5_core",
    "vmxnet3",
    "hv_netvsc",
    "ena",
    "nvme",
    "ahci",
    "sd_mod",
];

/// How deep a chain of dependencies may be; a kernel's own stays below ten.
const MAX_DEPTH: usize = 64;

/// One module to load.
#[derive(Debug)]
pub(super) struct Module {
    /// Its name, with underscores.
    pub(super) name: String,
    /// The object file, not compressed.
    pub(super) bytes: Vec<u8>,
    /// All that must be loaded before it, in that order.
    needs: Vec<String>,
}

/// Returns `modules.dep`: behind each file those that it needs, the one to load first last (`modules.dep(5)`).
pub(super) fn dependency_file(modules: &[Module]) -> String {
    let line = |module: &Module| {
        let needs: String = module.needs.iter().rev().map(|name| format!(" {name}.ko")).collect();
        format!("{}.ko:{needs}\n", module.name)
    };
    modules.iter().map(line).collect()
}

/// Returns `modules.alias`: which module drives which hardware.
pub(super) fn alias_file(modules: &[Module]) -> String {
    let mut text = String::new();
    for module in modules {
        for alias in values(&module.bytes, b"alias=") {
            text.push_str(&format!("alias {alias} {}\n", module.name));
        }
    }
    text
}

/// Returns the modules to take from `folder` (`lib/modules/VERSION`), each behind those it depends on.
///
/// # Errors
/// The network driver of virtual machines is neither there nor built in, or a dependency is missing.
pub(super) fn in_load_order(folder: &Path) -> Result<Vec<Module>> {
    let mut files = BTreeMap::new();
    collect(folder, &mut files, 0)?;
    let builtin = fs::read_to_string(folder.join("modules.builtin")).unwrap_or_default();
    let builtin = builtin.lines().map(|line| name_of(Path::new(line.trim()))).collect();
    let mut order = Order { files, builtin, seen: BTreeSet::new(), modules: Vec::new() };
    if !order.visit(REQUIRED, 0)? {
        bail!("module `{REQUIRED}` is neither in `{}` nor built in", folder.display());
    }
    for name in WANTED {
        order.visit(name, 0)?;
    }
    Ok(order.modules)
}

struct Order {
    files: BTreeMap<String, PathBuf>,
    builtin: BTreeSet<String>,
    seen: BTreeSet<String>,
    modules: Vec<Module>,
}

impl Order {
    /// Adds `name` behind its dependencies; returns whether the kernel has it at all.
    fn visit(&mut self, name: &str, depth: usize) -> Result<bool> {
        if self.builtin.contains(name) || self.seen.contains(name) {
            return Ok(true);
        }
        let Some(path) = self.files.get(name).cloned() else { return Ok(false) };
        if depth == MAX_DEPTH {
            bail!("module `{name}` stands behind more than {MAX_DEPTH} dependencies");
        }
        self.seen.insert(name.to_owned());
        let bytes = fs::read(&path).with_context(|| format!("failed to read `{}`", path.display()))?;
        let mut needs = Vec::new();
        for dependency in dependencies(&bytes) {
            if !self.visit(&dependency, depth + 1)? {
                bail!("module `{name}` needs `{dependency}`, which the kernel package lacks");
            }
            self.add_with_needs(&dependency, &mut needs);
        }
        self.modules.push(Module { name: name.to_owned(), bytes, needs });
        Ok(true)
    }

    fn add_with_needs(&self, name: &str, needs: &mut Vec<String>) {
        let Some(module) = self.modules.iter().find(|module| module.name == name) else { return };
        for need in module.needs.iter().chain([&module.name]) {
            if !needs.contains(need) {
                needs.push(need.clone());
            }
        }
    }
}

/// Returns what the module `object` says that it depends on.
fn dependencies(object: &[u8]) -> Vec<String> {
    let lists = values(object, b"depends=").into_iter().take(1);
    let names = lists.flat_map(|list| list.split(',').map(|name| name.replace('-', "_")).collect::<Vec<_>>());
    names.filter(|name| !name.is_empty()).collect()
}

/// Returns the values of the strings in `object` that begin with `key`.
fn values(object: &[u8], key: &[u8]) -> Vec<String> {
    let found = object.split(|byte| *byte == 0).filter_map(|text| text.strip_prefix(key));
    found.filter_map(|value| str::from_utf8(value).ok()).map(str::to_owned).collect()
}

/// Finds every uncompressed module below `folder`.
fn collect(folder: &Path, files: &mut BTreeMap<String, PathBuf>, depth: usize) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("failed to list `{}`", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("failed to list `{}`", folder.display()))?;
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && depth < MAX_DEPTH {
            collect(&path, files, depth + 1)?;
        } else if path.extension().is_some_and(|extension| extension == "ko") {
            files.insert(name_of(&path), path);
        }
    }
    Ok(())
}

fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module as far as this file reads it.
    fn object(depends: &str) -> Vec<u8> {
        format!("\x7fELF\0junk\0license=GPL\0depends={depends}\0retpoline=Y\0").into_bytes()
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str, modules: &[(&str, &str)]) -> Self {
            let path = std::env::temp_dir().join(format!("xtask-modules-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(path.join("kernel/drivers/net")).unwrap();
            for (name, depends) in modules {
                fs::write(path.join("kernel/drivers/net").join(format!("{name}.ko")), object(depends))
                    .unwrap();
            }
            Self(path)
        }

        fn order(&self) -> Result<Vec<String>> {
            Ok(in_load_order(&self.0)?.into_iter().map(|module| module.name).collect())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn dependencies_are_read_from_the_module_itself() {
        assert_eq!(dependencies(&object("virtio,net-failover")), ["virtio", "net_failover"]);
        assert_eq!(dependencies(&object("")), Vec::<String>::new());
        assert_eq!(dependencies(b"no strings of ours"), Vec::<String>::new());
    }

    #[test]
    fn module_comes_behind_what_it_needs_and_only_once() {
        let modules = [
            ("virtio_net", "virtio,net_failover"),
            ("net-failover", "failover"),
            ("failover", ""),
            ("virtio", "virtio_ring"),
            ("virtio_ring", ""),
            ("virtio_pci", "virtio,virtio_ring"),
            ("unwanted", ""),
        ];
        let folder = Folder::new("order", &modules);
        let order = folder.order().unwrap();
        assert_eq!(order, ["virtio_ring", "virtio", "failover", "net_failover", "virtio_net", "virtio_pci"]);
    }

    #[test]
    fn files_of_modprobe_list_what_to_load_first_last_and_the_hardware() {
        let modules = [("virtio_net", "virtio"), ("virtio", "virtio_ring"), ("virtio_ring", "")];
        let folder = Folder::new("files", &modules);
        fs::write(folder.0.join("e1000.ko"), b"\0depends=\0alias=pci:v00008086d0000100E*\0alias=two\0")
            .unwrap();
        let modules = in_load_order(&folder.0).unwrap();
        let expected = "virtio_ring.ko:\nvirtio.ko: virtio_ring.ko\nvirtio_net.ko: virtio.ko virtio_ring.ko\ne1000.ko:\n";
        assert_eq!(dependency_file(&modules), expected);
        assert_eq!(alias_file(&modules), "alias pci:v00008086d0000100E* e1000\nalias two e1000\n");
    }

    #[test]
    fn driver_that_is_built_in_needs_no_file() {
        let folder = Folder::new("builtin", &[("e1000", "")]);
        fs::write(folder.0.join("modules.builtin"), "kernel/drivers/net/virtio_net.ko\n").unwrap();
        assert_eq!(folder.order().unwrap(), ["e1000"]);
    }

    #[test]
    fn kernel_without_the_required_driver_or_a_dependency_is_refused() {
        let none = Folder::new("none", &[("e1000", "")]).order().unwrap_err();
        assert!(none.to_string().contains("`virtio_net`"));
        let broken = Folder::new("broken", &[("virtio_net", "virtio")]).order().unwrap_err();
        assert!(broken.to_string().contains("needs `virtio`"));
    }

    #[test]
    fn modules_that_depend_on_each_other_end() {
        let folder = Folder::new("circle", &[("virtio_net", "virtio"), ("virtio", "virtio_net")]);
        assert_eq!(folder.order().unwrap(), ["virtio", "virtio_net"]);
    }
}
