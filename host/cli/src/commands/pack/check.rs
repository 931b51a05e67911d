//! `formwork pack check`: everything about a pack that can be known before it is installed.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use formwork_packs::{Pack, PackComponent};
use formwork_sandbox::{Capability, Grants, inspect};
use serde::Serialize;

use super::{simulate, source};
use crate::commands::Context;

/// What is checked.
#[derive(Clone, Debug, Args)]
struct CheckArgs {
    /// The pack: its folder, or a file `.fwpack`
    #[arg(default_value = ".")]
    pack: PathBuf,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    name: String,
    version: String,
    objects: usize,
    components: usize,
    /// What keeps it from being installed.
    errors: Vec<String>,
    /// What an operator would be told.
    warnings: Vec<String>,
}

pub(super) fn command() -> Command {
    let about = "Checks objects, references, templates, components and grants of a pack";
    CheckArgs::augment_args(Command::new("check")).about(about).long_about(None)
}

pub(super) async fn run(matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let CheckArgs { pack } = CheckArgs::from_arg_matches(matches)?;
    let found = check(&pack).await?;
    context.out.value(&found, &[])?;
    match found.errors.len() {
        0 => Ok(()),
        1 => bail!("the pack has a fault"),
        faults => bail!("the pack has {faults} faults"),
    }
}

async fn check(path: &Path) -> Result<Found> {
    let pack = source::read(path)?.into_pack();
    let mut found = Found {
        name: pack.meta.name.clone(),
        version: pack.meta.version.clone(),
        objects: pack.objects.len(),
        components: pack.components.len(),
        ..Found::default()
    };
    for component in &pack.components {
        component_faults(component, &mut found);
    }
    installed(pack, &mut found).await?;
    Ok(found)
}

/// Compares what a component is and imports with what the manifest says of it.
fn component_faults(component: &PackComponent, found: &mut Found) {
    let record = &component.record;
    let name = format!("components/{}.wasm", record.name);
    let info = match inspect(&component.wasm) {
        Ok(info) => info,
        Err(error) => return found.errors.push(format!("{name}: {error}")),
    };
    let kind = serde_json::to_value(record.kind).ok();
    if kind.as_ref().and_then(serde_json::Value::as_str) != Some(info.kind.as_str()) {
        let says = kind.unwrap_or_default();
        found.errors.push(format!("{name}: it is a {} component, the manifest says {says}", info.kind));
    }
    let grants = match Grants::parse(&record.grants) {
        Ok(grants) => grants,
        Err(error) => return found.errors.push(format!("pack.yaml: component `{}`: {error}", record.name)),
    };
    let unasked = info.imports.iter().filter(|capability| !grants.allows(**capability));
    found.errors.extend(unasked.map(|capability| {
        format!(
            "{name}: it imports `{capability}`, which pack.yaml does not ask for: add a line to its `grants`"
        )
    }));
    let asked = |capability: &Capability| {
        record
            .grants
            .iter()
            .any(|line| line.split(':').next().is_some_and(|word| word.trim() == capability.as_str()))
    };
    let idle = Capability::ALL.iter().filter(|one| asked(one) && !info.imports.contains(one));
    found.warnings.extend(idle.map(|capability| {
        format!("pack.yaml: component `{}` asks for `{capability}` and does not import it", record.name)
    }));
}

/// Installs it where nothing is lost: references and templates are judged as an endpoint would. Where components have
/// faults already, their compilation would say the same again, so the objects are looked at alone.
async fn installed(pack: Pack, found: &mut Found) -> Result<()> {
    let stage = simulate::Stage::open(formwork_model::Timestamp::default(), Default::default()).await?;
    let judged = if found.errors.is_empty() {
        stage.simulation.install(pack).await
    } else {
        stage.simulation.rehearse(pack).await.map(|()| Vec::new())
    };
    match judged {
        Ok(warnings) => found.warnings.extend(warnings),
        Err(error) => found.errors.extend(error.messages),
    }
    Ok(())
}
