//! wasmtime: engine, limits, grants and one adapter a WIT track.
