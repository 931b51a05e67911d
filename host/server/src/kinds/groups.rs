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
        let kind = object.kind();
        let object = Machines.complete(work, object)?;
        let Some(mut group) = Machine::of(object.as_ref()).cloned() else { return Ok(object) };
        make_profile(work, &group, Profile::default())?;
        // The noun in the form of a role: `resource-broker` (drp-behaviour.md 3.14).
        group.header.meta.insert(Machine::ROLE.to_owned(), kind.noun.replace(' ', "-"));
        Ok(group.into_kind(kind))
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
            let mut like = Profile::default();
            if let Some(profile) = own_profile(work, before) {
                like = profile.as_ref().clone();
                like.params = work.params_in_the_clear(profile.as_ref()).into();
                remove(work, profile.as_ref(), request.force)?;
            }
            make_profile(work, after, like)?;
        }
        Ok(stored)
    }

    fn audited(&self, old: &dyn Object, new: &dyn Object) -> Option<(&'static str, &'static str)> {
        Machines.audited(old, new)
    }

    fn delete_with(&self, work: &mut Work<'_>, object: &dyn Object, force: bool) -> Result<(), Stop> {
        Machines.delete_with(work, object, force)?;
        match Machine::of(object).and_then(|group| own_profile(work, group)) {
            Some(profile) => remove(work, profile.as_ref(), force),
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
