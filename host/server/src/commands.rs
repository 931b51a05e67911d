//! What is particular about writing each type of object; everything else is in [`objects`].

pub(crate) mod contents;
pub(crate) mod jobs;
pub(crate) mod machines;
pub(crate) mod objects;
pub(crate) mod patch;
pub(crate) mod preferences;
pub(crate) mod users;
