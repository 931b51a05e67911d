//! One adapter per compatibility track: the generated types of a world on one side, this crate's own on the other.

pub(crate) mod task_v0_1;
pub(crate) mod workflow_v0_1;
