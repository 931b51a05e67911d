//! What can go wrong between a caller and an endpoint.

use std::error::Error;

use formwork_api::ApiError;

/// A request that did not get the answer it wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The URL of the endpoint, or a key that is to be part of a URL, is not usable.
    #[error("`{text}` is not usable: {reason}")]
    Url {
        /// The text.
        text: String,
        /// Why not.
        reason: String,
    },
    /// The endpoint could not be reached at all.
    #[error("failed to reach `{url}`")]
    Connect {
        /// The endpoint.
        url: String,
        /// What the network says.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The connection broke or the time was up before the whole answer was there; the request may have been done.
    #[error("{method} `{path}` got no answer")]
    Transport {
        /// The method.
        method: String,
        /// The path.
        path: String,
        /// What the network says.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The endpoint refused.
    #[error("{0}")]
    Api(Box<ApiError>),
    /// The endpoint answered something that the API does not say.
    #[error("{method} `{path}` got an answer that does not fit: {reason}")]
    Answer {
        /// The method.
        method: String,
        /// The path.
        path: String,
        /// What does not fit.
        reason: String,
    },
    /// What came could not be written here.
    #[error("failed to write what `{path}` has")]
    Local {
        /// The path of the request.
        path: String,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// The event stream ended or a filter was refused.
    #[error("event stream: {0}")]
    Events(String),
}

impl ClientError {
    /// Returns the status of a refusal.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api(error) => Some(error.code),
            _ => None,
        }
    }

    /// Tells whether the same request may do better later: the network failed, or the endpoint is starting,
    /// overloaded or broken.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Transport { .. } | Self::Events(_) => true,
            Self::Api(error) => error.code >= 500 || matches!(error.code, 408 | 429),
            Self::Url { .. } | Self::Answer { .. } | Self::Local { .. } => false,
        }
    }

    /// Tells whether the object does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Tells whether the caller is not known or may not do this.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.status(), Some(401 | 403))
    }

    /// Returns the error and its causes in one line, outermost first.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
