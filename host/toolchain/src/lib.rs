//! Finds a way to build guests for wasm32-unknown-unknown and encodes them as components.
