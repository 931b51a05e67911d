//! `formwork pack diff`: what changes from one version of a pack to another, and what it would be allowed beyond.

use std::path::PathBuf;

use anyhow::Result;
use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use formwork_packs::{Difference, PackShape};

use super::source;
use crate::commands::Context;

/// What is compared.
#[derive(Clone, Debug, Args)]
struct DiffArgs {
    /// The version in use: a folder or a file `.fwpack`
    old: PathBuf,
    /// The version that is to come
    new: PathBuf,
}

pub(super) fn command() -> Command {
    let about = "Shows what changes between two versions, and what needs consent";
    DiffArgs::augment_args(Command::new("diff")).about(about).long_about(None)
}

pub(super) fn run(matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let DiffArgs { old, new } = DiffArgs::from_arg_matches(matches)?;
    let (old, new) = (source::read(&old)?, source::read(&new)?);
    let difference = Difference::between(&PackShape::from(old.pack()), &PackShape::from(new.pack()));
    if context.out.is_table() {
        return context.out.line(difference.to_string().trim_end());
    }
    context.out.value(&difference, &[])
}
