//! Sockets around `formwork-boot-proto`.
//!
//! Four services, each a `bind` that reports what is wrong in words and a `run` that ends when its shutdown future
//! does:
//!
//! - [`DhcpService`]: hands each request to a [`DhcpHandler`] and sends its answer. A slow request delays no other.
//! - [`Dhcp6Service`]: the same for DHCPv6 and a [`Dhcp6Handler`], on interfaces that may come and go.
//! - [`TftpService`]: reads files from a [`FileSource`]; one socket a transfer, carried by a few threads of its own.
//! - [`RaResponder`]: ends iPXE's wait for a router, and sends hosts to DHCPv6.
//!
//! Beside them, what DHCP needs of the network: the host's own [`Interfaces`], and over raw sockets ([`LinkLayer`]) a
//! [`FrameSender`] for clients without an address, a [`NetworkProber`] for addresses in use and a [`ReplyWatch`] for
//! other servers.
//! And [`HttpFiles`], which answers plain requests for files on connections that others accept.
//!
//! Nothing here decides: every rule of the protocols is in `formwork-boot-proto`.

mod counters;
mod dhcp;
mod dhcp6;
mod error;
mod http;
mod interfaces;
mod link_layer;
mod membership;
mod probe;
mod ra;
mod raw;
mod socket;
mod tftp;

pub use counters::{DhcpCounters, DhcpCounts, TftpCounters, TftpCounts};
pub use dhcp::{Answer, DhcpConfig, DhcpHandler, DhcpService, Received};
pub use dhcp6::{Dhcp6Answer, Dhcp6Config, Dhcp6Handler, Dhcp6Received, Dhcp6Service};
pub use error::BindError;
pub use http::{HttpCounters, HttpCounts, HttpFiles, Progress, Served, StaticFiles};
pub use interfaces::{Interface, InterfaceAddress, InterfaceTable, Interfaces};
pub use link_layer::LinkLayer;
pub use membership::ServedLinks;
pub use probe::{
    FakeProber, NetworkProber, ProbeConfig, ProbeFailure, ProbeFuture, Probed, Prober, Reach, Stock,
};
pub use ra::RaResponder;
pub use raw::{ForeignReply, FrameSender, ReplyWatch, WatchCounters, WatchCounts};
pub use tftp::{FileContent, FileSource, OpenError, OpenFuture, TftpConfig, TftpService, TransferEnd};
