//! What can be asked of the endpoint. Objects of every type are written by [`objects`]; what is particular about each type
//! is in [`crate::kinds`].

pub(crate) mod batches;
mod change;
pub(crate) mod claims;
pub(crate) mod contents;
pub(crate) mod jobs;
pub(crate) mod machines;
pub(crate) mod objects;
pub(crate) mod patch;
pub(crate) mod pools;
pub(crate) mod preferences;
pub(crate) mod providers;
pub(crate) mod subnets;
mod tenants;
pub(crate) mod triggers;
pub(crate) mod users;
pub(crate) mod work_orders;
