//! End to end: the real program on loopback, with the real client, firmware packets and agent.
//!
//! Few cases, to prove the wiring; rules are tested beside the code that holds them. Nothing here waits for luck:
//! a test waits for an event, for a line of output, or for a process to end; for what no event tells it looks again.

#![cfg(test)]

mod api;
mod boot;
mod boot_content;
mod command_line;
mod contents;
mod dhcp;
mod dhcp6;
mod durability;
mod endpoint;
mod events;
mod files;
mod fleet;
mod guide;
mod hostile;
mod job_tokens;
mod jobs;
mod pack;
mod packs;
mod pipelines;
mod plugins;
mod rights;
mod secure;
mod system;
mod types;
mod work_orders;
mod workflow_orders;
mod workflows;
