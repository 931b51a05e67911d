//! The objects of one type as JSON, for callers that learn the type at run time.

use formwork_api::LIST_FILTER_COUNT;
use reqwest::Method;
use serde_json::{Map, Value};

use crate::{Client, ClientError, PatchOp, Query, request::Body};

/// Access to the objects of one type. Every method is one request.
#[derive(Clone, Copy, Debug)]
pub struct Collection<'a> {
    pub(crate) client: &'a Client,
    pub(crate) prefix: &'a str,
    force: bool,
}

impl<'a> Collection<'a> {
    pub(crate) fn new(client: &'a Client, prefix: &'a str) -> Self {
        Self { client, prefix, force: false }
    }

    /// Makes every write relax what the endpoint lets a caller relax (`force=true`, drp-api.md 5.3).
    #[must_use]
    pub fn force(self, force: bool) -> Self {
        Self { force, ..self }
    }

    /// Returns the objects that match a query.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 406 for a query that cannot be answered.
    pub async fn list(&self, query: &Query) -> Result<Vec<Value>, ClientError> {
        self.client.ask(Method::GET, &[self.prefix], query).await?.decode()
    }

    /// Returns the number of objects that match a query.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; an answer without the number is one.
    pub async fn count(&self, query: &Query) -> Result<u64, ClientError> {
        let answer = self.client.ask(Method::HEAD, &[self.prefix], query).await?;
        let number =
            answer.headers.get(LIST_FILTER_COUNT).and_then(|value| value.to_str().ok()?.parse().ok());
        number.ok_or_else(|| answer.wrong(format!("there is no number in `{LIST_FILTER_COUNT}`")))
    }

    /// Returns one object, by its key or as `Index:value` for a unique index.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is none.
    pub async fn show(&self, id: &str, query: &Query) -> Result<Value, ClientError> {
        self.client.ask(Method::GET, &[self.prefix, id], query).await?.json()
    }

    /// Tells whether an object exists.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`] but 404.
    pub async fn exists(&self, id: &str) -> Result<bool, ClientError> {
        match self.client.ask(Method::HEAD, &[self.prefix, id], &Query::new()).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes an object and returns it as it was stored.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 409 when the key exists, 422 for an object that is not acceptable.
    pub async fn create(&self, object: &Value) -> Result<Value, ClientError> {
        let body = Body::json(object)?;
        self.client.send(Method::POST, &[self.prefix], &self.write_query(), body).await?.json()
    }

    /// Changes an object and returns it as it was stored. All operations are done, or none.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 409 when an operation fails, 422 when the result is not acceptable.
    pub async fn patch(&self, id: &str, operations: &[PatchOp]) -> Result<Value, ClientError> {
        let body = Body::json(&operations)?;
        self.client.send(Method::PATCH, &[self.prefix, id], &self.write_query(), body).await?.json()
    }

    /// Replaces an object and returns it as it was stored.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is none, 422 for an object that is not acceptable.
    pub async fn put(&self, id: &str, object: &Value) -> Result<Value, ClientError> {
        let body = Body::json(object)?;
        self.client.send(Method::PUT, &[self.prefix, id], &self.write_query(), body).await?.json()
    }

    /// Removes an object and returns it as it was.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is none, 409 while it is in use.
    pub async fn destroy(&self, id: &str) -> Result<Value, ClientError> {
        self.client.ask(Method::DELETE, &[self.prefix, id], &self.write_query()).await?.json()
    }

    /// Returns the entity tag of an object, which changes whenever the object does.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; an answer without the tag is one.
    pub async fn etag(&self, id: &str) -> Result<String, ClientError> {
        let answer = self.client.ask(Method::HEAD, &[self.prefix, id], &Query::new()).await?;
        let tag = answer.headers.get("etag").and_then(|value| value.to_str().ok()).map(str::to_owned);
        tag.ok_or_else(|| answer.wrong("there is no entity tag"))
    }

    /// Returns the params of an object by name; `aggregate` adds those that it has from elsewhere (drp-api.md 6.2).
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is no such object.
    pub async fn params(&self, id: &str, aggregate: bool) -> Result<Map<String, Value>, ClientError> {
        let path = [self.prefix, id, "params"];
        self.client.ask(Method::GET, &path, &aggregated(aggregate)).await?.decode()
    }

    /// Returns one param; null when nothing sets it.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is no such object.
    pub async fn param(&self, id: &str, name: &str, aggregate: bool) -> Result<Value, ClientError> {
        let path = self.param_path(id, name);
        self.client.ask(Method::GET, &path, &aggregated(aggregate)).await?.json()
    }

    /// Sets one param on the object itself and returns its value.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 422 for a value that does not fit the param's schema.
    pub async fn param_set(&self, id: &str, name: &str, value: &Value) -> Result<Value, ClientError> {
        let body = Body::json(value)?;
        self.client.send(Method::POST, &self.param_path(id, name), &self.write_query(), body).await?.json()
    }

    /// Removes one param of the object itself and returns the value that it had.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is no such object.
    pub async fn param_remove(&self, id: &str, name: &str) -> Result<Value, ClientError> {
        self.client.ask(Method::DELETE, &self.param_path(id, name), &self.write_query()).await?.json()
    }

    /// Replaces all params of the object itself and returns them.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 422 for a value that does not fit its param's schema.
    pub async fn params_set(&self, id: &str, params: &Value) -> Result<Value, ClientError> {
        let path = [self.prefix, id, "params"];
        self.client.send(Method::POST, &path, &self.write_query(), Body::json(params)?).await?.json()
    }

    /// Returns the path of a param: slashes of its name are slashes of the path (drp-api.md 6.1).
    fn param_path<'b>(&'b self, id: &'b str, name: &'b str) -> Vec<&'b str> {
        [self.prefix, id, "params"].into_iter().chain(name.split('/')).collect()
    }

    fn write_query(&self) -> Query {
        if self.force { Query::new().with("force", true) } else { Query::new() }
    }
}

fn aggregated(aggregate: bool) -> Query {
    if aggregate { Query::new().with("aggregate", true) } else { Query::new() }
}
