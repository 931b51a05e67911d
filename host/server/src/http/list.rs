//! Lists of objects (drp-api.md 4): what a query asks for, straight to bytes.

mod pieces;

use std::{collections::HashMap, sync::Arc};

use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use formwork_api::{
    ApiError, Index, LIST_COUNT, LIST_FILTER_COUNT, LIST_TOTAL_COUNT, ListQuery, Projection, QueryError,
    group,
};
use formwork_model::{
    Choice, Filter, Kind, Machine, Object, Objects, ObjectsExt, Params, Record as _, TemplateInfo, Values,
};
use formwork_store::Snapshot;
use formwork_template::Confidential;
use serde_json::Value;

use self::pieces::Long;
use super::{
    answer::{self, Handled},
    params::{GET_SECURE, rendered},
    render::may_render,
    request::{Query, Target},
    secrets::Secrets,
};
use crate::{
    kinds, render,
    search::{self, Found, Look, Search},
};

/// Types with more objects than this are looked through away from the threads that serve requests.
const LARGE: usize = 1_000;

/// How many bytes an object is taken for before it is written.
const GUESSED_BYTES: usize = 1_024;

/// Most objects of one answer whose params are rendered: each is work of templates.
const MAX_EXPANDED: usize = 1_000;

/// Most bytes of rendered params in one answer, which are all in memory before it is written.
const MAX_EXPANDED_BYTES: usize = 32 << 20;

/// How deep queries can hold others; each is read once.
const MAX_RAW: usize = 16;

/// Answers a list.
pub(super) async fn list(target: Target) -> Handled {
    target.require("list", "")?;
    if !renders(&target.query) && target.endpoint.snapshot().count(target.kind.prefix) <= LARGE {
        return answered(&target);
    }
    tokio::task::spawn_blocking(move || answered(&target))
        .await
        .map_err(|failed| ApiError::new(500, "INTERNAL", failed.to_string()))?
}

/// Tells whether the answer to a request needs templates, which is no work for the threads that serve requests.
pub(super) fn renders(query: &Query) -> bool {
    query.is("expand") || query.value("raw").is_some_and(is_template)
}

fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// Reads the query of a request, with those that it names and those that it holds. Blocks when it [`renders`]. What it
/// rendered that errors about the query must not quote comes along.
///
/// A stored filter is refused that does not exist or is for another type.
pub(super) fn query(
    target: &Target,
    snapshot: &Snapshot,
) -> Result<(ListQuery, Arc<Confidential>), ApiError> {
    let confidential = Arc::default();
    let mut query = ListQuery::parse(target.query.pairs())
        .map_err(|error| unacceptable(target, &error, &confidential))?;
    for raw in query.raw.iter_mut().filter(|raw| is_template(raw)) {
        // A template can make tokens, for machines that nobody knows yet too.
        target.caller.require(Machine::KIND.prefix, "token", "")?;
        let entry = TemplateInfo {
            name: String::from("raw"),
            contents: std::mem::take(raw),
            ..TemplateInfo::default()
        };
        let rendered = render::text_for(&target.endpoint, snapshot, Arc::default(), entry, &confidential);
        *raw = rendered.map_err(|messages| {
            let error = ApiError::new(406, target.method.as_str(), messages.join("\n"));
            error.about(target.kind.prefix, &target.id)
        })?;
    }
    let query = complete(query, target, snapshot);
    query
        .map(|query| (query, Arc::clone(&confidential)))
        .map_err(|error| unacceptable(target, &error, &confidential))
}

/// Adds what a query holds and names to it.
fn complete(mut query: ListQuery, target: &Target, snapshot: &Snapshot) -> Result<ListQuery, QueryError> {
    let mut rounds = 0;
    while let Some(raw) = query.raw.pop() {
        rounds += 1;
        if rounds > MAX_RAW {
            return Err(QueryError::TooMany { what: "raw queries", limit: MAX_RAW });
        }
        query.extend(Query::parse(&raw).pairs())?;
    }
    for name in std::mem::take(&mut query.stored) {
        let stored = snapshot
            .get::<Filter>(&name)
            .filter(|stored| stored.object.is_empty() || stored.object == target.kind.prefix)
            .ok_or(QueryError::NoFilter(name))?;
        query.apply(&stored)?;
    }
    Ok(query)
}

/// Returns the keys of the objects that match filters and that the caller can see, in order.
pub(super) fn keys<'a>(
    target: &Target,
    snapshot: &Snapshot,
    filters: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Vec<String>, ApiError> {
    search::keys(target.kind, snapshot, filters, visible(target, snapshot))
        .map_err(|error| unacceptable(target, &error, &Confidential::default()))
}

/// Says that a query cannot be answered (drp-api.md 1.5); it may be wrong in words that it rendered.
fn unacceptable(target: &Target, error: &QueryError, confidential: &Confidential) -> ApiError {
    let words = error.to_string();
    let words = confidential.concealed(&words).unwrap_or(words);
    ApiError::new(406, target.method.as_str(), words).about(target.kind.prefix, &target.id)
}

fn answered(target: &Target) -> Handled {
    let (kind, snapshot) = (target.kind, target.endpoint.snapshot());
    let (query, confidential) = query(target, &snapshot)?;
    let resolved = query.resolve(kind, &snapshot);
    let resolved = resolved.map_err(|error| unacceptable(target, &error, &confidential))?;
    let look = Look::new(&snapshot);
    let is_head = target.method == Method::HEAD;
    let search = Search {
        look: &look,
        kind,
        conditions: &resolved.conditions,
        sort: &resolved.sort,
        reverse: query.reverse,
        offset: query.offset,
        limit: query.limit.unwrap_or(usize::MAX),
        among: visible(target, &snapshot),
        counts_only: is_head,
        large: search::LARGE,
    };
    let Found { page, in_page, matched } = search.run();
    let counts = [(LIST_COUNT, in_page), (LIST_FILTER_COUNT, matched), (LIST_TOTAL_COUNT, search.total())];
    let is_plain = !query.projection.decode && !query.projection.expand && !query.range_only;
    let body = if !is_head && is_plain && resolved.group_by.is_empty() && page.len() > LARGE {
        Long { snapshot: snapshot.clone(), kind, projection: query.projection, page }.body()
    } else {
        let shaper = Shaper::new(&look, kind, &query.projection);
        let shaper = if is_head { shaper } else { shaper.opening(target, &page)? };
        let mut out = Vec::with_capacity(page.len().saturating_mul(GUESSED_BYTES).min(64 << 20));
        if !is_head {
            let page: Vec<&dyn Object> = page.iter().map(AsRef::as_ref).collect();
            shaper.groups(page, &resolved.group_by, query.range_only, &mut out);
        }
        out.into()
    };
    let mut response = answer::written(StatusCode::OK, body, snapshot.revision());
    for (name, count) in counts {
        if let Ok(name) = HeaderName::try_from(name) {
            response.headers_mut().insert(name, HeaderValue::from(count));
        }
    }
    Ok(response)
}

/// Returns the keys of the objects that the caller can see, in order; nothing when he sees all (drp-api.md 2.5).
fn visible(target: &Target, snapshot: &Snapshot) -> Option<Vec<Arc<str>>> {
    let (caller, prefix) = (&target.caller, target.kind.prefix);
    let keys = caller.visible(prefix)?.iter().map(String::as_str);
    let is_there = |key: &&str| caller.sees(prefix, key) && snapshot.stored(prefix, key).is_some();
    let mut keys: Vec<Arc<str>> = keys.chain(caller.user()).filter(is_there).map(Arc::from).collect();
    keys.sort_unstable();
    keys.dedup();
    Some(keys)
}

/// Writes objects as a query wants them.
pub(super) struct Shaper<'a> {
    look: &'a Look<'a>,
    kind: &'static Kind,
    projection: &'a Projection,
    is_partial: bool,
    /// What opens secure params, if they are to be shown in the clear.
    secrets: Option<Secrets<'a>>,
    /// The params of each object, when they are rendered.
    rendered: HashMap<String, String>,
}

impl<'a> Shaper<'a> {
    /// Prepares to write objects of a type.
    pub(super) fn new(look: &'a Look<'a>, kind: &'static Kind, projection: &'a Projection) -> Self {
        let is_partial = kind.has_partial && projection.is_partial(kind);
        Self { look, kind, projection, is_partial, secrets: None, rendered: HashMap::new() }
    }

    /// Shows secure params in the clear and renders templates if the query asks for that; refused to a caller who may not
    /// have that of all the objects that are to be written (drp-api.md 2.4). Of what is merged in, only what he may see is
    /// opened.
    pub(super) fn opening(
        mut self,
        target: &'a Target,
        objects: &[Arc<dyn Object>],
    ) -> Result<Self, ApiError> {
        if !self.kind.bears_params {
            return Ok(self);
        }
        if self.projection.decode {
            for object in objects {
                target.require(GET_SECURE, &kinds::claim_key(object.as_ref()))?;
            }
            self.secrets = Some(Secrets::of(target, self.look.snapshot));
        }
        // Only what is like a machine has a place to render for; the rest is as without it.
        if self.projection.expand && Machine::PREFIXES.contains(&self.kind.prefix) {
            self.render(target, objects)?;
        }
        Ok(self)
    }

    /// Renders the params of objects. What all of them need is bounded: the way out is to take the list in pages.
    fn render(&mut self, target: &Target, objects: &[Arc<dyn Object>]) -> Result<(), ApiError> {
        let too_large = |words: String| {
            let words = format!("{words}\nhint: take the list in pages, by `limit` and `offset`");
            ApiError::new(413, target.method.as_str(), words).about(self.kind.prefix, &target.id)
        };
        let count = objects.len();
        if count > MAX_EXPANDED {
            let words =
                format!("`expand` renders the params of up to {MAX_EXPANDED} objects, not of {count}");
            return Err(too_large(words));
        }
        let is_open = self.secrets.is_some();
        let (mut bytes, mut all) = (0_usize, HashMap::with_capacity(count));
        for object in objects {
            may_render(&target.caller, object.as_ref())?;
            let value = self.values(object.as_ref());
            let value = Value::Object(value.into_iter().collect());
            let value = rendered(&target.endpoint, self.look.snapshot, object.as_ref(), value, is_open)?;
            let text = value.to_string();
            bytes = bytes.saturating_add(text.len());
            if bytes > MAX_EXPANDED_BYTES {
                let words = format!("`expand` makes up to {MAX_EXPANDED_BYTES} bytes of rendered params");
                return Err(too_large(words));
            }
            all.insert(object.key(), text);
        }
        self.rendered = all;
        Ok(())
    }

    /// Appends an object as clients see it: without what was not asked for, private members empty.
    pub(super) fn write(&self, object: &dyn Object, out: &mut Vec<u8>) {
        object.write(out, &mut |member| match member {
            member if self.projection.leaves_out(member) => Choice::Skip,
            member if self.kind.private.contains(&member) => Choice::Instead(String::from("\"\"")),
            "Partial" if self.is_partial => Choice::Instead(String::from("true")),
            "Params" => self.params(object),
            _ => Choice::Keep,
        });
    }

    fn params(&self, object: &dyn Object) -> Choice {
        if object.params().is_none() {
            return Choice::Keep;
        }
        if self.projection.expand
            && let Some(rendered) = self.rendered.get(&object.key())
        {
            return Choice::Instead(rendered.clone());
        }
        if self.secrets.is_none() && self.projection.params.is_none() && !self.projection.aggregate {
            return Choice::Keep;
        }
        Choice::Instead(Value::Object(self.values(object).into_iter().collect()).to_string())
    }

    /// Returns the params of an object that the query keeps.
    fn values(&self, object: &dyn Object) -> Values {
        let keeps = |name: &str| self.projection.keeps_param(name);
        if let Some(secrets) = &self.secrets {
            return secrets.all(object, self.projection.aggregate, keeps);
        }
        let mut values = match self.projection.aggregate {
            true => self.look.aggregate(object),
            false => object.params().map(Params::values).unwrap_or_default(),
        };
        values.retain(|name, _| keeps(name));
        values
    }

    /// Appends a list of objects, or of the groups that the values of the first index make of them.
    fn groups(&self, objects: Vec<&dyn Object>, by: &[Index], range_only: bool, out: &mut Vec<u8>) {
        let Some((index, inner)) = by.split_first() else {
            let shown = if range_only { Vec::new() } else { objects };
            return series(shown, out, |object, out| self.write(object, out));
        };
        let groups = group(objects, index.member(), |object| self.look.value(index, *object));
        series(groups, out, |group, out| {
            let field = Value::String(index.name().to_owned());
            let (value, count) = (group.value, group.count);
            let head = format!("{{\"Field\":{field},\"Value\":{value},\"Count\":{count},\"Items\":");
            out.extend_from_slice(head.as_bytes());
            self.groups(group.items, inner, range_only, out);
            out.push(b'}');
        });
    }
}

fn series<T>(items: Vec<T>, out: &mut Vec<u8>, mut write: impl FnMut(T, &mut Vec<u8>)) {
    out.push(b'[');
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests;
