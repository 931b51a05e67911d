//! TFTP clients.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use formwork_lab::output;

use super::Outcome;
use super::networks::{CARD, FILE, NETWORKS, Networks, become_machine};

/// How long a transfer may take: 5 MiB in blocks of 512 on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sizes of blocks: of a client that asks for none, of a firmware on Ethernet, and of one that has its packets taken apart.
const BLOCKS: [&str; 3] = ["512", "1468", "8192"];

pub(super) fn hpa(networks: &Networks<'_>) -> Outcome {
    // It knows no sizes of blocks.
    fetch_all(networks, "tftp", &["512"], |command, file, _, local| {
        command.args(["-4", "-m", "binary", &server(), "-c", "get", file]).arg(local);
    })
}

pub(super) fn atftp(networks: &Networks<'_>) -> Outcome {
    fetch_all(networks, "atftp", &BLOCKS, |command, file, block, local| {
        command
            .args(["--option", &format!("blksize {block}"), "--get", "-r", file, "-l"])
            .arg(local)
            .arg(server());
    })
}

pub(super) fn curl(networks: &Networks<'_>) -> Outcome {
    fetch_all(networks, "curl", &BLOCKS, |command, file, block, local| {
        command
            .args(["-sS", "--tftp-blksize", block, &format!("tftp://{}/{file}", server()), "-o"])
            .arg(local);
    })
}

pub(super) fn busybox(networks: &Networks<'_>) -> Outcome {
    fetch_all(networks, "busybox", &BLOCKS, |command, file, block, local| {
        command.args(["tftp", "-g", "-b", block, "-r", file, "-l"]).arg(local).arg(server());
    })
}

fn server() -> String {
    format!("{}.1", NETWORKS[0])
}

/// Fetches the file in blocks of each size and compares it, and then one that is not there.
fn fetch_all(
    networks: &Networks<'_>,
    program: &str,
    blocks: &[&str],
    arguments: impl Fn(&mut Command, &str, &str, &Path),
) -> Outcome {
    become_machine(networks.one, 9)?;
    networks.one.address(CARD, &format!("{}.5/24", NETWORKS[0]))?;
    let wanted = read(&networks.endpoint.files().join(FILE.0))?;
    let local = networks.folder.join("fetched");
    for block in blocks {
        let _ = fs::remove_file(&local);
        let mut command = networks.one.command_within(PATIENCE, program);
        arguments(&mut command, FILE.0, block, &local);
        output(&mut command).with_context(|| format!("blocks of {block}"))?;
        ensure!(read(&local)? == wanted, "blocks of {block}: the file is not what the endpoint has");
    }
    let _ = fs::remove_file(&local);
    let mut command = networks.one.command_within(PATIENCE, program);
    arguments(&mut command, "no/such.file", "512", &local);
    // Some clients say it by their exit code and some in words.
    let refusal = match output(&mut command) {
        Ok(words) => words,
        Err(error) => error.to_string(),
    };
    if refusal.contains("exit status: 124") {
        bail!("it went on asking for a file that is not there");
    }
    // Of an ERROR in answer to its request curl tells the code alone: by its own exit code 68, TFTP_NOTFOUND.
    let told = ["no such file", "exit status: 68"].iter().any(|words| refusal.contains(words));
    ensure!(told, "it does not say that a file is missing: `{}`", refusal.trim());
    let left = fs::metadata(&local).map_or(0, |file| file.len());
    ensure!(left == 0, "of a missing file it got {left} bytes");
    Ok(format!("alike in blocks of {}, and a missing file told", blocks.join(", ")))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("failed to read `{}`", path.display()))
}
