//! Sockets around `formwork-boot-proto`.
//!
//! Three services, each a `bind` that reports what is wrong in words and a `run` that ends when its shutdown future
//! does:
//!
//! - [`DhcpService`]: hands each request to a [`DhcpHandler`] and sends its answer. A slow request delays no other.
//! - [`TftpService`]: reads files from a [`FileSource`], one task and one socket a transfer.
//! - [`RaResponder`]: ends iPXE's wait for a router.
//!
//! And [`HttpFiles`], which answers plain requests for files on connections that others accept.
//!
//! Nothing here decides: every rule of the protocols is in `formwork-boot-proto`.

mod counters;
mod dhcp;
mod error;
mod http;
mod interfaces;
mod ra;
mod socket;
mod tftp;

pub use counters::{DhcpCounters, DhcpCounts, TftpCounters, TftpCounts};
pub use dhcp::{Answer, DhcpConfig, DhcpHandler, DhcpService, Received};
pub use error::BindError;
pub use http::{HttpCounters, HttpCounts, HttpFiles, Progress, Served, StaticFiles};
pub use interfaces::{Interface, InterfaceAddress, InterfaceTable, Interfaces};
pub use ra::RaResponder;
pub use tftp::{FileSource, OpenError, OpenFuture, TftpConfig, TftpService};
