//! Clusters (drp-api.md 7A.5).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Kind, Machine,
    machine::{kind, machine_like},
};

/// A group that goes through tasks as a machine does, in a context. Its member machines carry the profile of its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cluster(
    /// The members, which are those of a machine.
    pub Machine,
);

pub(crate) static KIND: Kind = kind::<Cluster>("clusters", "cluster");

machine_like!(Cluster, KIND);
