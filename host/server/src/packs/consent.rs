//! What an operator must agree to before a version comes into use.

use std::collections::BTreeSet;

use formwork_api::ApiError;
use formwork_model::{ComponentRecord, InstalledPack, PackGrant};
use formwork_sandbox::Grants;

/// The word that agrees to all that a version asks for.
pub(crate) const ALL: &str = "all";

/// Returns what components ask for, a grant a line, sorted.
pub(crate) fn asked(components: &[ComponentRecord]) -> Vec<PackGrant> {
    let lines = |record: &ComponentRecord| {
        let component = record.name.clone();
        let grant = move |line: &String| PackGrant { component: component.clone(), line: line.clone() };
        record.grants.iter().map(grant).collect::<Vec<_>>()
    };
    components.iter().flat_map(lines).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Returns what is asked beyond what the same component of the version in use is allowed. What needs no permission,
/// such as the clock, is no part of it.
pub(crate) fn wider(asked: &[PackGrant], in_use: Option<&InstalledPack>) -> Vec<PackGrant> {
    let in_use = in_use.filter(|pack| pack.is_in_use());
    let held = |component: &str| {
        let of_it =
            in_use.into_iter().flat_map(|pack| &pack.granted).filter(|grant| grant.component == component);
        Grants::parse(of_it.map(|grant| &grant.line)).unwrap_or_default()
    };
    // A line that is not understood is refused elsewhere; here it counts as wider.
    let is_wider = |wanted: &&PackGrant| {
        Grants::parse([&wanted.line])
            .map_or(true, |line| !line.difference(&held(&wanted.component)).is_empty())
    };
    asked.iter().filter(is_wider).cloned().collect()
}

/// Refuses a version that asks for more than an operator agreed to.
///
/// # Errors
///
/// 409 `NeedsConsent` with a message a grant, and last what to do.
pub(crate) fn require(name: &str, wider: &[PackGrant], allowed: &[String]) -> Result<(), ApiError> {
    let agreed =
        |grant: &&PackGrant| allowed.iter().any(|line| line == ALL || words(line) == words(&grant.line));
    let open: Vec<&PackGrant> = wider.iter().filter(|grant| !agreed(grant)).collect();
    if open.is_empty() {
        return Ok(());
    }
    let ask = |grant: &&PackGrant| format!("component `{}` asks for `{}`", grant.component, grant.line);
    let mut messages: Vec<String> = open.iter().map(ask).collect();
    messages
        .push(String::from("hint: allow each line with `--grant 'LINE'`, or all of them with `--grant all`"));
    Err(ApiError { messages, ..ApiError::new(409, "NeedsConsent", "") }.about("packs", name))
}

/// Returns the words of a line, so that blanks make no difference.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use formwork_model::PackState;

    use super::*;

    fn grant(component: &str, line: &str) -> PackGrant {
        PackGrant { component: component.into(), line: line.into() }
    }

    fn in_use(granted: &[PackGrant]) -> InstalledPack {
        InstalledPack { state: PackState::Ready, granted: granted.to_vec(), ..InstalledPack::default() }
    }

    #[test]
    fn only_what_no_grant_of_the_same_component_covers_is_wider() {
        let running = in_use(&[grant("one", "params: read inventory/*"), grant("one", "kv: rw")]);
        let asked = [
            grant("one", "params: read inventory/cpu"),
            grant("one", "kv: ro"),
            grant("one", "params: write inventory/cpu"),
            grant("one", "clock"),
            grant("two", "params: read inventory/cpu"),
        ];
        let wider = wider(&asked, Some(&running));
        assert_eq!(
            wider,
            [grant("one", "params: write inventory/cpu"), grant("two", "params: read inventory/cpu")]
        );
    }

    #[test]
    fn without_a_version_in_use_everything_is_wider() {
        let asked = [grant("one", "params: read x"), grant("one", "progress")];
        assert_eq!(wider(&asked, None), [grant("one", "params: read x")]);
        let refused = InstalledPack { state: PackState::Refused, ..in_use(&asked) };
        assert_eq!(wider(&asked, Some(&refused)), [grant("one", "params: read x")]);
    }

    #[test]
    fn consent_is_for_exactly_the_lines_that_were_named() {
        let wider = [grant("one", "params: read x"), grant("one", "params: write y")];
        assert!(require("p1", &wider, &["all".into()]).is_ok());
        assert!(require("p1", &wider, &["params: read  x".into(), "params: write y".into()]).is_ok());
        let error = require("p1", &wider, &["params: read x".into(), "params: write *".into()]).unwrap_err();
        assert_eq!((error.code, error.r#type.as_str()), (409, "NeedsConsent"));
        assert_eq!(error.messages[0], "component `one` asks for `params: write y`");
        assert!(error.messages[1].starts_with("hint:"));
    }
}
