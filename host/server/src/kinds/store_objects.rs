//! Store objects: each declares a type of objects (drp-api.md 7A.10, 7.26).

use formwork_api::ApiError;
use formwork_model::{Objects, Record, StoreObject, declaration, declare};
use formwork_store::{Action, Transaction};

use crate::commit::Stop;

/// Makes the kinds of the types that a transaction declares, however the declaration came. Refuses a transaction after which
/// objects would have a type that nobody declares, however the declaration went.
///
/// Those of a plugin provider stay when it goes: its pack is gone already, and they can still be looked at and deleted.
pub(crate) fn follow_declarations(tx: &Transaction) -> Result<(), Stop> {
    let prefix = StoreObject::KIND.prefix;
    for change in tx.changes().iter().filter(|change| change.prefix == prefix) {
        let key = &*change.key;
        if change.action != Action::Deleted || declaration(tx, key).is_some() {
            declare(key).map_err(|error| ApiError::invalid(prefix, key, vec![format!("{key}: {error}")]))?;
            continue;
        }
        let count = tx.count(key);
        if count > 0 {
            let of_them = if count == 1 { String::from("one object") } else { format!("{count} objects") };
            let message = format!("{key} is still in use by {of_them} of the type");
            return Err(ApiError::new(409, "StillInUseError", message).about(prefix, key).into());
        }
    }
    Ok(())
}
