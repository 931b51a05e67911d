//! What can be asked of the endpoint. Objects of every type are written by [`objects`]; what is particular about each type
//! is in [`crate::kinds`].

mod claims;
pub(crate) mod contents;
pub(crate) mod jobs;
pub(crate) mod machines;
pub(crate) mod objects;
pub(crate) mod patch;
pub(crate) mod preferences;
mod tenants;
pub(crate) mod users;
