//! `formwork demo`: a machine that is not there.
//!
//! `demo firmware` sends what the firmware of a BIOS machine sends, over the loopback: DHCP, TFTP, DHCP again as iPXE,
//! HTTP. It runs what an iPXE script says up to the point where a kernel would start, and there the agent takes the
//! kernel's place.

mod dhcp;
mod firmware;
mod ipxe;
mod progress;
mod tftp;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Args as _, Command, FromArgMatches as _};

use crate::commands::Context;
use firmware::FirmwareArgs;

pub(crate) fn command() -> Command {
    let firmware = FirmwareArgs::augment_args(Command::new("firmware"))
        .about("Boots a simulated machine over the loopback")
        .long_about(None);
    Command::new("demo")
        .about("Plays a machine that is not there")
        .subcommand_required(true)
        .subcommand(firmware)
}

pub(crate) async fn run(matches: &ArgMatches, context: &mut Context) -> Result<ExitCode> {
    let Some((_, matches)) = matches.subcommand() else { return Ok(ExitCode::SUCCESS) };
    firmware::run(FirmwareArgs::from_arg_matches(matches)?, context).await
}
