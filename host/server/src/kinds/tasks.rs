//! Tasks: whoever writes one gives the rights in it to all machines that run it.

use formwork_core::jobs;
use formwork_model::{Claim, Object, Objects, Task};

use super::Behaviour;

/// How tasks behave.
pub(super) struct Tasks;

impl Behaviour for Tasks {
    fn given(&self, objects: &dyn Objects, old: Option<&dyn Object>, new: &dyn Object) -> Vec<Claim> {
        let claims = |task: &dyn Object| {
            task.as_any().downcast_ref::<Task>().map(|task| jobs::extra_claims(objects, task))
        };
        let before = old.and_then(claims).unwrap_or_default();
        let mut given = claims(new).unwrap_or_default();
        given.retain(|claim| !before.contains(claim));
        given
    }
}
