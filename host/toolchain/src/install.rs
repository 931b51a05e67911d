//! Installing what is missing. Called only when the caller allows it.

use std::path::Path;

use crate::TARGET;
use crate::command::{clean, on_path, run};
use crate::compiler::Compiler;

/// Where Debian's compiler is.
pub(crate) const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// Debian's compiler that keeps up with the browsers, its cargo, and the sources of its standard library.
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// Adds the target to a toolchain of rustup; `false` when the compiler is not one or the download fails.
pub(crate) fn add_target(compiler: &Compiler) -> bool {
    let Some(rustup) = on_path("rustup") else { return false };
    // rustup keeps a toolchain in a folder of its name; the compiler may be another one than the default.
    let Some(name) = rustup_name(&compiler.sysroot) else { return false };
    run(clean(rustup).args(["target", "add", TARGET, "--toolchain", name])).unwrap_or(false)
}

/// The name under which rustup knows a sysroot.
fn rustup_name(sysroot: &Path) -> Option<&str> {
    let within = sysroot.parent()?.file_name()? == "toolchains";
    within.then(|| sysroot.file_name()?.to_str()).flatten()
}

/// Installs Debian's compiler; `false` when this is no Debian, we are not root, or it fails.
pub(crate) fn debian_compiler() -> bool {
    apt_get(&DEBIAN_PACKAGES)
}

/// Installs Debian's linker for a compiler.
pub(crate) fn debian_linker(compiler: &Compiler) -> bool {
    let package = format!("lld-{}", compiler.llvm);
    !compiler.llvm.is_empty() && apt_get(&[package.as_str()])
}

/// Installs packages without questions.
fn apt_get(packages: &[&str]) -> bool {
    let Some(program) = on_path("apt-get") else { return false };
    if !nix::unistd::geteuid().is_root() {
        return false;
    }
    let apt_get = || {
        let mut command = clean(&program);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    let install = || {
        run(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(packages)).unwrap_or(false)
    };
    // Fresh images have no lists; try without the lists' download first.
    install() || (run(apt_get().arg("update")).unwrap_or(false) && install())
}

/// The command that mends a missing compiler.
pub(crate) fn advice() -> String {
    if on_path("rustup").is_some() {
        return format!("rustup target add {TARGET}");
    }
    if on_path("apt-get").is_some() {
        return format!("apt-get install {} lld", DEBIAN_PACKAGES.join(" "));
    }
    format!("install rustup, then: rustup target add {TARGET}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sysroot_of_rustup_has_a_rustup_name() {
        assert_eq!(rustup_name(Path::new("/home/a/.rustup/toolchains/stable-x")), Some("stable-x"));
        assert_eq!(rustup_name(Path::new("/usr")), None);
    }
}
