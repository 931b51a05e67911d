//! Runs programs in an environment that owes nothing to a cargo around us.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Variables of cargo that say where crates come from. All others of cargo and rustc are dropped: within a build script
/// they carry flags, folders and job slots of the outer build.
const KEPT: [&str; 5] = ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_"];

/// Prefixes and names of what a build around us sets.
const DROPPED: [&str; 16] = [
    "CARGO",
    "RUSTC",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
    "RUST_RECURSION_COUNT",
    "MAKEFLAGS",
    "MFLAGS",
    "MAKELEVEL",
    "OUT_DIR",
    "OPT_LEVEL",
    "NUM_JOBS",
    "PROFILE",
    "DEBUG",
    "TARGET",
    "HOST",
];

/// Starts a command without the variables of a build around us.
pub(crate) fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_dropped) {
            command.env_remove(name);
        }
    }
    // A wrapper in the user's configuration would change what is cached; empty switches it off.
    command.env("RUSTC_WRAPPER", "").env("RUSTC_WORKSPACE_WRAPPER", "");
    command.stdin(Stdio::null());
    command
}

/// Whether a variable belongs to a build around us.
fn is_dropped(name: &str) -> bool {
    if KEPT.iter().any(|kept| name.starts_with(kept)) {
        return false;
    }
    DROPPED.iter().any(|dropped| match *dropped {
        "CARGO" | "RUSTC" | "RUSTDOC" => {
            name == *dropped || name.strip_prefix(dropped).is_some_and(|rest| rest.starts_with('_'))
        }
        whole => name == whole,
    })
}

/// Returns what a command prints, trimmed, or `None` when it cannot start or fails.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a command to its end with everything it says on our standard error, as the standard output of a build script
/// is read by cargo.
pub(crate) fn run(command: &mut Command) -> io::Result<bool> {
    Ok(command.stdout(io::stderr()).stderr(Stdio::inherit()).status()?.success())
}

/// Finds a program in the folders of `PATH`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Flags that give the crates of registries the same path on every machine. The folder of a registry has a name that
/// differs between machines, so each is named by itself.
pub(crate) fn remap_crates() -> Vec<String> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    let Some(home) = home else { return Vec::new() };
    let mut flags = vec![format!("--remap-path-prefix={}=/cargo", home.display())];
    let registries = fs::read_dir(home.join("registry/src")).into_iter().flatten().flatten();
    flags.extend(registries.map(|folder| format!("--remap-path-prefix={}=/crates", folder.path().display())));
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_an_outer_build_are_dropped() {
        for name in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTC_BOOTSTRAP",
            "CARGO",
            "CARGO_TARGET_DIR",
            "CARGO_MAKEFLAGS",
            "MAKEFLAGS",
            "RUSTUP_TOOLCHAIN",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_BUILD_TARGET",
            "OUT_DIR",
        ] {
            assert!(is_dropped(name), "{name}");
        }
    }

    #[test]
    fn variables_that_say_where_crates_come_from_stay() {
        for name in
            ["CARGO_HOME", "CARGO_REGISTRIES_MY_INDEX", "CARGO_HTTP_PROXY", "PATH", "RUSTUP_HOME", "RUST_LOG"]
        {
            assert!(!is_dropped(name), "{name}");
        }
    }
}
