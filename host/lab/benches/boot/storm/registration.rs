//! What an agent does first: it asks which machine it is, makes that machine, and asks again for its rights.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::{Value, json};

use crate::place::SERVER;

use super::firmware::{answer, mac_text};

/// How long a connection may rest.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn register(tls: &Arc<ClientConfig>, number: u32, token: &str) -> Result<(), String> {
    let name = ServerName::try_from(SERVER).expect("an address");
    let connection = ClientConnection::new(Arc::clone(tls), name).map_err(|error| error.to_string())?;
    let stream =
        TcpStream::connect((SERVER, 8092)).map_err(|error| format!("API connect: {}", error.kind()))?;
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut agent = Agent { stream: BufReader::new(StreamOwned::new(connection, stream)), token };
    let mac = mac_text(number);
    let uuid = format!("00000000-0000-4000-8000-{number:012x}");
    let fingerprint = json!({"SystemUUID": uuid});
    let whoami = json!({"Fingerprint": fingerprint, "MacAddrs": [mac]});
    let known = agent.post("whoami", &whoami)?;
    if uuid_in(&known) != Some("") {
        return Err("the machine is known already".to_owned());
    }
    let machine = json!({
        "Uuid": uuid, "Name": format!("d{}", mac.replace(':', "")), "Arch": "amd64",
        "HardwareAddrs": [mac], "Fingerprint": fingerprint,
    });
    agent.post("machines", &machine)?;
    let known = agent.post("whoami", &whoami)?;
    if uuid_in(&known) == Some(&uuid) { Ok(()) } else { Err(format!("the machine is not known: {known}")) }
}

/// Returns which machine an answer says that it is; empty for none.
fn uuid_in(answer: &Value) -> Option<&str> {
    answer.pointer("/Result/Uuid")?.as_str()
}

struct Agent<'a> {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    token: &'a str,
}

impl Agent<'_> {
    fn post(&mut self, path: &str, body: &Value) -> Result<Value, String> {
        let (body, token) = (body.to_string(), self.token);
        let head = format!(
            "POST /api/v3/{path} HTTP/1.1\r\nHost: {SERVER}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(head.as_bytes()).map_err(|error| format!("API: {}", error.kind()))?;
        let (status, body) = answer(&mut self.stream)?;
        if !(200..300).contains(&status) {
            return Err(format!("API: {path}: {status} {}", String::from_utf8_lossy(&body)));
        }
        serde_json::from_slice(&body).map_err(|_| format!("API: {path}: no JSON"))
    }
}
