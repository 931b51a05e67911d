//! Sockets around `formwork-boot-proto`.
//!
//! Three services, each a `bind` that reports what is wrong in words and a `run` that ends when its shutdown future
//! does:
//!
//! - [`DhcpService`]: hands each request to a [`DhcpHandler`] and sends its answer. A slow request delays no other.
//! - [`TftpService`]: reads files from a [`FileSource`]; one socket a transfer, carried by a few threads of its own.
//! - [`RaResponder`]: ends iPXE's wait for a router.
//!
//! Nothing here decides: every rule of the protocols is in `formwork-boot-proto`.

mod counters;
mod dhcp;
mod error;
mod ra;
mod socket;
mod tftp;

pub use counters::{DhcpCounters, DhcpCounts, TftpCounters, TftpCounts};
pub use dhcp::{Answer, DhcpConfig, DhcpHandler, DhcpService, Received};
pub use error::BindError;
pub use ra::RaResponder;
pub use tftp::{FileContent, FileSource, OpenError, OpenFuture, TftpConfig, TftpService};
