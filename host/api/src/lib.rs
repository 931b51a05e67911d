//! Request and response types of the API, errors and the query language.
