//! Requests and answers of the API, its error object and its query language, without any IO.
//!
//! The contract is drp-api.md; each item names the section that it follows.

mod boot;
mod error;
mod event;
mod info;
mod interface;
mod line;
mod query;
mod token;
mod whoami;

pub use boot::{BootExplanation, BootSeen};
pub use error::ApiError;
pub use event::{Event, EventFilter, FilterError};
pub use info::{ClusterState, Info, LicenseBundle, Stat};
pub use interface::Interface;
pub use line::Line;
pub use query::{
    Bounds, Condition, Filter, Group, Index, IndexInfo, ListQuery, Operand, Operator, Projection, QueryError,
    Resolved, Shape, Subject, group,
};
pub use token::{SignedUrl, UserPassword, UserToken};
pub use whoami::{Whoami, WhoamiResult};

/// The path that all routes of the API begin with.
pub const BASE_PATH: &str = "/api/v3";

/// The header that holds the number of objects in a page (drp-api.md 1.4).
pub const LIST_COUNT: &str = "X-DRP-LIST-COUNT";

/// The header that holds the number of objects that matched before offset and limit.
pub const LIST_FILTER_COUNT: &str = "X-DRP-LIST-FILTER-COUNT";

/// The header that holds the number of objects of the type before filtering.
pub const LIST_TOTAL_COUNT: &str = "X-DRP-LIST-TOTAL-COUNT";
