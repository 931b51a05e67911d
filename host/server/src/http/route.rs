//! One description of a route, from which both the router and the OpenAPI document follow.

use std::{borrow::Cow, sync::Arc};

use axum::{
    Extension, Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    http::Method,
    routing::{MethodFilter, MethodRouter, any, on},
};
use formwork_api::Index;
use formwork_model::Kind;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use crate::endpoint::Endpoint;

/// What a request or an answer holds.
#[derive(Clone, Copy)]
pub(super) enum Body {
    /// Nothing.
    Nothing,
    /// JSON with a schema.
    Json(fn(&mut SchemaGenerator) -> Value),
    /// Nothing that is looked at: some clients send an empty object.
    Ignored,
    /// An object of a type.
    Object(&'static Kind),
    /// A list of objects of a type.
    Objects(&'static Kind),
    /// A patch (RFC 6902).
    Patch,
    /// Bytes as they are.
    Bytes,
    /// A file: bytes, or the part `file` of a form.
    File,
    /// Bytes, or JSON with a schema.
    Either(fn(&mut SchemaGenerator) -> Value),
}

impl Body {
    /// JSON as a type writes it.
    pub(super) fn json<T: JsonSchema>() -> Self {
        Self::Json(|generator| generator.subschema_for::<T>().to_value())
    }

    /// Any JSON.
    pub(super) fn any() -> Self {
        Self::json::<Value>()
    }

    /// Bytes, or JSON as a type writes it.
    pub(super) fn either<T: JsonSchema>() -> Self {
        Self::Either(|generator| generator.subschema_for::<T>().to_value())
    }
}

/// What a member of a query is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A text.
    Text,
    /// A number that is not negative.
    Count,
    /// `true` or `false`.
    Flag,
}

/// A member of a query: its name, what it is, and what it does.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    /// The name.
    pub(super) name: Cow<'static, str>,
    /// What it is.
    pub(super) shape: Shape,
    /// What it does.
    pub(super) words: &'static str,
}

/// Members of a query as they are written down.
type Words = [(&'static str, Shape, &'static str)];

/// What every list takes (drp-api.md 4.2).
const LIST: &Words = &[
    ("offset", Shape::Count, "Skip so many matches."),
    ("limit", Shape::Count, "At most so many."),
    ("sort", Shape::Text, "Sort by this member; can be repeated."),
    ("reverse", Shape::Flag, "From the last to the first."),
    ("filter", Shape::Text, "The key of a stored filter that applies as well."),
    ("raw", Shape::Text, "A query that applies as well, encoded."),
    ("group-by", Shape::Text, "Divide into groups by this member; can be repeated."),
    ("range-only", Shape::Flag, "Groups without their objects."),
];

/// What shapes the objects of an answer.
const SHAPED: &Words = &[
    ("slim", Shape::Text, "Leave these members out, with commas between."),
    ("params", Shape::Text, "Keep only these params, with commas between."),
    ("aggregate", Shape::Flag, "Merge the params of all sources in."),
    ("decode", Shape::Flag, "Open secure params."),
    ("expand", Shape::Flag, "Expand params that are templates."),
    ("reduced", Shape::Flag, "Leave out what clients cannot write."),
    ("commented", Shape::Flag, "Taken, without an effect."),
];

/// What changes take.
const WRITE: &Words = &[
    ("force", Shape::Flag, "Waive soft checks."),
    ("commented", Shape::Flag, "Taken, without an effect."),
    ("reduced", Shape::Flag, "Taken, without an effect."),
];

/// A route: what is asked for, what is answered, and what answers.
pub(super) struct Route {
    /// The method; GET stands for HEAD too.
    pub(super) method: Method,
    /// The path as the router takes it, below the base path.
    pub(super) path: String,
    /// The name of the operation; nothing of what OpenAPI cannot describe.
    pub(super) operation: String,
    /// The name of the operation that is the same by HEAD.
    pub(super) head: Option<String>,
    /// What it does, in a sentence.
    pub(super) summary: String,
    /// The members of the query.
    pub(super) query: Vec<Parameter>,
    /// What the request holds.
    pub(super) takes: Body,
    /// What is answered when it is done, by status.
    pub(super) answers: Vec<(u16, Body)>,
    /// The statuses of refusals that belong to it, beside those that every route has.
    pub(super) refusals: &'static [u16],
    handler: MethodRouter<Arc<Endpoint>>,
}

/// The refusals of whoever names an object.
pub(super) const OF_ONE: &[u16] = &[404];

/// The refusals of a change of an object.
pub(super) const OF_CHANGE: &[u16] = &[400, 404, 409, 422];

impl Route {
    fn new<H, T>(method: Method, path: impl Into<String>, operation: impl Into<String>, handler: H) -> Self
    where
        H: Handler<T, Arc<Endpoint>>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        Self {
            method,
            path: path.into(),
            operation: operation.into(),
            head: None,
            summary: String::new(),
            query: Vec::new(),
            takes: Body::Nothing,
            answers: Vec::new(),
            refusals: &[],
            handler: on(filter, handler),
        }
    }

    /// Describes what GET does.
    pub(super) fn get<H, T>(path: impl Into<String>, operation: impl Into<String>, handler: H) -> Self
    where
        H: Handler<T, Arc<Endpoint>>,
        T: 'static,
    {
        Self::new(Method::GET, path, operation, handler)
    }

    /// Describes what POST does.
    pub(super) fn post<H, T>(path: impl Into<String>, operation: impl Into<String>, handler: H) -> Self
    where
        H: Handler<T, Arc<Endpoint>>,
        T: 'static,
    {
        Self::new(Method::POST, path, operation, handler)
    }

    /// Describes what PUT does.
    pub(super) fn put<H, T>(path: impl Into<String>, operation: impl Into<String>, handler: H) -> Self
    where
        H: Handler<T, Arc<Endpoint>>,
        T: 'static,
    {
        Self::new(Method::PUT, path, operation, handler)
    }

    /// Describes what PATCH does.
    pub(super) fn patch<H, T>(path: impl Into<String>, operation: impl Into<String>, handler: H) -> Self
    where
        H: Handler<T, Arc<Endpoint>>,
        T: 'static,
    {
        Self::new(Method::PATCH, path, operation, handler).takes(Body::Patch)
    }

    /// Describes what DELETE does.
    pub(super) fn delete<H, T>(path: impl Into<String>, operation: impl Into<String>, handler: H) -> Self
    where
        H: Handler<T, Arc<Endpoint>>,
        T: 'static,
    {
        Self::new(Method::DELETE, path, operation, handler).takes(Body::Ignored)
    }

    /// Describes a stream, which OpenAPI knows nothing of: its upgrade comes by whatever method the protocol has.
    pub(super) fn stream<H, T>(path: impl Into<String>, handler: H) -> Self
    where
        H: Handler<T, Arc<Endpoint>>,
        T: 'static,
    {
        let mut route = Self::new(Method::GET, path, "", async || {});
        route.handler = any(handler);
        route
    }

    /// Says what the route does.
    pub(super) fn tells(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// Names the operation that HEAD is.
    pub(super) fn head(mut self, operation: impl Into<String>) -> Self {
        self.head = Some(operation.into());
        self
    }

    /// Says which type of objects the route is about.
    pub(super) fn about(mut self, kind: &'static Kind) -> Self {
        self.handler = self.handler.layer(Extension(kind));
        self
    }

    /// Says what the request holds.
    pub(super) fn takes(mut self, body: Body) -> Self {
        self.takes = body;
        self
    }

    /// Bounds the bytes of the request otherwise than other routes do.
    pub(super) fn up_to(mut self, bytes: usize) -> Self {
        self.handler = self.handler.layer(DefaultBodyLimit::max(bytes));
        self
    }

    /// Takes requests of any size: they are streamed to the disk, which bounds them.
    pub(super) fn streamed(mut self) -> Self {
        self.handler = self.handler.layer(DefaultBodyLimit::disable());
        self
    }

    /// Says what is answered.
    pub(super) fn answers(mut self, status: u16, body: Body) -> Self {
        self.answers.push((status, body));
        self
    }

    /// Names the statuses of refusals.
    pub(super) fn refuses(mut self, codes: &'static [u16]) -> Self {
        self.refusals = codes;
        self
    }

    /// Adds members of the query.
    pub(super) fn query(mut self, words: &Words) -> Self {
        self.query.extend(words.iter().map(|(name, shape, words)| Parameter {
            name: Cow::Borrowed(name),
            shape: *shape,
            words,
        }));
        self
    }

    /// Adds the query of lists: what controls them, and all that objects of the type can be filtered by.
    pub(super) fn list_query(self, kind: &'static Kind) -> Self {
        let mut listed = self.query(LIST).query(SHAPED);
        let known: Vec<Cow<'static, str>> = listed.query.iter().map(|own| own.name.clone()).collect();
        let indexes = Index::all(kind).filter(|(name, _)| !known.iter().any(|own| own == name));
        listed.query.extend(indexes.map(|(name, _)| Parameter {
            name: Cow::Borrowed(name),
            shape: Shape::Text,
            words: "Only objects of which this is so: a value, or an operator as in `Ne(x)`.",
        }));
        listed
    }

    /// Adds the query of one object.
    pub(super) fn object_query(self) -> Self {
        self.query(SHAPED)
    }

    /// Adds the query of a change.
    pub(super) fn write_query(self) -> Self {
        self.query(WRITE)
    }
}

/// Makes a router of routes, with the streams among them.
pub(super) fn router(routes: Vec<Route>) -> Router<Arc<Endpoint>> {
    routes.into_iter().fold(Router::new(), |router, route| router.route(&route.path, route.handler))
}
