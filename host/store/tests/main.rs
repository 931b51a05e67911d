//! The store through its public interface, on real files.
//!
//! The modules are marked as tests so that the lints know that helpers may panic too.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod feed;
#[cfg(test)]
mod files;
#[cfg(test)]
mod indexes;
#[cfg(test)]
mod model;
#[cfg(test)]
mod support;
#[cfg(test)]
mod transactions;
