//! Resource brokers (drp-api.md 7A.6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Kind, Machine,
    machine::{kind, machine_like},
};

/// Something that hands out machines. It goes through tasks as a machine does, in a context.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceBroker(
    /// The members, which are those of a machine.
    pub Machine,
);

pub(crate) static KIND: Kind = kind::<ResourceBroker>("resource_brokers", "resource broker");

machine_like!(ResourceBroker, KIND);
