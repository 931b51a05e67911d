//! The decision what to answer to a DHCPv6 message, as a pure function.
//!
//! [`decide`] reads the network, the reservations and the message, and returns a [`Verdict`]: the reply, which addresses
//! it gives, and the reason in words.
//!
//! There is no lease table. An address is the network's 64 bits and 64 bits of a hash of the network card that asks
//! (or of the client's identifier, where its card is not known), so firmware, loader and operating system of a machine
//! get the same one, a restart forgets nothing, and nothing can be given to two clients. What a client may name and
//! keep is what the hash can yield for it. Only declined addresses are remembered, by [`Declined`].
//!
//! How to use it: keep a [`Network`] for each link with DHCPv6, one [`Duid`](super::Duid) that never changes for the
//! server, and a [`Declined`]. For each packet choose the network by [`Packet::link`](super::Packet::link) or, for a
//! client on the own link, by the receiving interface; call [`decide`]; put [`Verdict::declined`] into the
//! [`Declined`]; note [`Verdict::given`] for the machine of [`Verdict::client`]; send the [`Reply`].

mod address;
mod compose;
mod config;
mod decide;
mod declined;
mod rules;
mod verdict;

pub use address::addresses_of_card;
pub use config::{Assignment, BootUrl, BootUrls, Network, Prefix, PrefixError, Reservations};
pub use decide::{Context, decide};
pub use declined::Declined;
pub use verdict::{Arrival, Client, Reason, Reply, Verdict};

#[cfg(test)]
mod tests;
