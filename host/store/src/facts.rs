//! What the indexes hold of one object: worked out before anything is changed, and by any thread.

use formwork_model::{Object, SortKey, index_entries};

/// A value of a sorted member, with the position of the member.
pub(crate) type Value = (usize, SortKey);

/// The prefix and the key of an object that is referred to.
pub(crate) type Needed = (&'static str, String);

/// What is known of an object beside itself. Of no object nothing is known.
#[derive(Default)]
pub(crate) struct Facts {
    /// The values of its sorted members; sorted, each once.
    pub(crate) values: Vec<Value>,
    /// The objects that it refers to; sorted, each once.
    pub(crate) needed: Vec<Needed>,
}

impl Facts {
    pub(crate) fn of(object: &dyn Object) -> Self {
        let references = object.references().into_iter();
        let mut needed: Vec<_> = references.map(|reference| (reference.prefix, reference.key)).collect();
        needed.sort_unstable();
        needed.dedup();
        Self { values: index_entries(object), needed }
    }

    /// Returns the facts of an object and of another that takes its place. What both surely refer to is left out of both.
    pub(crate) fn of_both(before: &dyn Object, after: &dyn Object) -> (Self, Self) {
        if !before.refers_alike(after) {
            return (Self::of(before), Self::of(after));
        }
        let values = |object| Self { values: index_entries(object), needed: Vec::new() };
        (values(before), values(after))
    }
}
