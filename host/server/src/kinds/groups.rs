//! Clusters and resource brokers: they go through tasks as machines do, and each stands for a group, whose profile has its
//! name (drp-api.md 7A.5, 7A.6).

use std::sync::Arc;

use formwork_model::{Machine, Object, ObjectsExt, Profile};

use super::{Behaviour, machines::Machines};
use crate::{
    auth::Caller,
    commands::objects::{Request, remove},
    commit::{Stop, Work},
};

/// The member of the meta of a profile that says which object's group it is of.
const GROUP_OF: &str = "group-of";

/// How clusters and resource brokers behave.
pub(super) struct Groups;

impl Behaviour for Groups {
    fn complete(&self, work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
        let object = Machines.complete(work, object)?;
        if let Some(group) = Machine::of(object.as_ref()) {
            make_profile(work, group, Profile::default())?;
        }
        Ok(object)
    }

    fn change(
        &self,
        work: &mut Work<'_>,
        request: &Request,
        old: &Arc<dyn Object>,
        new: &dyn Object,
    ) -> Result<Arc<dyn Object>, Stop> {
        let stored = Machines.change(work, request, old, new)?;
        if let (Some(before), Some(after)) = (Machine::of(old.as_ref()), Machine::of(stored.as_ref()))
            && before.name != after.name
        {
            let profile = own_profile(work, before);
            if let Some(profile) = &profile {
                remove(work, profile.as_ref(), false)?;
            }
            make_profile(work, after, profile.map(|profile| profile.as_ref().clone()).unwrap_or_default())?;
        }
        Ok(stored)
    }

    fn audited(&self, old: &dyn Object, new: &dyn Object) -> Option<(&'static str, &'static str)> {
        Machines.audited(old, new)
    }

    fn delete_with(&self, work: &mut Work<'_>, object: &dyn Object) -> Result<(), Stop> {
        Machines.delete_with(work, object)?;
        match Machine::of(object).and_then(|group| own_profile(work, group)) {
            Some(profile) => remove(work, profile.as_ref(), false),
            None => Ok(()),
        }
    }

    fn may_delete(&self, work: &Work<'_>, caller: &Caller, object: &dyn Object) -> Result<(), Stop> {
        Machines.may_delete(work, caller, object)
    }
}

/// Makes the profile of a group out of what it was under another name. A profile that somebody else made is taken as it is.
fn make_profile(work: &mut Work<'_>, group: &Machine, like: Profile) -> Result<(), Stop> {
    if group.name.is_empty() || work.tx.get::<Profile>(&group.name).is_some() {
        return Ok(());
    }
    let mut profile = Profile { name: group.name.clone(), ..like };
    profile.header.meta.insert(GROUP_OF.to_owned(), group.uuid.clone());
    work.put(Box::new(profile)).map(drop)
}

/// Returns the profile that was made for a group.
fn own_profile(work: &Work<'_>, group: &Machine) -> Option<Arc<Profile>> {
    let profile = work.tx.get::<Profile>(&group.name)?;
    (profile.header.meta.get(GROUP_OF) == Some(&group.uuid)).then_some(profile)
}
