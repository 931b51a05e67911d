//! Networks inside this machine, and the endpoint, its clients and its peers in them.
//!
//! A [`Namespace`] is a host of such a network: its links, its addresses, its own port 67. A [`Daemon`] runs in one, and an
//! [`Endpoint`] is a daemon that is the product. All of them end what they are when they are dropped; what a killed program left
//! is removed by [`sweep`]. Needs root and `ip` (iproute2).

mod daemon;
mod endpoint;
mod namespace;
mod wait;

pub use daemon::Daemon;
pub use endpoint::Endpoint;
pub use namespace::{Namespace, sweep};
pub use wait::{output, until};
