//! The inventory component of the core pack.
