//! Builds guests of a workspace and says what came out: `build-guests WORKSPACE OUT PACKAGE...`.
//!
//! `FORMWORK_INSTALL=1` allows installing what is missing.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use formwork_toolchain::{GuestBuild, Install, Toolchain};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(workspace), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("usage: build-guests WORKSPACE OUT PACKAGE...".into());
    };
    let out = PathBuf::from(out);
    let install = if env::var_os("FORMWORK_INSTALL").is_some() { Install::Allowed } else { Install::Never };
    let toolchain = Toolchain::find(&out.join("toolchain"), install)?;
    eprintln!("{}", toolchain.describe());
    let components = toolchain.build(&GuestBuild {
        workspace_dir: PathBuf::from(workspace),
        packages: arguments.collect(),
        target_dir: out.join("guests"),
        profile: "guest".to_owned(),
    })?;
    for component in components {
        let path = out.join(format!("{}.wasm", component.package));
        eprintln!(
            "{}: core {} bytes, component {} bytes",
            path.display(),
            component.core_size,
            component.wasm.len()
        );
        fs::write(path, component.wasm)?;
    }
    Ok(())
}
