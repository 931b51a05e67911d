//! The functions that the capabilities stand on: the real host's in a component, those of [`crate::testing`] in a native
//! test. Both have the same names, arguments and errors.

#[cfg(target_arch = "wasm32")]
pub(crate) use crate::bindings::capabilities::formwork::{
    clock::clock, exec::exec, files::files, http::http, kv::kv, log::log, params::params, progress::progress,
    random::random, secrets::secrets,
};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::functions::{
    clock, exec, files, http, kv, log, params, progress, random, secrets,
};
