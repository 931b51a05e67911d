//! Runs the jobs of a machine.
