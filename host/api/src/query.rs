//! The query language of lists (drp-api.md 4): filters, sorting, pages and projections.

mod filter;
mod group;
mod index;

use formwork_model::{Header, Kind, Machine, Objects, Record as _};

pub use self::{
    filter::{Bounds, Condition, Filter, Operand, Operator},
    group::{Group, group},
    index::{Index, IndexInfo, Shape, Subject},
};

/// A query that cannot be answered; the API answers 406.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A page cannot begin before the list.
    #[error("Offset cannot be negative")]
    NegativeOffset,
    /// A page cannot have fewer than no objects.
    #[error("Limit cannot be negative")]
    NegativeLimit,
    /// A number was expected.
    #[error("`{name}` must be a number, not `{value}`")]
    NotANumber {
        /// The member of the query.
        name: String,
        /// What it said.
        value: String,
    },
    /// No object of the type has such a member.
    #[error("no index `{0}`")]
    UnknownIndex(String),
    /// Lists cannot be sorted by such values.
    #[error("index `{0}` has no order")]
    Unordered(String),
    /// There is no stored filter of that name, or it is for another type.
    #[error("no filter `{0}` for this type")]
    NoFilter(String),
    /// More was asked for than a query can hold.
    #[error("a query has at most {limit} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        limit: usize,
    },
    /// The arguments of a filter do not fit its operator.
    #[error("filter `{name}={text}`: {reason}")]
    BadFilter {
        /// The index.
        name: String,
        /// The filter as written.
        text: String,
        /// What does not fit.
        reason: String,
    },
}

/// Which members of an object an answer holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    /// Members that are left out.
    pub slim: Vec<String>,
    /// The only params that are kept; `None` keeps all.
    pub params: Option<Vec<String>>,
    /// True when the params of all sources are merged in.
    pub aggregate: bool,
    /// True when secure params are decrypted.
    pub decode: bool,
    /// True when params that are templates are rendered.
    pub expand: bool,
    /// True when members that clients cannot write are left out.
    pub reduced: bool,
}

impl Projection {
    /// Tells whether a member of an object is left out.
    #[must_use]
    pub fn leaves_out(&self, member: &str) -> bool {
        self.slim.iter().any(|name| name == member) || self.reduced && Header::READ_ONLY.contains(&member)
    }

    /// Tells whether a parameter is kept.
    #[must_use]
    pub fn keeps_param(&self, name: &str) -> bool {
        self.params.as_ref().is_none_or(|kept| kept.iter().any(|own| own == name))
    }

    /// Tells whether objects of a type are shown in part only, which they say in `Partial` (drp-api.md 3.2).
    #[must_use]
    pub fn is_partial(&self, kind: &'static Kind) -> bool {
        self.params.is_some() && kind.bears_params
            || Index::all(kind).any(|(member, _)| self.slim.iter().any(|name| name == member))
    }
}

/// A parsed query of a list.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// All of these must match.
    pub filters: Vec<Filter>,
    /// Indexes to sort by; the key when there is none.
    pub sort: Vec<String>,
    /// True when the order is reversed.
    pub reverse: bool,
    /// How many matches are skipped.
    pub offset: usize,
    /// How many are answered at most.
    pub limit: Option<usize>,
    /// What each object holds.
    pub projection: Projection,
    /// Indexes whose values divide the page into groups, the outermost first.
    pub group_by: Vec<String>,
    /// True when groups hold no objects.
    pub range_only: bool,
    /// The keys of stored filters that apply as well.
    pub stored: Vec<String>,
    /// Query strings that apply as well, still encoded.
    pub raw: Vec<String>,
    /// True when the endpoint's own machine is left out of machines.
    pub exclude_self: bool,
}

/// Members of a query that are accepted and have no effect.
const IGNORED: &[&str] = &["commented", "token", "Token", "force"];

/// The conditions that one query may have.
const MAX_FILTERS: usize = 1_000;

/// The most regular expressions of one query: each may take a mebibyte.
const MAX_EXPRESSIONS: usize = 16;

/// The indexes that one query may sort or group by, each.
const MAX_SORTS: usize = 32;

impl ListQuery {
    /// Parses the decoded members of a query string, in order.
    ///
    /// # Errors
    ///
    /// A page out of range, a member that is no number, a filter that does not parse, or too many of them.
    pub fn parse<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, QueryError> {
        let mut query = Self::default();
        query.extend(pairs)?;
        Ok(query)
    }

    /// Adds further members to the query.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub fn extend<'a>(&mut self, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), QueryError> {
        for (name, value) in pairs {
            match name {
                "sort" => self.sort.push(value.to_owned()),
                "reverse" => self.reverse = truth(value),
                "offset" => self.offset = number(name, value)?.ok_or(QueryError::NegativeOffset)?,
                "limit" => self.limit = Some(number(name, value)?.ok_or(QueryError::NegativeLimit)?),
                "slim" => self.projection.slim.extend(words(value)),
                "params" => self.projection.params.get_or_insert_default().extend(words(value)),
                "aggregate" => self.projection.aggregate = truth(value),
                "decode" => self.projection.decode = truth(value),
                "expand" => self.projection.expand = truth(value),
                "exclude-self" => self.exclude_self = truth(value),
                "reduced" => self.projection.reduced = truth(value),
                "group-by" => self.group_by.push(value.to_owned()),
                "range-only" => self.range_only = truth(value),
                "filter" => self.stored.push(value.to_owned()),
                "raw" => self.raw.push(value.to_owned()),
                _ if IGNORED.contains(&name) => {}
                _ => self.push(|| Filter::parse(name, value))?,
            }
        }
        self.bounded()
    }

    /// Adds what a stored filter says (drp-api.md 7A.7). What the query says itself counts more where both cannot.
    ///
    /// # Errors
    ///
    /// A condition of the filter does not parse.
    pub fn apply(&mut self, stored: &formwork_model::Filter) -> Result<(), QueryError> {
        for query in &stored.queries {
            self.push(|| match query.op.as_str() {
                "=" | "" => Filter::parse(&query.name, &query.value),
                word => Filter::with(&query.name, word, &query.value)?.ok_or_else(|| QueryError::BadFilter {
                    name: query.name.clone(),
                    text: word.to_owned(),
                    reason: String::from("there is no such operator"),
                }),
            })?;
        }
        if self.sort.is_empty() {
            self.sort.clone_from(&stored.sort);
        }
        if self.group_by.is_empty() {
            self.group_by.clone_from(&stored.group_by);
        }
        self.reverse |= stored.reverse;
        self.range_only |= stored.range_only;
        let projection = &mut self.projection;
        projection.slim.extend(words(&stored.slim));
        if projection.params.is_none() && !stored.param_set.is_empty() {
            projection.params = Some(words(&stored.param_set).collect());
        }
        projection.aggregate |= stored.aggregate;
        projection.decode |= stored.decode;
        projection.reduced |= stored.reduced;
        self.exclude_self |= stored.exclude_self;
        self.bounded()
    }

    /// Adds a filter. What is too many is not even parsed: an expression costs memory and time before it is used.
    fn push(&mut self, parse: impl FnOnce() -> Result<Filter, QueryError>) -> Result<(), QueryError> {
        if self.filters.len() >= MAX_FILTERS {
            return Err(QueryError::TooMany { what: "filters", limit: MAX_FILTERS });
        }
        self.filters.push(parse()?);
        let expressions = self.filters.iter().filter(|filter| filter.operator.is_expression()).count();
        if expressions > MAX_EXPRESSIONS {
            return Err(QueryError::TooMany { what: "expressions", limit: MAX_EXPRESSIONS });
        }
        Ok(())
    }

    fn bounded(&self) -> Result<(), QueryError> {
        if self.sort.len() > MAX_SORTS || self.group_by.len() > MAX_SORTS {
            return Err(QueryError::TooMany { what: "indexes to sort or to group by", limit: MAX_SORTS });
        }
        Ok(())
    }

    /// Finds what the names of the query mean for a type, and reads its values.
    ///
    /// # Errors
    ///
    /// A name means nothing, a value is none of its index, or a list cannot be sorted by an index.
    pub fn resolve(&self, kind: &'static Kind, objects: &dyn Objects) -> Result<Resolved, QueryError> {
        let find = |name: &String| Index::find(name, kind, objects);
        let ordered = |name: &String| match find(name)? {
            index if index.is_ordered() => Ok(index),
            _ => Err(QueryError::Unordered(name.clone())),
        };
        let condition = |filter: &Filter| filter.on(find(&filter.index)?);
        let mut conditions = self.filters.iter().map(condition).collect::<Result<Vec<_>, _>>()?;
        if self.exclude_self && kind.prefix == Machine::KIND.prefix {
            let operator = Operator::Ne(String::from(Machine::OWN_ROLE));
            let filter = Filter { index: String::from(Machine::ROLE), operator };
            conditions.push(filter.on(Index::meta(Machine::ROLE))?);
        }
        Ok(Resolved {
            conditions,
            sort: self.sort.iter().map(ordered).collect::<Result<_, _>>()?,
            group_by: self.group_by.iter().map(find).collect::<Result<_, _>>()?,
        })
    }
}

/// What the names in a query mean for a type.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// All of these must match.
    pub conditions: Vec<Condition>,
    /// Indexes to sort by; the key when there is none.
    pub sort: Vec<Index>,
    /// Indexes whose values divide the page into groups.
    pub group_by: Vec<Index>,
}

/// Reads a boolean of a query in any case.
fn truth(value: &str) -> bool {
    matches!(value.to_lowercase().as_str(), "true" | "1" | "t")
}

fn words(value: &str) -> impl Iterator<Item = String> + '_ {
    value.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned)
}

/// Returns `None` for a negative number.
fn number(name: &str, value: &str) -> Result<Option<usize>, QueryError> {
    let parsed: i64 = value
        .parse()
        .map_err(|_| QueryError::NotANumber { name: name.to_owned(), value: value.to_owned() })?;
    Ok(usize::try_from(parsed).ok())
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
