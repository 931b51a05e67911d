//! `formwork demo firmware`: boots like a machine's firmware, and becomes the agent on demand.

use std::{ffi::OsString, io::Write, net::SocketAddrV4, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use formwork_boot_proto::dhcp::HardwareAddress;
use uuid::Uuid;

use crate::firmware::{self, Outcome};

/// What the simulated machine is and where it looks for its endpoint.
#[derive(clap::Args, Debug)]
pub(crate) struct FirmwareArgs {
    /// The DHCP server, which is asked by unicast from a port of our own.
    #[arg(long, value_name = "ADDRESS:PORT")]
    dhcp: SocketAddrV4,
    /// The TFTP server instead of the one that DHCP names, for a port other than 69.
    #[arg(long, value_name = "ADDRESS:PORT")]
    tftp: Option<SocketAddrV4>,
    /// The MAC address of the machine's network card.
    #[arg(long, value_parser = card)]
    mac: HardwareAddress,
    /// The UUID that the machine's DMI tables hold; without it the machine tells none.
    #[arg(long)]
    uuid: Option<Uuid>,
    /// Seconds for the whole boot, from the first packet to the last byte of the initial RAM disk.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// Starts the agent afterwards, with the endpoint and token of the kernel command line.
    #[arg(long)]
    agent: bool,
    /// More arguments for the agent, after `--`.
    #[arg(last = true, value_name = "ARGUMENT", requires = "agent")]
    agent_arguments: Vec<OsString>,
}

/// Boots, prints what was booted, and runs the agent where that is wanted; its exit code is then ours.
pub(crate) async fn run(args: FirmwareArgs) -> anyhow::Result<ExitCode> {
    let machine = firmware::Machine { mac: args.mac, uuid: args.uuid };
    let servers = firmware::Servers { dhcp: args.dhcp, tftp: args.tftp };
    let limit = Duration::from_secs(args.timeout);
    let booted = match tokio::time::timeout(limit, firmware::boot(&machine, servers)).await {
        Ok(booted) => booted?,
        Err(_) => bail!("the boot took more than {} s", args.timeout),
    };
    let mut text = serde_json::to_string(&booted).context("failed to write the result")?;
    text.push('\n');
    std::io::stdout().write_all(text.as_bytes()).context("failed to write the result")?;
    if !args.agent {
        return Ok(ExitCode::SUCCESS);
    }
    match &booted.outcome {
        Outcome::Kernel(boot) => {
            firmware::run_agent(&machine, &boot.command_line, &args.agent_arguments).await
        }
        Outcome::NextBootDevice => {
            bail!("`{}` boots no kernel, so there is no agent to run", booted.script)
        }
    }
}

fn card(text: &str) -> Result<HardwareAddress, String> {
    let address = text.parse::<HardwareAddress>().map_err(|error| error.to_string())?;
    if address.as_bytes().len() != 6 || !address.names_one_client() {
        return Err(format!("`{text}` is not the address of one network card"));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser, Debug)]
    struct Program {
        #[command(flatten)]
        args: FirmwareArgs,
    }

    fn parse(arguments: &[&str]) -> Result<FirmwareArgs, clap::Error> {
        let program = ["firmware", "--dhcp", "127.0.0.1:6767"];
        Program::try_parse_from(program.iter().chain(arguments)).map(|program| program.args)
    }

    #[test]
    fn only_the_address_of_one_card_is_a_mac_address() {
        assert!(parse(&["--mac", "52:54:00:77:00:01"]).is_ok());
        for text in ["52:54", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "machine"] {
            assert!(parse(&["--mac", text]).is_err(), "{text}");
        }
    }

    #[test]
    fn arguments_for_the_agent_need_an_agent() {
        let mac = ["--mac", "52:54:00:77:00:01"];
        let with = parse(&[&mac[..], &["--agent", "--", "--once"]].concat()).unwrap();
        assert_eq!(with.agent_arguments, ["--once"]);
        assert!(parse(&[&mac[..], &["--", "--once"]].concat()).is_err());
    }
}
