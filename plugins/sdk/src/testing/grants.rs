//! What the component was granted, by the lines of a manifest, as the host reads them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Url;

use crate::testing::GrantError;

/// What may be done. Without grants everything may.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grants {
    params_read: Vec<String>,
    params_write: Vec<String>,
    http: Vec<Web>,
    kv: Option<Access>,
    files: Vec<Root>,
    exec: Vec<String>,
    secrets: Vec<String>,
}

/// Whether something may be changed or only be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    ReadOnly,
    ReadWrite,
}

/// Where files are granted.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    pub(crate) path: String,
    pub(crate) access: Access,
}

/// Addresses that may be asked.
#[derive(Debug, Clone)]
struct Web {
    scheme: String,
    /// Lower case; `*`, or `*.` and a name, or a name or an address.
    host: String,
    port: Option<u16>,
    /// Begins with `/`; may end in `*`.
    path: String,
}

/// What the host says of a line that names a capability in a wrong way.
type Reason = &'static str;

impl Grants {
    pub(crate) fn parse<L: AsRef<str>>(lines: impl IntoIterator<Item = L>) -> Result<Self, GrantError> {
        let mut grants = Self::default();
        for line in lines {
            let line = line.as_ref().trim();
            if !line.is_empty() {
                grants.add(line).map_err(|reason| GrantError { line: line.to_owned(), reason })?;
            }
        }
        Ok(grants)
    }

    fn add(&mut self, line: &str) -> Result<(), Reason> {
        let (capability, rest) = line.split_once(':').unwrap_or((line, ""));
        let words: Vec<&str> = rest.split_whitespace().collect();
        match (capability.trim(), words.as_slice()) {
            ("params", ["read", name]) => self.params_read.push((*name).to_owned()),
            ("params", ["write", name]) => self.params_write.push((*name).to_owned()),
            ("params", _) => return Err("`read NAME` or `write NAME` must follow"),
            ("http", [pattern] | [pattern, "any-certificate"]) => self.http.push(Web::parse(pattern)?),
            ("http", _) => return Err(Web::FORM),
            ("kv", [access]) => self.kv = self.kv.max(Some(Access::parse(access)?)),
            ("kv", _) => return Err(Access::FORM),
            ("files", [path, access]) if is_plain(path) && (path.starts_with('/') || !path.contains('/')) => {
                self.files.push(Root { path: (*path).to_owned(), access: Access::parse(access)? });
            }
            ("files", _) => {
                return Err("an absolute path or the name of a root, and `ro` or `rw` must follow");
            }
            ("exec", [program]) if program.starts_with('/') || !program.contains('/') => {
                self.exec.push((*program).to_owned());
            }
            ("exec", _) => return Err("the name of a program or an absolute path must follow"),
            ("secrets", [name]) => self.secrets.push((*name).to_owned()),
            ("secrets", _) => return Err("one NAME must follow"),
            ("log" | "progress" | "clock" | "random" | "machine", []) => {}
            ("log" | "progress" | "clock" | "random" | "machine", _) => return Err("nothing may follow"),
            _ => return Err("there is no such capability"),
        }
        Ok(())
    }

    pub(crate) fn may_read(&self, name: &str) -> bool {
        self.params_read.iter().any(|pattern| matches(pattern, name))
    }

    pub(crate) fn may_write(&self, name: &str) -> bool {
        self.params_write.iter().any(|pattern| matches(pattern, name))
    }

    pub(crate) fn may_know(&self, name: &str) -> bool {
        self.secrets.iter().any(|pattern| matches(pattern, name))
    }

    pub(crate) fn may_run(&self, program: &str) -> bool {
        self.exec.iter().any(|granted| granted == program)
    }

    pub(crate) fn kv(&self) -> Option<Access> {
        self.kv
    }

    /// Whether an address may be asked. One of the machine itself or of its link only where a grant names it.
    pub(crate) fn may_ask(&self, url: &Url) -> bool {
        let mut covering = self.http.iter().filter(|grant| grant.covers(url)).peekable();
        if covering.peek().is_none() {
            return false;
        }
        covering.any(|grant| !grant.host.starts_with('*')) || !address(url).is_some_and(is_special)
    }

    /// Finds the longest root that covers a path.
    pub(crate) fn root(&self, path: &str) -> Option<&Root> {
        if !is_plain(path) {
            return None;
        }
        let covering = self.files.iter().filter(|root| below(&root.path, path).is_some());
        covering.max_by_key(|root| (root.path.len(), root.access))
    }
}

impl Access {
    const FORM: Reason = "`ro` or `rw` must follow";

    fn parse(word: &str) -> Result<Self, Reason> {
        match word {
            "ro" => Ok(Self::ReadOnly),
            "rw" => Ok(Self::ReadWrite),
            _ => Err(Self::FORM),
        }
    }
}

impl Web {
    const FORM: Reason = "`https://HOST/PATH*` must follow, and `any-certificate` may";

    fn parse(pattern: &str) -> Result<Self, Reason> {
        let (scheme, rest) = pattern.split_once("://").ok_or(Self::FORM)?;
        let slash = rest.find('/').ok_or("a path must follow the host: `/*` for all of it")?;
        let (authority, path) = rest.split_at(slash);
        if authority.is_empty() {
            return Err(Self::FORM);
        }
        if path.strip_suffix('*').unwrap_or(path).contains(['*', '?', '#', '%']) {
            return Err("in a path, `*` may stand at the end only, and there is no `?`, `#` and `%`");
        }
        // A wildcard is no name, so the rest of the authority is read with a name in its place.
        let (wildcard, name) = match authority.strip_prefix('*') {
            None => ("", authority.to_owned()),
            Some(rest) if rest.starts_with('.') => ("*.", rest.trim_start_matches('.').to_owned()),
            Some(rest) => ("*", format!("any{rest}")),
        };
        let url = Url::parse(&format!("{scheme}://{name}{path}")).map_err(|_| "the URL is malformed")?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err("the scheme must be `https` or `http`");
        }
        if !url.username().is_empty() || url.password().is_some() || name.contains('*') {
            return Err(Self::FORM);
        }
        let host = url.host_str().ok_or(Self::FORM)?;
        let host = if wildcard == "*" { wildcard.to_owned() } else { format!("{wildcard}{host}") };
        let port = url.port_or_known_default();
        Ok(Self { scheme: url.scheme().to_owned(), host, port, path: path.to_owned() })
    }

    fn covers(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let host_fits = match self.host.strip_prefix('*') {
            Some("") => true,
            Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            None => self.host == host,
        };
        let path = url.path();
        let path_fits = match self.path.strip_suffix('*') {
            None => self.path == path,
            // A server may take an encoded slash for one, and what follows it for a way out of the prefix.
            Some(prefix) => path.starts_with(prefix) && (prefix == "/" || !hides_slash(path)),
        };
        host_fits && path_fits && url.scheme() == self.scheme && url.port_or_known_default() == self.port
    }
}

fn hides_slash(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    path.contains("%2f") || path.contains("%5c")
}

/// The address in a URL; none when it has a name.
fn address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        url::Host::Ipv4(address) => Some(address.into()),
        url::Host::Ipv6(address) => Some(address.to_canonical()),
        url::Host::Domain("localhost") => Some(Ipv4Addr::LOCALHOST.into()),
        url::Host::Domain(_) => None,
    }
}

/// Whether an address is of this machine, of its link, of many at once, or where clouds tell their secrets.
fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let metadata = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];
            let is_group = v4.is_multicast() || v4.is_broadcast();
            let is_this = v4.octets().first() == Some(&0);
            v4.is_loopback() || v4.is_link_local() || is_group || is_this || metadata.contains(&v4)
        }
        IpAddr::V6(v6) => {
            let is_own = v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local();
            let metadata = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);
            is_own || v6.is_multicast() || v6 == metadata || translated(v6).is_some_and(is_special)
        }
    }
}

/// The address that a translator on the way makes of one, RFC 6052, 2.1.
fn translated(v6: Ipv6Addr) -> Option<IpAddr> {
    match v6.octets() {
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => Some(Ipv4Addr::new(a, b, c, d).into()),
        _ => None,
    }
}

/// The rest of a path below a root.
pub(crate) fn below<'a>(root: &str, path: &'a str) -> Option<&'a str> {
    if root == "/" {
        return path.strip_prefix('/');
    }
    match path.strip_prefix(root)? {
        "" => Some(""),
        rest => rest.strip_prefix('/'),
    }
}

/// Whether each part of a path is a name. It may be absolute.
pub(crate) fn is_plain(path: &str) -> bool {
    path == "/"
        || (!path.contains('\0')
            && path.strip_prefix('/').unwrap_or(path).split('/').all(|part| !matches!(part, "" | "." | "..")))
}

/// Whether a name fits a pattern in which `*` stands for any characters, also none and also `/`.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_stands_for_any_characters() {
        for (pattern, name) in
            [("*", "a/b"), ("a/*", "a/"), ("a*c*e", "abcde"), ("a", "a"), ("*b", "ab"), ("a**", "a")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a/*", "a"), ("a", "ab"), ("a*a", "a"), ("*b", "ba"), ("a*c*e", "ae")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn address_of_the_machine_itself_must_be_named() {
        let may_ask =
            |grant: &str, url: &str| Grants::parse([grant]).unwrap().may_ask(&Url::parse(url).unwrap());
        for (grant, url) in [
            ("http: http://*/*", "http://10.0.0.1/x"),
            ("http: http://127.0.0.1:80/*", "http://127.1/x"),
            ("http: https://*.example:8443/redfish/*", "https://a.b.example:8443/redfish/v1"),
            ("http: https://a.example/* any-certificate", "https://A.example:443/x?y"),
        ] {
            assert!(may_ask(grant, url), "{grant} {url}");
        }
        for (grant, url) in [
            ("http: http://*/*", "http://localhost/x"),
            ("http: http://*/*", "http://169.254.169.254/latest"),
            ("http: http://*/*", "http://[::ffff:127.0.0.1]/"),
            ("http: http://*/*", "http://[64:ff9b::7f00:1]/"),
            ("http: https://*/*", "http://a.example/"),
            ("http: https://a.example/x/*", "https://a.example/x/../y"),
            ("http: https://a.example/x/*", "https://a.example/x/..%2Fy"),
        ] {
            assert!(!may_ask(grant, url), "{grant} {url}");
        }
    }

    #[test]
    fn line_that_is_no_grant_is_told() {
        for line in [
            "params: see x",
            "http: ftp://a/*",
            "http: https://a",
            "kv: w",
            "files: a/b ro",
            "files: /a/../b ro",
            "exec: a/b",
            "secrets:",
            "log: x",
            "disk: rw",
        ] {
            assert_eq!(Grants::parse(["kv: rw", line]).unwrap_err().line, line);
        }
    }
}
