//! DHCP, DHCPv6, TFTP and files over HTTP: packet in, reply out; and what became of a boot.
//!
//! Everything in this crate is a function of its arguments: no sockets, no files, no clock, no random numbers. The
//! `formwork-boot` crate owns the sockets; the server owns the lease table, the files and the clock.
//!
//! - [`dhcp`]: a tolerant parser and encoder for DHCPv4, and [`dhcp::server`], which decides what to answer.
//! - [`dhcp6`]: the same for DHCPv6, where no lease table is needed.
//! - [`boot`]: which loader or script a client's firmware is told to fetch.
//! - [`tftp`]: a state machine for one read transfer.
//! - [`http`]: what a request for a file asks, and what of the file answers it.
//! - [`ra`]: the IPv6 message that saves iPXE 16 seconds of every boot and sends hosts to DHCPv6.
//! - [`story`]: how the boot of one machine went, told from what was seen of it; [`pcap`] sees it in a capture file.
//!
//! All times are milliseconds on a clock of the caller's choice, as long as it is always the same one. Whatever comes
//! from the network is hostile until parsed: a parser here returns an error, it never panics.

pub mod boot;
pub mod dhcp;
pub mod dhcp6;
pub mod http;
pub mod pcap;
pub mod ra;
pub mod story;
pub mod tftp;

mod bytes;
