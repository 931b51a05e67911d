//! Where an endpoint is and who calls.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Where an endpoint is and who calls it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The URL without the API's own path, such as `https://127.0.0.1:8092`.
    pub url: String,
    /// Who calls.
    pub credentials: Credentials,
}

/// How a caller shows who it is (drp-api.md 2.1).
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user with a password, checked anew with every request.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token of a user or a machine.
    Token(String),
}

impl Credentials {
    /// Reads `user:password`; without a colon the whole text is a token.
    #[must_use]
    pub fn from_key(key: &str) -> Self {
        match key.split_once(':') {
            Some((user, password)) => Self::Basic { user: user.to_owned(), password: password.to_owned() },
            None => Self::Token(key.to_owned()),
        }
    }

    /// Returns the value of the `Authorization` header.
    pub(crate) fn authorization(&self) -> String {
        match self {
            Self::Basic { user, password } => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
            }
            Self::Token(token) => format!("Bearer {token}"),
        }
    }
}

/// Shows the user and never a secret: credentials end up in logs with the options that hold them.
impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { user, .. } => write!(formatter, "Basic({user})"),
            Self::Token(_) => formatter.write_str("Token"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_may_hold_colons_and_a_token_has_none() {
        let basic = Credentials::from_key("ab:c:d");
        assert_eq!(basic, Credentials::Basic { user: "ab".into(), password: "c:d".into() });
        assert_eq!(basic.authorization(), "Basic YWI6Yzpk");
        assert_eq!(Credentials::from_key("xyz").authorization(), "Bearer xyz");
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?} {:?}", Credentials::from_key("ab:cd"), Credentials::from_key("efg"));
        assert_eq!(shown, "Basic(ab) Token");
    }
}
