//! `boot`: what became of the boots of machines, as the endpoint saw them or as a capture of the network shows them.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};
use formwork_api::BootExplanation;
use formwork_boot_proto::{
    dhcp::HardwareAddress,
    pcap,
    story::{Story, machines},
};
use formwork_client::Method;

use super::Given;
use crate::{commands::Context, failure::UsageError};

/// The largest capture that is read, in bytes.
const MAX_CAPTURE: u64 = 1 << 30;

/// Tells how a machine booted, and why it did not.
pub(super) async fn explain(given: Given<'_>, context: &mut Context) -> Result<()> {
    let subject = given.text("MAC|PCAP");
    match subject.parse::<HardwareAddress>() {
        Ok(mac) => of_endpoint(&mac.to_string(), given.is_on("data"), context).await,
        Err(_) if Path::new(subject).exists() => of_capture(&given, subject, context),
        Err(_) => bail!(UsageError(format!(
            "`{subject}` is neither a hardware address, as 52:54:00:12:34:56, nor a capture file"
        ))),
    }
}

async fn of_endpoint(mac: &str, as_data: bool, context: &mut Context) -> Result<()> {
    let value = context.client()?.call(Method::GET, ["boot", mac]).send().await?.value;
    if as_data {
        return context.out.value(&value, &[]);
    }
    let told: BootExplanation = serde_json::from_value(value)?;
    context.out.raw(told.text.as_bytes())?;
    if told.rule.is_empty() {
        return Ok(());
    }
    let boots = if told.boots.is_empty() { "nothing" } else { &told.boots };
    context.out.line(&format!("\nboots    {boots}: {}", told.rule))?;
    for passed in &told.passed_over {
        context.out.line(&format!("before   {passed}"))?;
    }
    for change in &told.changes {
        context.out.line(&format!("to boot  {change}"))?;
    }
    Ok(())
}

fn of_capture(given: &Given<'_>, path: &str, context: &mut Context) -> Result<()> {
    let length = fs::metadata(path).with_context(|| format!("failed to read `{path}`"))?.len();
    if length > MAX_CAPTURE {
        bail!(UsageError(format!("`{path}` has {length} bytes; captures may have {MAX_CAPTURE} at most")));
    }
    let bytes = fs::read(path).with_context(|| format!("failed to read `{path}`"))?;
    let recording = pcap::record(&bytes).with_context(|| format!("failed to read `{path}` as a capture"))?;
    let wanted: Option<HardwareAddress> = match given.optional("mac") {
        Some(mac) => Some(mac.parse().map_err(|_| UsageError(format!("`{mac}` is no hardware address")))?),
        None => None,
    };
    let found = wanted.map_or_else(|| machines(&recording.sightings), |mac| vec![mac]);
    let stories: Vec<Story> =
        found.iter().map(|mac| Story::tell(*mac, &recording.sightings, recording.until_us)).collect();
    if given.is_on("data") {
        return context.out.value(&stories, &[]);
    }
    if stories.is_empty() {
        bail!(
            "no machine asks for an address in `{path}`\nhint: capture on the network of the machine from before it starts"
        );
    }
    for (number, story) in stories.iter().enumerate() {
        if number > 0 {
            context.out.line("")?;
        }
        context.out.raw(story.to_text().as_bytes())?;
    }
    for note in recording.notes() {
        context.out.line(&format!("\nnote: {note}"))?;
    }
    Ok(())
}
