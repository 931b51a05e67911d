//! The Redfish service of one management controller: its address, the login, and requests (DMTF DSP0266).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use formwork_sdk::Failure;
use formwork_sdk::http::{Method, Request, Response};
use serde_json::{Value, json};

/// Controllers are slow; one that takes longer is taken for dead.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Where sessions are made.
const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";

/// Where the systems are listed.
const SYSTEMS: &str = "/redfish/v1/Systems";

/// How to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Login {
    /// Not at all.
    Nobody,
    /// With each request.
    Basic { user: String, password: String },
    /// Once, for a token.
    Session { user: String, password: String },
}

impl Login {
    /// Reads the params.
    ///
    /// # Errors
    ///
    /// A way to log in that is not known, or a user without a password.
    pub(crate) fn of(
        auth: Option<&str>,
        user: Option<String>,
        password: Option<String>,
    ) -> Result<Self, Failure> {
        let Some(user) = user else { return Ok(Self::Nobody) };
        let password = password.ok_or_else(|| {
            Failure::new("no-password", "`redfish/username` is set, but `redfish/password` is not")
        })?;
        match auth {
            None | Some("basic") => Ok(Self::Basic { user, password }),
            Some("session") => Ok(Self::Session { user, password }),
            Some(other) => Err(Failure::new(
                "invalid-param",
                format!("`redfish/auth` is `{other}`; known are basic and session"),
            )),
        }
    }
}

/// A service that one is logged in to.
pub(crate) struct Service {
    base: String,
    /// The header line that proves the login.
    proof: Option<(String, String)>,
    /// The session to close.
    session: Option<String>,
}

impl Service {
    /// Logs in.
    pub(crate) fn open(address: &str, login: &Login) -> Result<Self, Failure> {
        let mut service = Self { base: base(address)?, proof: None, session: None };
        match login {
            Login::Nobody => {}
            Login::Basic { user, password } => {
                let pair = STANDARD.encode(format!("{user}:{password}"));
                service.proof = Some((String::from("authorization"), format!("Basic {pair}")));
            }
            Login::Session { user, password } => {
                let answer = service.ask(
                    Method::Post,
                    SESSIONS,
                    None,
                    Some(&json!({ "UserName": user, "Password": password })),
                )?;
                let token = answer.header("x-auth-token").ok_or_else(|| {
                    Failure::new("no-session", "the controller made a session, but gave no token for it")
                })?;
                service.session = answer.header("location").map(path_of);
                service.proof = Some((String::from("x-auth-token"), token.to_owned()));
            }
        }
        Ok(service)
    }

    /// Closes the session, if there is one. Controllers have room for few.
    pub(crate) fn close(&self) {
        if let Some(session) = &self.session
            && let Err(failure) = self.ask(Method::Delete, session, None, None)
        {
            formwork_sdk::log::warn!("the session stays open until the controller ends it: {failure}");
        }
    }

    /// Finds a system: the one with an id, else the first. Returns its path and its resource.
    pub(crate) fn system(&self, id: Option<&str>) -> Result<(String, Value), Failure> {
        let path = match id {
            Some(id) => format!("{SYSTEMS}/{id}"),
            None => {
                let list: Value = self.ask(Method::Get, SYSTEMS, None, None)?.json()?;
                let first = list.pointer("/Members/0/@odata.id").and_then(Value::as_str);
                first
                    .map(str::to_owned)
                    .ok_or_else(|| Failure::new("no-system", "the controller lists no system"))?
            }
        };
        let answer = self.ask(Method::Get, &path, None, None)?;
        let mut system: Value = answer.json()?;
        if let (Some(members), Some(tag)) = (system.as_object_mut(), answer.header("etag")) {
            members.entry("@odata.etag").or_insert_with(|| Value::String(tag.to_owned()));
        }
        Ok((path, system))
    }

    /// Posts JSON.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<(), Failure> {
        self.ask(Method::Post, path, None, Some(body)).map(|_| ())
    }

    /// Changes members of a resource, if it still is the one with an entity tag.
    pub(crate) fn patch(&self, path: &str, tag: Option<&str>, body: &Value) -> Result<(), Failure> {
        self.ask(Method::Patch, path, tag, Some(body)).map(|_| ())
    }

    /// Sends a request to a path of the controller.
    fn ask(
        &self,
        method: Method,
        path: &str,
        tag: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Response, Failure> {
        if !path.starts_with('/') || path.starts_with("//") {
            return Err(Failure::new(
                "odd-answer",
                format!("the controller names `{path}`, which is no path of its own"),
            ));
        }
        let mut request = Request::new(method, format!("{}{path}", self.base)).timeout(TIMEOUT);
        request = request.header("accept", "application/json").header("odata-version", "4.0");
        if let Some((name, value)) = &self.proof {
            request = request.header(name, value);
        }
        if let Some(tag) = tag {
            request = request.header("if-match", tag);
        }
        if let Some(body) = body {
            request = request.json(body)?;
        }
        let answer = request.send()?;
        if answer.is_success() { Ok(answer) } else { Err(refusal(path, &answer)) }
    }
}

/// Reads the address as the beginning of URLs.
fn base(address: &str) -> Result<String, Failure> {
    let address = address.trim();
    let (scheme, rest) = address.split_once("://").unwrap_or(("https", address));
    let rest = rest.trim_end_matches('/');
    let plain = !rest.is_empty() && !rest.ends_with(':') && !rest.contains(['/', '?', '#', '@', ' ', '\\']);
    if !matches!(scheme, "http" | "https") || !plain {
        let message = format!("`redfish/address` is `{address}`, which is no address of a controller");
        return Err(Failure::new("invalid-param", message).hint("write it as https://HOST or HOST"));
    }
    Ok(format!("{scheme}://{rest}"))
}

/// Returns the path of a `location`, which may be a whole URL.
fn path_of(location: &str) -> String {
    let rest = location.split_once("://").map_or(location, |(_, rest)| rest);
    if location.starts_with('/') {
        return location.to_owned();
    }
    rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/").to_owned()
}

/// Puts an answer that is no success into words: those of the controller where it has some.
fn refusal(path: &str, answer: &Response) -> Failure {
    let status = answer.status;
    let said = answer.json::<Value>().ok().and_then(|error| {
        let info = error
            .pointer("/error/@Message.ExtendedInfo/0/Message")
            .or_else(|| error.pointer("/error/message"));
        info.and_then(Value::as_str).map(|words| format!(": {words}"))
    });
    let message = format!("the controller answered status {status} to `{path}`{}", said.unwrap_or_default());
    match status {
        401 | 403 => Failure::new("bmc-login", message).hint("look at redfish/username and redfish/password"),
        _ => Failure::new("bmc-refused", message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_a_host_and_nothing_else() {
        assert_eq!(base("bmc1.example").unwrap(), "https://bmc1.example");
        assert_eq!(base(" http://10.0.0.5:8000/ ").unwrap(), "http://10.0.0.5:8000");
        assert_eq!(base("https://[fe80::1]").unwrap(), "https://[fe80::1]");
        for odd in
            ["", "ftp://x", "https://", "https:/", "https://u:p@x", "https://x/redfish", "x?y", "https://x#y"]
        {
            assert!(base(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn location_may_be_a_url() {
        assert_eq!(path_of("/redfish/v1/Sessions/1"), "/redfish/v1/Sessions/1");
        assert_eq!(path_of("https://x:1/redfish/v1/Sessions/1"), "/redfish/v1/Sessions/1");
        assert_eq!(path_of("https://x"), "/");
    }

    #[test]
    fn user_needs_a_password_and_a_known_way() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(Login::of(None, None, None).unwrap(), Login::Nobody);
        assert_eq!(Login::of(None, text("u"), None).unwrap_err().code, "no-password");
        assert_eq!(Login::of(Some("x"), text("u"), text("p")).unwrap_err().code, "invalid-param");
        assert!(matches!(Login::of(Some("session"), text("u"), text("p")), Ok(Login::Session { .. })));
    }

    #[test]
    fn words_of_the_controller_are_told() {
        let answer = Response {
            status: 400,
            headers: Vec::new(),
            body: json!({"error": {"@Message.ExtendedInfo": [{"Message": "not while on"}]}})
                .to_string()
                .into_bytes(),
        };
        let failure = refusal("/x", &answer);
        assert_eq!(failure.message, "the controller answered status 400 to `/x`: not while on");
        assert_eq!(refusal("/x", &Response { status: 401, ..answer }).code, "bmc-login");
    }
}
