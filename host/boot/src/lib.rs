//! Sockets around `formwork-boot-proto`.
//!
//! Four services, each a `bind` that reports what is wrong in words and a `run` that ends when its shutdown future
//! does:
//!
//! - [`DhcpService`]: hands each request to a [`DhcpHandler`] and sends its answer. A slow request delays no other.
//! - [`Dhcp6Service`]: the same for DHCPv6 and a [`Dhcp6Handler`], on interfaces that may come and go.
//! - [`TftpService`]: reads files from a [`FileSource`], one task and one socket a transfer.
//! - [`RaResponder`]: ends iPXE's wait for a router, and sends hosts to DHCPv6.
//!
//! Nothing here decides: every rule of the protocols is in `formwork-boot-proto`.

mod counters;
mod dhcp;
mod dhcp6;
mod error;
mod links;
mod ra;
mod socket;
mod tftp;

pub use counters::{DhcpCounters, DhcpCounts, TftpCounters, TftpCounts};
pub use dhcp::{Answer, DhcpConfig, DhcpHandler, DhcpService, Received};
pub use dhcp6::{Dhcp6Answer, Dhcp6Config, Dhcp6Handler, Dhcp6Received, Dhcp6Service};
pub use error::BindError;
pub use links::{Interfaces, Link};
pub use ra::RaResponder;
pub use tftp::{FileSource, OpenError, OpenFuture, TftpConfig, TftpService};
