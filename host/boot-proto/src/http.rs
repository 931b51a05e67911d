//! Files over HTTP (RFC 9110, RFC 9112): what is asked, what of the file answers it, and by which head.
//!
//! | module | holds |
//! |---|---|
//! | `head` | a plain request for a file, or that it is something else; the head of the answer |
//! | `conditions` | which part of a file is sent, and whether any is |
//! | `range` | the header `Range` |
//! | `version` | by what a client knows whether its copy is still right |
//! | `kind` | content types by the ends of names |

mod conditions;
mod head;
mod kind;
mod range;
mod version;

pub use conditions::{Conditions, Selection};
pub use head::{Ask, MAX_HEAD_BYTES, Parsed, answer_head, parse};
pub use kind::content_type;
pub use range::{Selected, select};
pub use version::Version;
