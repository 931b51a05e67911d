//! Into another boot environment by its kernel, without the firmware (drp-behaviour.md 3.10, drp-api.md 10.6).
//!
//! The param `kexec-ok` of the machine allows it. The endpoint tells at `machines/UUID/kexec` what to load; anything that is
//! not as it should be makes a reboot of it, which comes to the same place by a longer way.

use formwork_client::download;
use serde_json::Value;

use crate::{AgentError, World, session::Session};

/// The param that allows it.
const ALLOWED: &str = "kexec-ok";

/// The param with the address of the network card that the machine was last booted from.
const LAST_CARD: &str = "last-boot-macaddr";

/// What a kernel and the programs of its first file system are told of the network card.
const CARD: &str = "BOOTIF=";

/// The most bytes of a plan: a command line has 4 KiB at most where kernels take the longest, URLs are shorter.
const MAX_PLAN: usize = 64 << 10;

/// The most initial file systems of a kernel.
const MAX_INITRDS: usize = 16;

/// What starts a boot environment: a kernel, its initial file systems and its command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelPlan {
    /// The URL of the kernel.
    pub kernel: String,
    /// The URLs of the initial file systems, in the order in which the kernel unpacks them.
    pub initrds: Vec<String>,
    /// The command line.
    pub params: String,
}

impl KernelPlan {
    /// Reads what an endpoint tells: a line `kernel URL`, lines `initrd URL`, a line `params COMMAND LINE`.
    fn parse(text: &str) -> Result<Self, String> {
        let mut plan = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "kernel" => rest.trim().clone_into(&mut plan.kernel),
                "initrd" => plan.initrds.push(rest.trim().to_owned()),
                "params" => rest.trim().clone_into(&mut plan.params),
                _ => {
                    return Err(format!(
                        "the endpoint names `{word}`, which is none of kernel, initrd and params"
                    ));
                }
            }
        }
        if plan.kernel.is_empty() {
            return Err(String::from("the endpoint names no kernel"));
        }
        if plan.initrds.len() > MAX_INITRDS {
            return Err(format!("the endpoint names more than {MAX_INITRDS} initial file systems"));
        }
        Ok(plan)
    }

    fn names_card(&self) -> bool {
        self.params.split_whitespace().any(|word| word.starts_with(CARD))
    }

    /// Names the network card on the command line, as boot loaders do.
    fn with_card(mut self, card: &str) -> Self {
        self.params = format!("{} {CARD}{card}", self.params).trim().to_owned();
        self
    }
}

/// Tells whether the operator allows it for the machine.
pub(crate) async fn is_allowed(session: &Session) -> Result<bool, AgentError> {
    Ok(session.param(ALLOWED).await? == Some(Value::Bool(true)))
}

/// Finds out what is to be loaded and has the world load it. The inner error is the reason why the machine has to be
/// rebooted instead.
///
/// # Errors
///
/// The order to end.
pub(crate) async fn load(session: &Session, world: &dyn World) -> Result<Result<(), String>, AgentError> {
    let info = match session
        .ask("ask for the port of the file server", |client| async move { client.info().await })
        .await
    {
        Ok(info) => info,
        Err(error @ AgentError::Refused { .. }) => return Ok(Err(format!("{error:?}"))),
        Err(error) => return Err(error),
    };
    let url = match file_url(session.client().endpoint(), info.file_port, &session.machine) {
        Some(url) => url,
        None => return Ok(Err(String::from("the endpoint serves no files"))),
    };
    let mut plan = match fetch(&url).await {
        Ok(plan) => plan,
        Err(reason) => return Ok(Err(reason)),
    };
    if !plan.names_card() {
        let card = match world.boot_card() {
            Some(card) => Some(card),
            None => session.param(LAST_CARD).await?.as_ref().and_then(Value::as_str).and_then(card_of),
        };
        if let Some(card) = card {
            plan = plan.with_card(&card);
        }
    }
    Ok(world.load_kernel(&plan).await)
}

/// Fetches a plan, by plain HTTP as a boot loader would.
async fn fetch(url: &str) -> Result<KernelPlan, String> {
    let fetched = download(url, MAX_PLAN).await.map_err(|error| error.chain())?;
    match fetched.status {
        200 => KernelPlan::parse(&String::from_utf8_lossy(&fetched.bytes)),
        403 => Err(String::from(
            "the endpoint does not know the machine by the address that this one asks from; its preference `machineFileAccess` \
             says who gets the files of machines",
        )),
        404 => Err(String::from("the boot environment has no kernel that the network serves")),
        status => Err(format!("`{url}` was answered with status {status}")),
    }
}

/// Returns where a machine's plan is served; `None` when files are not served.
fn file_url(endpoint: &str, port: u16, machine: &str) -> Option<String> {
    let authority = endpoint.split("://").nth(1)?.split('/').next()?;
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        _ => authority,
    };
    (port != 0).then(|| format!("http://{host}:{port}/machines/{machine}/kexec"))
}

/// Writes the address of a network card as boot loaders do, after the number of its kind.
fn card_of(address: &str) -> Option<String> {
    let address = address.trim().to_lowercase().replace(':', "-");
    let is_address =
        address.len() == 17 && address.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    is_address.then(|| format!("01-{address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plan_is_what_the_endpoint_tells() {
        let text =
            "kernel http://e/vmlinuz\ninitrd http://e/a\ninitrd http://e/b\nparams console=ttyS0  quiet\n";
        let plan = KernelPlan::parse(text).unwrap();
        assert_eq!(plan.kernel, "http://e/vmlinuz");
        assert_eq!(plan.initrds, ["http://e/a", "http://e/b"]);
        assert_eq!(plan.params, "console=ttyS0  quiet");
    }

    #[test]
    fn plan_that_is_none_is_refused_with_the_reason() {
        let many = format!("kernel k\n{}", "initrd i\n".repeat(MAX_INITRDS + 1));
        for (text, reason) in [
            ("", "no kernel"),
            ("params quiet", "no kernel"),
            ("<html>", "`<html>`"),
            (&many, "more than 16"),
        ] {
            let error = KernelPlan::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn network_card_is_named_once() {
        let plan = KernelPlan { params: "quiet".into(), ..KernelPlan::default() };
        assert!(!plan.names_card());
        let plan = plan.with_card(&card_of("52:54:00:AB:00:01").unwrap());
        assert_eq!(plan.params, "quiet BOOTIF=01-52-54-00-ab-00-01");
        assert!(plan.names_card());
        for none in ["", "52:54", "init=/bin/sh #####"] {
            assert_eq!(card_of(none), None, "{none}");
        }
    }

    #[test]
    fn plan_is_asked_for_at_the_file_server_of_the_endpoint() {
        for (endpoint, expected) in [
            ("https://10.0.0.1:8092", Some("http://10.0.0.1:8091/machines/m/kexec")),
            ("https://[fd00::1]:8092/", Some("http://[fd00::1]:8091/machines/m/kexec")),
            ("https://[fd00::1]", Some("http://[fd00::1]:8091/machines/m/kexec")),
            ("nonsense", None),
        ] {
            assert_eq!(file_url(endpoint, 8091, "m").as_deref(), expected, "{endpoint}");
        }
        assert_eq!(file_url("https://10.0.0.1:8092", 0, "m"), None);
    }
}
