//! What is remembered of a plugin's events: how far they are delivered, and what its object says is wrong.

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_model::{Objects, ObjectsExt, Plugin, PluginCursor};
use formwork_store::Transaction;

use super::letters;
use crate::{
    commit::{Stop, Work, commit},
    endpoint::Endpoint,
};

/// Changes what is remembered of a plugin, and what its object says is wrong, in one transaction. Does nothing when the
/// plugin is gone.
pub(super) async fn update(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    plugin: &str,
    change: impl Fn(&mut Work<'_>, &mut PluginCursor) -> Result<(), Stop> + Clone + Send + Sync + 'static,
) -> Result<(), ApiError> {
    let name = plugin.to_owned();
    commit(endpoint, principal, move |work| {
        if work.tx.find("plugins", &name).is_none() {
            return Ok(());
        }
        let before = work.tx.get::<PluginCursor>(&name);
        let mut cursor = before.as_deref().cloned().unwrap_or_default();
        cursor.name.clone_from(&name);
        change(work, &mut cursor)?;
        say(work, &cursor)?;
        if before.is_none_or(|before| *before != cursor) {
            work.tx.put(Arc::new(cursor));
        }
        Ok(())
    })
    .await
}

/// Writes what is wrong into the plugin's object.
fn say(work: &mut Work<'_>, cursor: &PluginCursor) -> Result<(), Stop> {
    let errors = errors(cursor);
    let Some(plugin) = work.tx.get::<Plugin>(&cursor.name) else { return Ok(()) };
    if plugin.plugin_errors != errors {
        let changed = Plugin { plugin_errors: errors, ..plugin.as_ref().clone() };
        work.put_unchecked(Box::new(changed))?;
    }
    Ok(())
}

/// Returns what a plugin's object says is wrong: the present trouble, what is in the dead-letter list, what is lost.
fn errors(cursor: &PluginCursor) -> Vec<String> {
    let mut found = Vec::new();
    if !cursor.trouble.is_empty() {
        found.push(cursor.trouble.clone());
    }
    if cursor.kept > 0 {
        let dropped = match cursor.dropped {
            0 => String::new(),
            dropped => format!("; {dropped} older ones were dropped"),
        };
        found.push(format!("entries in the dead-letter list: {}{dropped}", cursor.kept));
    }
    if !cursor.lost.is_empty() {
        found.push(cursor.lost.clone());
    }
    found
}

/// Forgets all that is remembered of a plugin that is deleted.
pub(crate) fn forget(tx: &mut Transaction, plugin: &str) {
    tx.delete("plugin_cursors", plugin);
    for letter in letters::of(tx, plugin) {
        tx.delete("dead_letters", &letter.id);
    }
}

/// Forgets what is remembered of plugins that are gone without having been deleted one by one, as with a bundle.
pub(super) fn sweep(tx: &mut Transaction) {
    let mut gone = Vec::new();
    tx.visit("plugin_cursors", &mut |object| {
        gone.push(object.key());
        true
    });
    for name in gone {
        if tx.find("plugins", &name).is_none() {
            forget(tx, &name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_tell_trouble_then_letters_then_what_is_lost() {
        assert!(errors(&PluginCursor::default()).is_empty());
        let cursor = PluginCursor {
            trouble: "no answer".into(),
            kept: 2,
            dropped: 3,
            lost: "events are lost".into(),
            ..PluginCursor::default()
        };
        assert_eq!(
            errors(&cursor),
            ["no answer", "entries in the dead-letter list: 2; 3 older ones were dropped", "events are lost"]
        );
    }
}
