//! How the objects that a query asks for are found: by the indexes of the store where they help.

mod look;

use std::{ops::Bound, sync::Arc};

use formwork_api::{Bounds, Condition, Index, ListQuery, QueryError, Shape, Subject};
use formwork_model::{Kind, Object, Objects, SortKey};
use formwork_store::{Gathered, Holders, Snapshot};

pub(crate) use self::look::Look;

/// More candidates than this are not collected and sorted where an index has them in order already.
pub(crate) const LARGE: usize = 2_000;

/// Returns the keys of the objects that match filters, in order; with `among` only those of which there are keys in it.
///
/// # Errors
///
/// A filter cannot be read, or names an index that there is not.
pub(crate) fn keys<'a>(
    kind: &'static Kind,
    snapshot: &Snapshot,
    filters: impl Iterator<Item = (&'a str, &'a str)>,
    among: Option<Vec<Arc<str>>>,
) -> Result<Vec<String>, QueryError> {
    let resolved = ListQuery::parse(filters)?.resolve(kind, snapshot)?;
    let search = Search {
        look: &Look::new(snapshot),
        kind,
        conditions: &resolved.conditions,
        sort: &resolved.sort,
        reverse: false,
        offset: 0,
        limit: usize::MAX,
        among,
        counts_only: false,
        large: LARGE,
    };
    Ok(search.run().page.iter().map(|object| object.key()).collect())
}

/// Tells whether filters can be read.
///
/// # Errors
///
/// One cannot be read, or names an index that there is not.
pub(crate) fn check<'a>(
    kind: &'static Kind,
    objects: &dyn Objects,
    filters: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(), QueryError> {
    ListQuery::parse(filters)?.resolve(kind, objects).map(drop)
}

/// What is asked for.
pub(crate) struct Search<'a> {
    pub(crate) look: &'a Look<'a>,
    pub(crate) kind: &'static Kind,
    /// All of these must match.
    pub(crate) conditions: &'a [Condition],
    /// The key when there is none.
    pub(crate) sort: &'a [Index],
    pub(crate) reverse: bool,
    pub(crate) offset: usize,
    pub(crate) limit: usize,
    /// The keys of all objects that there are for the caller, in order; nothing when none are hidden from him.
    pub(crate) among: Option<Vec<Arc<str>>>,
    /// True when no objects are wanted.
    pub(crate) counts_only: bool,
    /// See [`LARGE`].
    pub(crate) large: usize,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The objects of the page; none when only counts are wanted.
    pub(crate) page: Vec<Arc<dyn Object>>,
    /// How many objects the page has.
    pub(crate) in_page: usize,
    /// How many matched before offset and limit.
    pub(crate) matched: usize,
}

/// What leaves the fewest candidates.
struct Narrow {
    /// The place of the condition that does; nothing when it is what is hidden from the caller.
    place: Option<usize>,
    /// How many candidates are left; of a list index an object may count twice.
    size: usize,
    /// True when the size is exactly the number of the objects that are left.
    is_exact: bool,
    source: Source,
}

/// Where candidates come from.
enum Source {
    /// These are their keys, in order.
    Keys(Vec<Arc<str>>),
    /// They lie in these parts of an index.
    Spans(String, Vec<Bounds>),
}

impl Search<'_> {
    /// Finds the page and counts the matches. Objects that neither the page nor the counts depend on are not looked at.
    pub(crate) fn run(&self) -> Found {
        let narrow = self.narrowest();
        let known = self.known(narrow.as_ref());
        if let (Some(matched), true) = (known, self.counts_only || self.limit == 0) {
            return self.counted(matched);
        }
        if self.counts_only {
            let mut matched = 0;
            self.candidates(narrow.as_ref(), &mut |_| {
                matched += 1;
                true
            });
            return self.counted(matched);
        }
        match self.walk(narrow.as_ref(), known) {
            Some(found) => found,
            None => self.collect(narrow.as_ref(), known),
        }
    }

    fn snapshot(&self) -> &Snapshot {
        self.look.snapshot
    }

    fn counted(&self, matched: usize) -> Found {
        let in_page = matched.saturating_sub(self.offset).min(self.limit);
        Found { page: Vec::new(), in_page, matched }
    }

    /// Returns how many objects match, where that is known without a look at any.
    fn known(&self, narrow: Option<&Narrow>) -> Option<usize> {
        match (self.conditions, narrow) {
            ([], _) => Some(self.total()),
            ([_], Some(Narrow { place: Some(_), is_exact: true, size, .. })) => Some(*size),
            _ => None,
        }
    }

    /// Returns how many objects of the type there are for the caller.
    pub(crate) fn total(&self) -> usize {
        self.among.as_ref().map_or_else(|| self.snapshot().count(self.kind.prefix), Vec::len)
    }

    fn narrowest(&self) -> Option<Narrow> {
        if let Some(keys) = &self.among {
            let source = Source::Keys(keys.clone());
            return Some(Narrow { place: None, size: keys.len(), is_exact: true, source });
        }
        let all = self.snapshot().count(self.kind.prefix);
        let narrow = |(place, condition)| self.narrow(place, condition);
        self.conditions
            .iter()
            .enumerate()
            .filter_map(narrow)
            .min_by_key(|narrow| narrow.size)
            // One condition that nearly all pass is no help but for its count.
            .filter(|narrow| narrow.size <= all / 2 || self.conditions.len() == 1 && narrow.is_exact)
    }

    fn narrow(&self, place: usize, condition: &Condition) -> Option<Narrow> {
        let Subject::Member(member) = &condition.index.subject else { return None };
        if member == self.kind.key {
            let mut keys: Vec<Arc<str>> = condition
                .values()?
                .into_iter()
                .map(|value| self.kind.canonical_key(&value.to_string()).into())
                .filter(|key: &Arc<str>| self.snapshot().stored(self.kind.prefix, key).is_some())
                .collect();
            keys.sort_unstable();
            keys.dedup();
            let (place, size) = (Some(place), keys.len());
            return Some(Narrow { place, size, is_exact: true, source: Source::Keys(keys) });
        }
        let index = self.snapshot().index(self.kind.prefix, member)?;
        let spans = condition.spans()?;
        let count = |bounds: &Bounds| match bounds {
            (Bound::Included(low), Bound::Included(high)) if low == high => index.count(low),
            bounds => index.values(bounds.clone(), false).map(|(_, count)| count).sum(),
        };
        let size = spans.iter().map(count).sum();
        // Two items of one list may both lie in the spans.
        let is_exact =
            condition.index.shape == Shape::One || condition.values().is_some_and(|v| v.len() == 1);
        Some(Narrow { place: Some(place), size, is_exact, source: Source::Spans(member.clone(), spans) })
    }

    /// Tells whether an object passes all conditions but the one that is known to hold.
    fn passes(&self, object: &dyn Object, known: Option<usize>) -> bool {
        self.conditions
            .iter()
            .enumerate()
            .filter(|(place, _)| Some(*place) != known)
            .all(|(_, condition)| condition.accepts(self.look.value(&condition.index, object).as_ref()))
    }

    /// Visits all objects that match in the order of their keys, until `visit` says no.
    fn candidates(&self, narrow: Option<&Narrow>, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        let prefix = self.kind.prefix;
        let Some(narrow) = narrow else {
            return self
                .snapshot()
                .visit(prefix, &mut |object| !self.passes(object.as_ref(), None) || visit(object));
        };
        for key in self.keys(narrow) {
            let Some(object) = self.snapshot().find(prefix, &key) else { continue };
            if self.passes(object.as_ref(), narrow.place) && !visit(&object) {
                return;
            }
        }
    }

    /// Returns the keys of the candidates in order, each once.
    fn keys<'b>(&'b self, narrow: &'b Narrow) -> Box<dyn Iterator<Item = Arc<str>> + 'b> {
        let (member, spans) = match &narrow.source {
            Source::Keys(keys) => return Box::new(keys.iter().map(Arc::clone)),
            Source::Spans(member, spans) => (member, spans),
        };
        let Some(index) = self.snapshot().index(self.kind.prefix, member) else {
            return Box::new(std::iter::empty());
        };
        if let [bounds @ (Bound::Included(low), Bound::Included(high))] = spans.as_slice()
            && low == high
        {
            return Box::new(index.keys(bounds.clone(), false).map(Arc::clone));
        }
        let mut keys: Vec<Arc<str>> =
            spans.iter().flat_map(|bounds| index.keys(bounds.clone(), false)).map(Arc::clone).collect();
        keys.sort_unstable();
        keys.dedup();
        Box::new(keys.into_iter())
    }

    /// Collects what matches, sorts it and cuts the page out of it.
    fn collect(&self, narrow: Option<&Narrow>, known: Option<usize>) -> Found {
        let sorted = !self.is_by_key();
        // In the order of keys nothing behind the page matters once the number of matches is known.
        let enough = match known {
            Some(_) if !sorted && !self.reverse => self.offset.saturating_add(self.limit),
            _ => usize::MAX,
        };
        let mut found = Vec::new();
        self.candidates(narrow, &mut |object| {
            found.push(Arc::clone(object));
            found.len() < enough
        });
        if sorted {
            found.sort_by_cached_key(|object| self.sort_keys(object.as_ref()));
        }
        if self.reverse {
            found.reverse();
        }
        let matched = known.unwrap_or(found.len());
        let page: Vec<_> = found.into_iter().skip(self.offset).take(self.limit).collect();
        Found { in_page: page.len(), page, matched }
    }

    fn is_by_key(&self) -> bool {
        match self.sort {
            [] => true,
            [index, ..] => index.subject == Subject::Member(self.kind.key.to_owned()),
        }
    }

    fn sort_keys(&self, object: &dyn Object) -> Vec<SortKey> {
        let key =
            |index: &Index| SortKey::of(index.member(), &self.look.value(index, object).unwrap_or_default());
        self.sort.iter().map(key).collect()
    }

    /// Walks the index that the list is sorted by, where there is one and the candidates are many.
    fn walk(&self, narrow: Option<&Narrow>, known: Option<usize>) -> Option<Found> {
        let [Index { subject: Subject::Member(member), shape: Shape::One, .. }] = self.sort else {
            return None;
        };
        if self.among.is_some() || narrow.is_some_and(|narrow| narrow.size <= self.large) {
            return None;
        }
        let prefix = self.kind.prefix;
        let index = self.snapshot().index(prefix, member)?;
        let (bounds, holds) = self.bounds(member);
        let mut found = Found::default();
        let end = self.offset.saturating_add(self.limit);
        let rest = || self.conditions.iter().enumerate().filter(|(place, _)| Some(*place) != holds);
        let all = self.snapshot().count(prefix);
        let named: Vec<_> = rest()
            .filter_map(|(_, condition)| self.holders(condition))
            .map(|holders| Named::of(holders, known.map(|_| end), all))
            .collect();
        let tested: Vec<_> = rest()
            .map(|(_, condition)| condition)
            .filter(|condition| self.holders(condition).is_none())
            .collect();
        let passes = |object: &dyn Object| {
            tested
                .iter()
                .all(|condition| condition.accepts(self.look.value(&condition.index, object).as_ref()))
        };
        for key in index.keys(bounds, self.reverse) {
            if known.is_some() && found.matched >= end {
                break;
            }
            if !named.iter().all(|named| named.contains(key)) {
                continue;
            }
            let is_shown = (self.offset..end).contains(&found.matched);
            if tested.is_empty() && !is_shown {
                found.matched += 1;
                continue;
            }
            let Some(object) = self.snapshot().find(prefix, key) else { continue };
            if passes(object.as_ref()) {
                if is_shown {
                    found.page.push(object);
                }
                found.matched += 1;
            }
        }
        found.in_page = found.page.len();
        found.matched = known.unwrap_or(found.matched);
        Some(found)
    }

    /// Returns the objects that pass a condition which names one value of a member that the store keeps sorted.
    fn holders(&self, condition: &Condition) -> Option<Holders<'_>> {
        let Subject::Member(member) = &condition.index.subject else { return None };
        let index = self.snapshot().index(self.kind.prefix, member)?;
        match condition.spans()?.as_slice() {
            [(Bound::Included(low), Bound::Included(high))] if low == high => Some(index.holders(low)),
            _ => None,
        }
    }

    /// Returns the part of an index that conditions on the same member leave, and the condition that then holds.
    fn bounds(&self, member: &str) -> (Bounds, Option<usize>) {
        let own = |condition: &Condition| condition.index.subject == Subject::Member(member.to_owned());
        let one = |(place, condition): (usize, &Condition)| match condition.spans()?.as_slice() {
            [bounds] => Some((bounds.clone(), Some(place))),
            _ => None,
        };
        let narrowed =
            self.conditions.iter().enumerate().filter(|(_, condition)| own(condition)).find_map(one);
        narrowed.unwrap_or(((Bound::Unbounded, Bound::Unbounded), None))
    }
}

/// The objects that pass a condition, ready for the questions of a walk.
enum Named<'a> {
    Few(Holders<'a>),
    Many(Gathered<'a>),
}

/// How many holders are collected in the time of one question to them where they lie.
const COLLECTED_PER_QUESTION: usize = 10;

impl<'a> Named<'a> {
    /// Prepares for a walk through `all` objects that ends after so many of the holders; at its end when nothing is said.
    fn of(holders: Holders<'a>, enough: Option<usize>, all: usize) -> Self {
        let questions = enough.map_or(all, |enough| {
            enough.min(all).saturating_mul(all).checked_div(holders.count()).unwrap_or_default().min(all)
        });
        match holders.count() / COLLECTED_PER_QUESTION <= questions {
            true => Self::Many(holders.gathered()),
            false => Self::Few(holders),
        }
    }

    fn contains(&self, key: &Arc<str>) -> bool {
        match self {
            Self::Few(holders) => holders.contains(key),
            Self::Many(gathered) => gathered.contains(key),
        }
    }
}
