//! Write Formwork components in Rust.
