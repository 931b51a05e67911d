//! The greet component of the core pack.
