//! The commands, a file each.

pub(crate) mod agent;
pub(crate) mod contents;
pub(crate) mod events;
pub(crate) mod firmware;
pub(crate) mod info;
mod input;
pub(crate) mod jobs;
pub(crate) mod machines;
pub(crate) mod objects;
pub(crate) mod prefs;
pub(crate) mod serve;
pub(crate) mod users;
