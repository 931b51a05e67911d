//! The subnet that the flags ask for.

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_model::{DhcpOption, Object, ObjectsExt, Subnet};

use crate::{DhcpSubnet, commit::commit, endpoint::Endpoint};

/// Who makes it.
const PRINCIPAL: &str = "system";

/// The option with the routers.
const ROUTER: u8 = 3;

/// Makes the subnet of the flags, unless one is in its network already: an operator may have changed it since. That of
/// the loopback is no object, since the API knows no addresses there; see [`of_loopback`].
///
/// # Errors
///
/// The flags describe no subnet, or the store fails.
pub(crate) async fn provide(endpoint: &Arc<Endpoint>) -> Result<(), ApiError> {
    let asked = endpoint.options.dhcp_subnet.as_ref().filter(|asked| !asked.address.is_loopback());
    let Some(asked) = asked.map(object) else { return Ok(()) };
    commit(endpoint, PRINCIPAL, move |work| {
        if work.tx.find_by::<Subnet>(|other| overlaps(other, &asked)).is_none() {
            work.put(Box::new(asked.clone()))?;
        }
        Ok(())
    })
    .await
}

/// Returns the subnet of the flags where that is on the loopback, on which simulated machines are.
pub(super) fn of_loopback(endpoint: &Endpoint) -> Option<Subnet> {
    endpoint.options.dhcp_subnet.as_ref().filter(|asked| asked.address.is_loopback()).map(object)
}

fn object(asked: &DhcpSubnet) -> Subnet {
    let (network, prefix) = (asked.address, asked.prefix);
    let router = asked.router.map(|router| DhcpOption { code: ROUTER, value: router.to_string() });
    let mut made = Subnet {
        name: format!("dhcp-{}-{prefix}", network & mask(prefix)),
        description: String::from("Made of the flags of the first start"),
        subnet: format!("{network}/{prefix}"),
        enabled: true,
        active_start: asked.first.to_string(),
        active_end: asked.last.to_string(),
        active_lease_time: i64::from(asked.lease_seconds),
        options: router.into_iter().collect(),
        ..Subnet::default()
    };
    made.normalise();
    made.add_options();
    made
}

fn mask(prefix: u8) -> std::net::Ipv4Addr {
    let host_bits = 32_u32.saturating_sub(u32::from(prefix));
    std::net::Ipv4Addr::from_bits(u32::MAX.checked_shl(host_bits).unwrap_or(0))
}

fn overlaps(one: &Subnet, other: &Subnet) -> bool {
    let spans = one.span().zip(other.span());
    spans.is_some_and(|(one, other)| one.0 <= other.1 && other.0 <= one.1)
}
