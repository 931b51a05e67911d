//! Roles and claims (drp-api.md 2.4, 7.16).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Header, Kind, NameGrammar, Objects, actions_of, name_problem, object::object, scopes::claim_problems,
};

/// A right: what may be done to which objects of which type. Each member is `*`, a word or a comma list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Claim {
    /// The type of object.
    pub scope: String,
    /// What may be done: `list`, `get`, `create`, `update:/Pointer`, `delete`, `action:name` ...
    pub action: String,
    /// The native keys of the objects.
    pub specific: String,
}

impl Claim {
    /// Makes a claim out of its three parts.
    #[must_use]
    pub fn new(scope: &str, action: &str, specific: &str) -> Self {
        Self { scope: scope.to_owned(), action: action.to_owned(), specific: specific.to_owned() }
    }

    /// Tells whether the claim allows one action on one object. An empty `specific` asks about no object; `*` asks about
    /// all of them, which no list of keys covers.
    #[must_use]
    pub fn allows(&self, scope: &str, action: &str, specific: &str) -> bool {
        let listed = |list, word: &str| words(list).any(|item| item == "*" || item == word);
        listed(&self.scope, scope)
            && words(&self.action).any(|item| item == "*" || covers(item, action))
            && (specific.is_empty() || listed(&self.specific, specific))
    }

    /// Tells whether the claim allows changes below or above a place in an object: whether an `update` of any member of
    /// `path` could need no more than it. An empty `specific` asks about no object.
    #[must_use]
    pub fn touches(&self, scope: &str, path: &str, specific: &str) -> bool {
        let near = |item: &str| {
            let (verb, own) = item.split_once(':').unwrap_or((item, ""));
            item == "*" || verb == "update" && (is_below(own, path) || is_below(path, own))
        };
        let listed = |list, word: &str| words(list).any(|item| item == "*" || item == word);
        listed(&self.scope, scope)
            && words(&self.action).any(near)
            && (specific.is_empty() || listed(&self.specific, specific))
    }

    /// Tells whether the claim allows everything that another one allows (drp-api.md 2.4, containment).
    ///
    /// The claim of three empty words allows nothing, so every claim contains it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        if *other == Self::default() {
            return true;
        }
        words(&other.scope).all(|scope| {
            words(&other.action).all(|action| {
                let specifics = || words(&other.specific).all(|key| self.allows(scope, action, key));
                specifics() || action == "*" && self.contains_all_actions(scope, &other.specific)
            })
        })
    }

    /// `*` stands for all the actions of a scope, so a list of all of them covers it.
    fn contains_all_actions(&self, scope: &str, specific: &str) -> bool {
        let covers = |action: &&str| words(specific).all(|key| self.allows(scope, action, key));
        actions_of(scope).is_some_and(|actions| actions.iter().all(covers))
    }
}

/// Tells whether a list of claims allows everything that another one allows: each claim of the other is contained in one
/// of its own (drp-api.md 2.4).
#[must_use]
pub fn contains_claims(own: &[Claim], other: &[Claim]) -> bool {
    other.iter().all(|wanted| own.iter().any(|claim| claim.contains(wanted)))
}

/// Returns the items of a comma list.
fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}

/// Tells whether an action is another one or a wider refinement of it: `update` covers `update:/A`, and `update:/A` covers
/// `update:/A/b`. `update:` is `update`, while `update:/` is the member whose name is empty.
fn covers(granted: &str, asked: &str) -> bool {
    let ((verb, own), (wanted, path)) =
        (granted.split_once(':').unwrap_or((granted, "")), asked.split_once(':').unwrap_or((asked, "")));
    verb == wanted && (own.is_empty() || own == path || verb == "update" && is_below(path, own))
}

/// Tells whether a JSON pointer is another one or leads to something inside of it.
fn is_below(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A named list of claims.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Role {
    /// The key.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// More for people.
    pub documentation: String,
    /// What the role allows.
    pub claims: Vec<Claim>,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "the same in every type")]
    pub header: Header,
}

pub(crate) static KIND: Kind =
    Kind { columns: &["Name", "Description", "Bundle"], ..Kind::of::<Role>("roles", "Name", "role") };

object!(Role, KIND, key = |role| role.name.clone(), problems = problems, conflicts = conflicts);

/// Which scopes there are depends on the types that others declare (drp-api.md 2.4, 7.26).
fn conflicts(role: &Role, others: &dyn Objects) -> Vec<String> {
    role.claims.iter().flat_map(|claim| claim_problems(others, &role.name, claim)).collect()
}

fn problems(role: &Role) -> Vec<String> {
    name_problem(NameGrammar::Name, &role.name, &role.name).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::{Few, round_trip};

    /// Every case: what is held, what is asked, and whether the one allows the other.
    fn table(cases: &[(&str, &str, bool)]) {
        let claim = |text: &str| {
            let mut parts = text.split(' ');
            let mut next = || parts.next().unwrap_or_default();
            Claim::new(next(), next(), next())
        };
        for (held, asked, expected) in cases {
            assert_eq!(claim(held).contains(&claim(asked)), *expected, "{held} / {asked}");
        }
    }

    #[test]
    fn update_covers_every_pointer_and_a_pointer_covers_what_is_below() {
        table(&[
            ("machines update *", "machines update:/Params/x u", true),
            ("machines update: *", "machines update:/Params/x u", true),
            ("machines update *", "machines update: u", true),
            ("machines update:/Params u", "machines update:/Params/x u", true),
            ("machines update:/Params u", "machines update:/Params u", true),
            ("machines update:/Params/x u", "machines update:/Params u", false),
            ("machines update:/Par u", "machines update:/Params u", false),
            ("machines update:/Params v", "machines update:/Params u", false),
            ("machines update:/Params u", "machines update u", false),
            ("machines action u", "machines action:power u", true),
            ("machines action:power u", "machines action:power u", true),
            ("machines action:power u", "machines action:powercycle u", false),
            ("machines action:a u", "machines action:a/b u", false),
            ("machines action u", "machines actions u", false),
        ]);
    }

    #[test]
    fn update_colon_slash_is_the_member_with_no_name() {
        table(&[
            ("machines update:/ *", "machines update:/ u", true),
            ("machines update:/ *", "machines update://x u", true),
            ("machines update:/ *", "machines update:/Name u", false),
            ("machines update:/ *", "machines update u", false),
        ]);
    }

    #[test]
    fn star_wanted_needs_star() {
        table(&[
            ("* * *", "jobs log x", true),
            ("* * *", "* * *", true),
            ("machines * *", "* get u", false),
            ("machines get a,b", "machines get *", false),
            ("machines get a, *", "machines get *", false),
            ("machines get *", "machines get *", true),
            ("machines get,list *", "machines * u", false),
            ("info get *", "info * *", true),
            ("packs get *", "packs * *", false),
        ]);
        let spaced = Claim::new("machines , jobs", "get, list", "a, b");
        assert!(spaced.allows("jobs", "list", "b") && !spaced.allows("jobs", "list", "*"));
    }

    #[test]
    fn everything_asked_is_covered_by_one_claim() {
        table(&[
            ("machines,jobs get,list a,b,c", "jobs,machines list a,c", true),
            ("machines get a,b", "machines get a,c", false),
            ("machines get a", "machines,jobs get a", false),
            ("machines get a", "", true),
            ("* * *", "", true),
            ("", "machines list ", false),
        ]);
        let two = [Claim::new("machines", "get", "a"), Claim::new("machines", "get", "b")];
        assert!(contains_claims(&two, &two));
        assert!(!contains_claims(&two, &[Claim::new("machines", "get", "a,b")]));
    }

    #[test]
    fn claim_touches_what_is_above_and_below_its_pointer() {
        let claim = Claim::new("machines", "update:/Params/x", "u");
        for (path, touched) in [("", true), ("/Params", true), ("/Params/x/y", true), ("/Params/xy", false)] {
            assert_eq!(claim.touches("machines", path, "u"), touched, "{path}");
        }
        assert!(!claim.touches("machines", "", "v"));
        assert!(!Claim::new("machines", "get", "*").touches("machines", "", "u"));
    }

    #[test]
    fn role_keeps_all_members_and_its_claims_have_known_words() {
        let members = json!({
            "Name": "reader", "Description": "looks", "Documentation": "No hands.",
            "Claims": [{"scope": "machines", "action": "list,get", "specific": "*"},
                       {"scope": "cakes", "action": "eat", "specific": ""}],
        });
        let problems = round_trip("roles", members).conflicts(&Few(Vec::new()));
        assert_eq!(problems, ["reader: No such scope 'cakes'"]);
    }
}
