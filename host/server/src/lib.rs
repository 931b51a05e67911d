//! The daemon: wiring, handlers and the loop that performs effects.
