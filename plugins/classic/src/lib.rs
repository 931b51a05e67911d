//! The classic component of the core pack.
