//! Which machine object this machine is: found by its hardware, or made (drp-behaviour.md 4.3).

use std::{fs, net::UdpSocket, path::Path};

use formwork_api::Whoami;
use formwork_client::Client;
use formwork_model::{MachineFingerprint, NameGrammar, canonical_arch};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    AgentError, Identity, World, hardware::Sources, local::ID_FILE, options::Simulation,
    retry::until_answered, session::Session,
};

/// Host names that systems have before they get one.
const NO_NAMES: &[&str] = &["localhost", "localhost.localdomain", "(none)", "none", "debian", "ubuntu"];

/// Finds out which machine object this is, and makes one when there is none.
///
/// # Errors
///
/// A refusal of the endpoint, or nothing to identify the machine by.
pub(crate) async fn identify(
    client: Client,
    world: &dyn World,
    machine: Option<&str>,
    stop: &CancellationToken,
) -> Result<Session, AgentError> {
    let whoami = world.whoami();
    if let Some(uuid) = machine {
        return Ok(Session::new(uuid.to_owned(), client, None, whoami));
    }
    if whoami.mac_addrs.is_empty() && whoami.fingerprint == MachineFingerprint::default() {
        return Err(AgentError::Nameless);
    }
    let found = match ask(&client, &whoami, stop).await? {
        Some(found) => found,
        None => make(&client, world, &whoami, stop).await?,
    };
    world.identified(&found.uuid).await;
    tracing::info!(machine.id = found.uuid, "this machine");
    Ok(Session::new(found.uuid, client, found.token, whoami))
}

/// A machine object.
struct Found {
    uuid: String,
    token: Option<String>,
}

/// Returns what this computer knows of itself, as it would ask an endpoint which machine it is. `state_dir` is the folder of
/// its agent, which remembers a UUID.
#[must_use]
pub fn this_machine(state_dir: &Path) -> Whoami {
    describe(&Identity::default(), state_dir)
}

/// The same for a machine that may be told what it is.
pub(crate) fn describe(identity: &Identity, state_dir: &Path) -> Whoami {
    if let Some(simulation) = &identity.simulation {
        return simulated(simulation);
    }
    let sources = Sources::default();
    let on_disk = fs::read_to_string(state_dir.join(ID_FILE)).unwrap_or_default();
    Whoami {
        fingerprint: sources.fingerprint(),
        mac_addrs: sources.macs(),
        on_disk_uuid: on_disk.trim().to_owned(),
        ..Whoami::default()
    }
}

fn simulated(simulation: &Simulation) -> Whoami {
    let system_uuid = simulation.uuid.clone().unwrap_or_default().to_lowercase();
    Whoami {
        fingerprint: MachineFingerprint { system_uuid, ..MachineFingerprint::default() },
        mac_addrs: simulation.macs.iter().map(|mac| mac.to_lowercase().replace('-', ":")).collect(),
        ..Whoami::default()
    }
}

async fn ask(
    client: &Client,
    whoami: &Whoami,
    stop: &CancellationToken,
) -> Result<Option<Found>, AgentError> {
    let answer = until_answered(stop, "identify this machine", || client.whoami(whoami)).await?;
    let result = answer.result;
    let token = (!result.token.is_empty()).then_some(result.token);
    Ok((!result.uuid.is_empty()).then_some(Found { uuid: result.uuid, token }))
}

/// Makes the machine object. The agent chooses its key, so that a repeat after a lost answer finds what it made.
async fn make(
    client: &Client,
    world: &dyn World,
    whoami: &Whoami,
    stop: &CancellationToken,
) -> Result<Found, AgentError> {
    let uuid = uuid::Uuid::new_v4().to_string();
    let names = world.names(&uuid);
    let address = world.address(client.endpoint()).unwrap_or_default();
    let mut refused = None;
    for name in names {
        let object = object(&uuid, &name, &address, whoami);
        let what = format!("make machine `{name}`");
        let made =
            until_answered(stop, &what, || async { client.collection("machines").create(&object).await });
        match made.await {
            Ok(_) => {
                tracing::info!(machine.id = uuid, machine.name = name, "machine made");
                refused = None;
                break;
            }
            // Made already by the request whose answer was lost, or the name belongs to another machine.
            Err(error) if matches!(error.status(), Some(409 | 422)) => {
                if let Some(found) = ask(client, whoami, stop).await? {
                    return Ok(found);
                }
                refused = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    match refused {
        Some(error) => Err(error),
        // The token of the new machine: this caller may have been allowed to make machines and nothing else.
        None => Ok(ask(client, whoami, stop).await?.unwrap_or(Found { uuid, token: None })),
    }
}

fn object(uuid: &str, name: &str, address: &str, whoami: &Whoami) -> Value {
    json!({
        "Uuid": uuid,
        "Name": name,
        "Address": address,
        "Arch": canonical_arch(std::env::consts::ARCH).unwrap_or("amd64"),
        "HardwareAddrs": whoami.mac_addrs,
        "Fingerprint": whoami.fingerprint,
    })
}

/// Returns names to try, best first: the one that was given, the host name, one made of the first MAC address.
pub(crate) fn names(identity: &Identity, host: Option<&str>, macs: &[String], uuid: &str) -> Vec<String> {
    if let Some(name) = &identity.name {
        return vec![name.clone()];
    }
    let host = host.filter(|name| {
        identity.simulation.is_none() && !NO_NAMES.contains(name) && NameGrammar::Machine.accepts(name)
    });
    let mac = macs.first().map(|mac| format!("d{}", mac.replace(':', "")));
    host.map(str::to_owned).into_iter().chain(mac.or_else(|| Some(format!("d{uuid}")))).collect()
}

/// Returns the name that the system has of itself.
pub(crate) fn host_name() -> Option<String> {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok())
}

/// Returns the address from which this machine reaches the endpoint; `None` on the loopback. Nothing is sent.
pub(crate) fn local_address(endpoint: &str) -> Option<String> {
    let authority = endpoint.split("://").nth(1)?.split('/').next()?;
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect(authority).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then(|| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn macs() -> Vec<String> {
        vec!["52:54:00:77:00:01".to_owned()]
    }

    #[test]
    fn host_name_comes_before_the_mac_address_unless_it_is_none() {
        let identity = Identity::default();
        assert_eq!(names(&identity, Some("web1"), &macs(), "u"), ["web1", "d525400770001"]);
        for none in ["(none)", "localhost", "-x"] {
            assert_eq!(names(&identity, Some(none), &macs(), "u"), ["d525400770001"]);
        }
        assert_eq!(names(&identity, None, &[], "u"), ["du"]);
    }

    #[test]
    fn given_name_is_the_only_one_and_a_simulation_does_not_take_the_host_name() {
        let named = Identity { name: Some("fred".into()), ..Identity::default() };
        assert_eq!(names(&named, Some("web1"), &macs(), "u"), ["fred"]);
        let simulated = Identity { simulation: Some(Simulation::default()), ..Identity::default() };
        assert_eq!(names(&simulated, Some("web1"), &macs(), "u"), ["d525400770001"]);
    }

    #[test]
    fn simulated_hardware_is_written_as_the_endpoint_compares_it() {
        let whoami =
            simulated(&Simulation { macs: vec!["52-54-00-AB-00-01".into()], uuid: Some("AB".into()) });
        assert_eq!(whoami.mac_addrs, ["52:54:00:ab:00:01"]);
        assert_eq!(whoami.fingerprint.system_uuid, "ab");
    }

    #[test]
    fn address_on_the_loopback_names_no_machine() {
        assert_eq!(local_address("https://127.0.0.1:8092"), None);
        assert_eq!(local_address("nonsense"), None);
    }
}
