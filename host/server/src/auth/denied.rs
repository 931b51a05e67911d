//! Why somebody is refused, in words: what is missing, and what the nearest of his roles has instead.

use std::fmt::Write;

use formwork_model::Claim;

use super::rights::{Grant, Rights, Wanted};

/// How many claims a sentence names.
const NAMED: usize = 5;

/// Returns what somebody lacks for what he wants, with the grant that is nearest to it: `user:x lacks machines
/// update:/Locked u; role `ops` has machines update:/Params *`.
pub(super) fn words(principal: &str, rights: &Rights, wanted: &[Wanted<'_>]) -> String {
    let scope = wanted.first().map_or("", |wanted| wanted.scope);
    let missing = |grant: &Grant| wanted.iter().filter(|wanted| !grant.allows(wanted)).count();
    let near = |grant: &&Grant| (missing(grant), !grant.claims().iter().any(|claim| concerns(claim, scope)));
    let nearest = rights.grants.iter().min_by_key(near);
    let lacked = wanted.iter().filter(|wanted| nearest.is_none_or(|grant| !grant.allows(wanted)));
    let lacked: Vec<String> = lacked.map(shown).collect();
    let mut text = format!("{principal} lacks {}; ", list(&lacked));
    let Some(grant) = nearest else {
        text.push_str("no role gives any right");
        return text;
    };
    let near: Vec<String> =
        grant.claims().iter().filter(|claim| concerns(claim, scope)).map(claim_shown).collect();
    // Writing to a string does not fail.
    let _ = match near.is_empty() {
        true => write!(text, "{} has nothing for {scope}", grant.name()),
        false => write!(text, "{} has {}", grant.name(), list(&near)),
    };
    text
}

fn concerns(claim: &Claim, scope: &str) -> bool {
    claim.scope.split(',').any(|own| own.trim() == scope || own.trim() == "*")
}

fn shown(wanted: &Wanted<'_>) -> String {
    let specific = if wanted.specific.is_empty() { "*" } else { wanted.specific };
    format!("{} {} {specific}", wanted.scope, wanted.action)
}

/// Long lists of keys are cut.
fn claim_shown(claim: &Claim) -> String {
    let keys: Vec<&str> = claim.specific.split(',').map(str::trim).collect();
    let specific = match keys.get(..NAMED) {
        Some(first) if keys.len() > NAMED => format!("{} and {} more", first.join(","), keys.len() - NAMED),
        _ => keys.join(","),
    };
    format!("{} {} {specific}", claim.scope, claim.action).trim_end().to_owned()
}

fn list(items: &[String]) -> String {
    match items.get(..NAMED) {
        Some(first) if items.len() > NAMED => {
            format!("{} and {} more", first.join(", "), items.len() - NAMED)
        }
        _ => items.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use std::{borrow::Cow, sync::Arc};

    use formwork_model::Role;

    use super::*;

    fn rights(roles: &[(&str, &[Claim])]) -> Rights {
        let role = |(name, claims): &(&str, &[Claim])| {
            let role = Role { name: (*name).into(), claims: claims.to_vec(), ..Role::default() };
            Grant::Role(Arc::new(role))
        };
        Rights { grants: roles.iter().map(role).collect(), ..Rights::default() }
    }

    fn update<'a>(path: &'a str, specific: &'a str) -> Wanted<'a> {
        Wanted { scope: "machines", action: Cow::Borrowed(path), specific }
    }

    #[test]
    fn claims_of_two_roles_do_not_add_up() {
        let (params, meta) =
            (Claim::new("machines", "update:/Params", "*"), Claim::new("machines", "update:/Meta", "u"));
        let two = rights(&[("a", std::slice::from_ref(&params)), ("b", std::slice::from_ref(&meta))]);
        let both = [update("update:/Params/x", "u"), update("update:/Meta", "u")];
        assert!(!two.allow(&both) && two.allow(&both[..1]) && two.allow(&both[1..]) && two.allow(&[]));
        assert!(rights(&[("c", &[params, meta])]).allow(&both));
    }

    #[test]
    fn denial_names_the_nearest_role_and_the_missing_claim() {
        let rights = rights(&[
            ("jobs", &[Claim::new("jobs", "*", "*")]),
            ("ops", &[Claim::new("machines", "update:/Params,get", "a,b,c,d,e,f,u")]),
            ("far", &[Claim::new("machines", "get", "*")]),
        ]);
        let wanted = [update("update:/Params/x", "u"), update("update:/Locked", "u")];
        assert_eq!(
            words("user:x", &rights, &wanted),
            "user:x lacks machines update:/Locked u; role `ops` has machines update:/Params,get a,b,c,d,e and 2 more"
        );
        let all = [Wanted { scope: "roles", action: Cow::Borrowed("list"), specific: "" }];
        assert_eq!(
            words("user:x", &rights, &all),
            "user:x lacks roles list *; role `jobs` has nothing for roles"
        );
        assert_eq!(
            words("user:x", &Rights::default(), &all),
            "user:x lacks roles list *; no role gives any right"
        );
    }
}
