//! Pools: what a transition is told (drp-api.md 13.3). And subnets.

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};

use super::{Flag, Given, edit};
use crate::{failure::UsageError, input};

/// The flags of all transitions.
pub(super) const FLAGS: &[Flag] = &[
    Flag::own("count", Some("N"), "How many machines [default: 1]"),
    Flag::own("minimum", Some("N"), "Change nothing when there are fewer [default: the count]"),
    Flag::own("all-machines", None, "All machines that fit"),
    Flag::own("machine-list", Some("MACHINES"), "These machines: keys or INDEX:VALUE, a comma list"),
    Flag::own(
        "wait-timeout",
        Some("TIME"),
        "Answer when all machines are there, at the latest after this time",
    ),
    Flag::own("new-workflow", Some("NAME"), "This workflow instead of the pool's"),
    Flag::own("add-profiles", Some("NAMES"), "Add these profiles, a comma list"),
    Flag::own("remove-profiles", Some("NAMES"), "Remove these profiles, a comma list"),
    Flag::own("add-parameters", Some("JSON"), "Set these params, a map"),
    Flag::own("remove-parameters", Some("NAMES"), "Remove these params, a comma list"),
    Flag::value("source-pool", "ID", "source-pool", "Take machines from this pool"),
];

/// Makes the body of a transition.
pub(super) fn transition(given: &Given<'_>) -> Result<Value> {
    let mut body = Map::new();
    for (flag, member) in [("count", "pool/count"), ("minimum", "pool/minimum")] {
        if let Some(number) = given.number(flag)? {
            body.insert(member.to_owned(), json!(number));
        }
    }
    if given.is_on("all-machines") {
        body.insert(String::from("pool/all-machines"), json!(true));
    }
    for (flag, member) in [
        ("machine-list", "pool/machine-list"),
        ("add-profiles", "pool/add-profiles"),
        ("remove-profiles", "pool/remove-profiles"),
        ("remove-parameters", "pool/remove-parameters"),
    ] {
        if let Some(names) = given.optional(flag) {
            let names: Vec<&str> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
            body.insert(member.to_owned(), json!(names));
        }
    }
    for (flag, member) in [("wait-timeout", "pool/wait-timeout"), ("new-workflow", "pool/workflow")] {
        if let Some(text) = given.optional(flag) {
            body.insert(member.to_owned(), json!(text));
        }
    }
    if let Some(params) = given.optional("add-parameters") {
        let params = input::value(params)?;
        if !params.is_object() {
            bail!(UsageError(String::from("--add-parameters is a map of names and values")));
        }
        body.insert(String::from("pool/add-parameters"), params);
    }
    let filters = given.texts("FILTER");
    if !filters.is_empty() {
        super::list::filters(&filters)?;
        body.insert(String::from("pool/filter"), json!(filters));
    }
    Ok(Value::Object(body))
}

/// Sets the first and the last address that a subnet gives.
pub(super) fn range(given: &Given<'_>, subnet: &mut Value) -> Result<()> {
    edit::set(subnet, "ActiveStart", json!(given.text("START")))?;
    edit::set(subnet, "ActiveEnd", json!(given.text("END")))
}

/// Sets how a subnet picks addresses.
pub(super) fn pickers(given: &Given<'_>, subnet: &mut Value) -> Result<()> {
    let pickers: Vec<&str> = given.text("PICKERS").split(',').map(str::trim).collect();
    edit::set(subnet, "Pickers", json!(pickers))
}

/// Sets where machines boot from.
pub(super) fn next_server(given: &Given<'_>, subnet: &mut Value) -> Result<()> {
    edit::set(subnet, "NextServer", json!(given.text("ADDRESS")))
}

/// Sets the network.
pub(super) fn network(given: &Given<'_>, subnet: &mut Value) -> Result<()> {
    edit::set(subnet, "Subnet", json!(given.text("CIDR")))
}

/// Sets how long addresses are given for.
pub(super) fn lease_times(given: &Given<'_>, subnet: &mut Value) -> Result<()> {
    edit::set(subnet, "ActiveLeaseTime", json!(given.number("ACTIVE")?))?;
    edit::set(subnet, "ReservedLeaseTime", json!(given.number("RESERVED")?))
}

/// Sets a DHCP option; `null` removes it.
pub(super) fn set_option(given: &Given<'_>, subnet: &mut Value) -> Result<()> {
    let code = given.number("KEY")?.unwrap_or_default();
    let value = input::text(given.text("VALUE"))?;
    let mut options = subnet.get("Options").and_then(Value::as_array).cloned().unwrap_or_default();
    options.retain(|option| option.get("Code").and_then(Value::as_u64) != Some(code));
    if value != "null" {
        options.push(json!({"Code": code, "Value": value}));
    }
    edit::set(subnet, "Options", json!(options))
}

/// Shows a DHCP option.
pub(super) async fn option(given: Given<'_>, context: &mut crate::commands::Context) -> Result<()> {
    let code = given.number("KEY")?;
    let subnet = context
        .client()?
        .collection("subnets")
        .show(given.text("ID"), &formwork_client::Query::new())
        .await?;
    let options = subnet.get("Options").and_then(Value::as_array).cloned().unwrap_or_default();
    match options.iter().find(|option| option.get("Code").and_then(Value::as_u64) == code) {
        Some(option) => context.out.value(option.get("Value").unwrap_or(&Value::Null), &[]),
        None => bail!("subnet `{}` has no option {}", given.text("ID"), given.text("KEY")),
    }
}
