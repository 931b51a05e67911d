//! Alerts: one that is raised again while nobody has seen it only counts, and who has seen it is noted (drp-behaviour.md 10.2).

use std::sync::Arc;

use formwork_model::{Alert, Object, Objects, Record, SortKey, Span};

use super::{Behaviour, pair};
use crate::{
    commands::objects::Request,
    commit::{Stop, Work},
};

/// How alerts behave.
pub(super) struct Alerts;

impl Behaviour for Alerts {
    fn complete(&self, work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
        let Some(raised) = object.as_any().downcast_ref::<Alert>() else { return Ok(object) };
        let mut alert = raised.clone();
        alert.time = work.now;
        alert.count = alert.count.max(1);
        work.tx.principal().clone_into(&mut alert.principal);
        Ok(Box::new(alert))
    }

    fn instead(&self, work: &Work<'_>, object: &dyn Object) -> Option<Box<dyn Object>> {
        let raised = object.as_any().downcast_ref::<Alert>()?;
        let name = SortKey::of("Name", &raised.name.clone().into());
        let mut found = None;
        work.tx.range(&Span::equal(Alert::KIND.prefix, "Name", name), &mut |other| {
            found = other.as_any().downcast_ref::<Alert>().filter(|other| !other.acknowledged).cloned();
            found.is_none()
        });
        let again = found?;
        Some(Box::new(Alert {
            uuid: again.uuid.clone(),
            count: again.count.saturating_add(1),
            header: again.header.clone(),
            ..raised.clone()
        }))
    }

    fn change(
        &self,
        work: &mut Work<'_>,
        _request: &Request,
        old: &Arc<dyn Object>,
        new: &dyn Object,
    ) -> Result<Arc<dyn Object>, Stop> {
        let Some((before, wanted)) = pair::<Alert>(old.as_ref(), new) else { return work.put(new.boxed()) };
        let mut alert = wanted.clone();
        if wanted.acknowledged && !before.acknowledged {
            alert.acknowledge_time = work.now;
            let principal = work.tx.principal();
            principal.strip_prefix("user:").unwrap_or(principal).clone_into(&mut alert.acknowledge_user);
        }
        work.put(Box::new(alert))
    }
}
