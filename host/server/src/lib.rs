//! The daemon: it wires the crates of the house together and performs the effects that they decide on.
//!
//! | module | holds |
//! |---|---|
//! | `options`, `start` | flags, the first start, the order in which things come up and go down |
//! | `endpoint`, `clock` | what all handlers share: store, sandbox, keys, files, the time |
//! | `commit` | the one way in which anything is written |
//! | `commands` | what can be asked: objects of every type, contents, preferences, passwords, jobs for agents |
//! | `kinds` | what is particular about writing objects of each type |
//! | `content`, `packs` | what is installed, and how it comes into use |
//! | `accept`, `connections` | sockets of HTTP, who has a connection, and who is connected to the API |
//! | `auth` | users, tokens and claims |
//! | `secure` | params that are sealed at rest |
//! | `hub`, `log_ring`, `log_levels` | what listeners are told; the last lines of the log, and what is logged |
//! | `interfaces` | the network of the host |
//! | `http` | routes: parse, call, map; nothing is decided there |
//! | `render` | the root object of templates and the files that machines are served |
//! | `files`, `blobs`, `trees`, `download` | the file root, uploads, trees made from archives, files as answers |
//! | `boot` | DHCP, TFTP and the file server |
//! | `plugins` | plugin components: their actions, and the events that they get |
//! | `simulation` | an endpoint without a network, with invented time and surroundings |
//! | `housekeeping`, `runner` | what the saved state still owes: retries, availability, jobs of the `host` context |

mod accept;
mod auth;
mod blobs;
mod boot;
mod certificate;
mod clock;
mod commands;
mod commit;
mod connections;
mod content;
mod download;
mod endpoint;
mod files;
mod housekeeping;
mod http;
mod hub;
mod interfaces;
mod kinds;
mod log_levels;
mod log_ring;
mod logs;
mod metrics;
mod options;
mod packs;
mod plugins;
mod random;
mod render;
mod runner;
mod search;
mod secure;
mod simulation;
mod start;
#[cfg(test)]
mod testing;
mod trees;
mod zone_file;

/// The version that an endpoint says it is: the generation of the API that it speaks, and its own version.
pub const VERSION: &str = concat!("v4.17.0-formwork+", env!("CARGO_PKG_VERSION"));

pub use boot::BootError;
pub use certificate::TlsRules;
pub use content::GivenContentError;
pub use log_levels::LogLevels;
pub use log_ring::LogRing;
pub use options::{DhcpSubnet, Port, ServeOptions};
pub use plugins::Happening;
pub use runner::Groups;
pub use simulation::{Ending, Script, Simulation, Step, Surroundings};
pub use start::{FirstUser, OwnMachine, ServeError, Started, raise_file_limit, serve};
