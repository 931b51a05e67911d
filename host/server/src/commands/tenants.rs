//! Tenants: what their users make is theirs (drp-behaviour.md 8.3).

use formwork_model::{Object, ObjectsExt, Tenant};

use crate::{
    auth::Caller,
    commit::{Stop, Work},
};

/// Removes an object that is gone from all tenants: another one that gets its key later is not theirs.
pub(super) fn forget(work: &mut Work<'_>, prefix: &str, key: &str) -> Result<(), Stop> {
    for tenant in work.tx.list::<Tenant>() {
        let has = tenant.members.get(prefix).is_some_and(|keys| keys.iter().any(|own| own == key));
        if has && !tenant.header.read_only {
            let mut tenant = tenant.as_ref().clone();
            if let Some(keys) = tenant.members.get_mut(prefix) {
                keys.retain(|own| own != key);
            }
            work.put_unchecked(Box::new(tenant))?;
        }
    }
    Ok(())
}

/// Adds a new object to the tenant of the caller who made it, where his tenant decides which objects of the type he sees.
pub(super) fn adopt(work: &mut Work<'_>, caller: &Caller, object: &dyn Object) -> Result<(), Stop> {
    let (prefix, key) = (object.kind().prefix, object.key());
    let Some((name, _)) = caller.rights.restriction(prefix) else { return Ok(()) };
    let Some(tenant) = work.tx.get::<Tenant>(name).filter(|tenant| !tenant.header.read_only) else {
        return Ok(());
    };
    let mut tenant = tenant.as_ref().clone();
    if let Some(keys) = tenant.members.get_mut(prefix).filter(|keys| !keys.contains(&key)) {
        keys.push(key);
        work.put(Box::new(tenant))?;
    }
    Ok(())
}
