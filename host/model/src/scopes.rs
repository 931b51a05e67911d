//! The words of claims: scopes and what may be done in each (drp-api.md 2.4), and which types of objects there are.

use crate::{Claim, Objects, built_in, dynamic::declaration};

/// What may be done to objects of every type.
const BASE: &[&str] = &["list", "get", "create", "delete", "actions", "update", "action"];

/// What may be done as well to objects that bear params.
const SECURE: &[&str] = &["getSecure", "updateSecure"];

/// The scopes that are no types of objects, or are not used like one, with what may be done there.
const OTHERS: &[(&str, &[&str])] = &[
    ("boot", &["list", "get"]),
    ("contents", &["list", "get", "create", "update", "delete"]),
    ("files", &["list", "get", "post", "delete"]),
    ("info", &["get"]),
    ("isos", &["list", "get", "post", "delete"]),
    ("objects", &["list"]),
    ("preferences", &["list", "post"]),
    ("system", &["upgrade", "replicate", "active", "passive", "actions", "action"]),
];

/// Scopes whose actions the reference does not tell: any word is accepted.
const OPEN: &[&str] = &[
    "*",
    "connections",
    "content_archives",
    "events",
    "indexes",
    "interfaces",
    "logs",
    "meta",
    "packs",
    "publishers",
    "zones-import",
    "zones-info",
];

/// First parts of paths that are no scopes, and what lists of types have beside types.
const PATHS: &[&str] = &[
    "components",
    "dead_letters",
    "debug",
    "drp_debug",
    "kk",
    "openapi.json",
    "pools-active",
    "prefs",
    "static",
    "webhook",
    "whoami",
    "whocan",
    "ws",
];

/// Returns what a claim may allow in a scope; `None` for scopes that are not known or take any word.
///
/// Types that plugin providers and store objects declare have the same as [`bearer_actions`].
#[must_use]
pub fn actions_of(scope: &str) -> Option<Vec<&'static str>> {
    if let Some((_, actions)) = OTHERS.iter().find(|(name, _)| *name == scope) {
        return Some(actions.to_vec());
    }
    let kind = built_in(scope).filter(|kind| !kind.is_internal() && !OPEN.contains(&kind.prefix))?;
    let secure = if kind.bears_params { SECURE } else { &[] };
    Some([BASE, secure, kind.more_actions].concat())
}

/// Returns what a claim may allow for a type that bears params and has nothing else.
#[must_use]
pub fn bearer_actions() -> Vec<&'static str> {
    [BASE, SECURE].concat()
}

/// Tells whether a word names a type of objects: one of ours, or one that somebody declared (drp-api.md 7.26).
pub(crate) fn is_type(objects: &dyn Objects, prefix: &str) -> bool {
    built_in(prefix).is_some() || declaration(objects, prefix).is_some()
}

/// Tells whether a word stands in the paths of the API already.
pub(crate) fn is_taken(word: &str) -> bool {
    let other = OTHERS.iter().any(|(name, _)| *name == word);
    built_in(word).is_some() || other || OPEN.contains(&word) || PATHS.contains(&word)
}

/// Returns what is wrong with the words of a claim; one of three empty words grants nothing and is right.
pub(crate) fn claim_problems(objects: &dyn Objects, key: &str, claim: &Claim) -> Vec<String> {
    if *claim == Claim::default() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut known = Vec::new();
    let mut any = false;
    for scope in claim.scope.split(',').map(str::trim) {
        if let Some(actions) = actions_of(scope) {
            known.extend(actions);
        } else if OPEN.contains(&scope) {
            any = true;
        } else if is_type(objects, scope) {
            known.extend(bearer_actions());
        } else {
            found.push(format!("{key}: No such scope '{scope}'"));
            // What can be done there nobody knows.
            any = true;
        }
    }
    for action in claim.action.split(',').map(str::trim) {
        let (verb, refinement) = action.split_once(':').unwrap_or((action, ""));
        let refined = refinement.is_empty() || matches!(verb, "update" | "action");
        if action.is_empty() || !refined || !(any || verb == "*" || known.contains(&verb)) {
            found.push(format!("{key}: No such action '{action}'"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{StoreObject, object::Few};

    fn problems(scope: &str, action: &str) -> Vec<String> {
        let lamps = StoreObject { name: "lamps".into(), ..StoreObject::default() };
        claim_problems(&Few(vec![std::sync::Arc::new(lamps)]), "r1", &Claim::new(scope, action, "*"))
    }

    #[test]
    fn claim_names_scopes_and_actions_that_there_are() {
        for (scope, action) in [
            ("*", "*"),
            ("*", "anything"),
            ("machines, jobs", "get, log, update:/Params/a, action:power"),
            ("lamps", "getSecure"),
            ("users", "password"),
            ("packs", "install"),
            ("machines", "update:"),
        ] {
            assert_eq!(problems(scope, action), Vec::<String>::new(), "{scope} {action}");
        }
        assert_eq!(problems("cakes", "*"), ["r1: No such scope 'cakes'"]);
        assert_eq!(problems("machines", "eat"), ["r1: No such action 'eat'"]);
        assert_eq!(problems("machines", "get:x"), ["r1: No such action 'get:x'"]);
        assert_eq!(problems("machines", "get,,list"), ["r1: No such action ''"]);
        assert_eq!(problems("info", "list"), ["r1: No such action 'list'"]);
        assert!(claim_problems(&Few(Vec::new()), "r1", &Claim::default()).is_empty());
    }

    #[test]
    fn only_types_that_bear_params_have_secure_ones() {
        assert!(actions_of("work_orders").unwrap().contains(&"getSecure"));
        assert!(!actions_of("jobs").unwrap().contains(&"getSecure"));
        assert!(actions_of("machines").unwrap().contains(&"whoami"));
        assert!(actions_of("plugin_cursors").is_none() && actions_of("packs").is_none());
    }
}
