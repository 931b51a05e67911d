//! A sighting in the words of the field.

use super::dhcp_seen::DhcpSeen;
use super::sighting::{
    ArpSeen, ClosedSeen, Dhcp6Seen, HttpEnd, HttpSeen, RouterSeen, Sighting, TftpSeen, What,
};
use super::stage::Stage;

/// Says in one line what was seen.
#[must_use]
pub fn describe(sighting: &Sighting) -> String {
    match &sighting.what {
        What::Dhcp(seen) => dhcp(sighting, seen),
        What::Dhcp6(seen) => dhcp6(sighting, seen),
        What::Tftp(seen) => tftp(seen),
        What::Http(seen) => http(seen),
        What::Arp(ArpSeen::Asks { address, probe: true }) => format!("ARP: is {address} free?"),
        What::Arp(ArpSeen::Asks { address, probe: false }) => format!("ARP: who has {address}?"),
        What::Arp(ArpSeen::Has { address }) => {
            format!("ARP: {} has {address}", sighting.mac.map(|mac| mac.to_string()).unwrap_or_default())
        }
        What::Router(RouterSeen::Solicitation) => "router solicitation".to_owned(),
        What::Router(RouterSeen::Advertisement { managed, other, lifetime_secs }) => {
            let flags = match (managed, other) {
                (true, true) => ", flags M and O",
                (true, false) => ", flag M",
                (false, true) => ", flag O",
                (false, false) => "",
            };
            format!("router advertisement, lifetime {lifetime_secs} s{flags}")
        }
        What::Closed(ClosedSeen { transport, port, silent }) => {
            let how = if *silent { "does not answer" } else { "is closed" };
            format!("{} port {port} {how}", transport.name())
        }
        What::Decision(seen) => {
            let boot = seen.boot.as_ref().map_or_else(|| "nothing".to_owned(), |boot| format!("`{boot}`"));
            format!("the endpoint lets it boot {boot} by the rule `{}`", seen.rule)
        }
        What::Unreadable { reason } => format!("unreadable {reason}"),
    }
}

/// A line of parts with commas between.
struct Line(String);

impl Line {
    fn add(mut self, part: Option<String>) -> Self {
        if let Some(part) = part {
            self.0.push_str(", ");
            self.0.push_str(&part);
        }
        self
    }
}

fn dhcp(sighting: &Sighting, seen: &DhcpSeen) -> String {
    let name = seen.message.name();
    if seen.is_by_client() {
        let client = Stage::of(sighting).map(|stage| stage.name);
        let boot_server = (sighting.to.port == Some(4011)).then(|| "to the boot server port 4011".to_owned());
        return Line(name.to_owned())
            .add(client)
            .add(seen.requested.map(|address| format!("for {address}")))
            .add(seen.ciaddr.map(|address| format!("with {address}")))
            .add(seen.server_id.map(|server| format!("to server {server}")))
            .add(seen.broadcast.then(|| "wants broadcast".to_owned()))
            .add(seen.giaddr.map(|relay| format!("through relay {relay}")))
            .add(boot_server)
            .add(seen.text.as_ref().map(|text| format!("\"{text}\"")))
            .0;
    }
    let next = seen.siaddr.map(|address| address.to_string()).or_else(|| seen.boot_server.clone());
    let from = next.map(|next| format!(" from {next}")).unwrap_or_default();
    let file = seen.boot_file.as_ref().map(|file| format!("boot file `{file}`{from}"));
    Line(name.to_owned())
        .add(seen.yiaddr.map(|address| address.to_string()))
        .add(seen.server_id.map(|server| format!("server {server}")))
        .add(file)
        .add(seen.vendor_class.as_ref().map(|class| format!("class `{class}`")))
        .add(seen.giaddr.map(|relay| format!("through relay {relay}")))
        .add(seen.text.as_ref().map(|text| format!("\"{text}\"")))
        .0
}

fn dhcp6(sighting: &Sighting, seen: &Dhcp6Seen) -> String {
    let client = Stage::of(sighting).map(|stage| stage.name);
    let addresses = seen.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    Line(seen.name().to_owned())
        .add(client)
        .add(Some(addresses).filter(|list| !list.is_empty()))
        .add(seen.boot_url.as_ref().map(|url| format!("boot file `{url}`")))
        .add(seen.status.as_ref().map(|(code, text)| format!("status {code} \"{text}\"")))
        .0
}

fn tftp(seen: &TftpSeen) -> String {
    match seen {
        TftpSeen::Request { file, write, block_size, window, size } => {
            Line(format!("TFTP {} `{file}`", if *write { "WRQ" } else { "RRQ" }))
                .add(block_size.map(|size| format!("blksize {size}")))
                .add(window.map(|window| format!("windowsize {window}")))
                .add(size.then(|| "tsize".to_owned()))
                .0
        }
        TftpSeen::Options { confirmed, .. } => {
            let all = confirmed.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>();
            format!("TFTP OACK {}", all.join(", "))
        }
        TftpSeen::Done { file, bytes, millis } => {
            format!("TFTP done: `{file}`, {bytes} bytes in {millis} ms")
        }
        TftpSeen::Error { file, code, text, by_client, .. } => {
            let who = if *by_client { "client" } else { "server" };
            format!("TFTP ERROR {code} \"{}\" of the {who} for `{file}`", short(text))
        }
        TftpSeen::Unfinished { file, answered: false, .. } => format!("TFTP: no answer for `{file}`"),
        TftpSeen::Unfinished { file, bytes, acknowledged, .. } => {
            let block = acknowledged.map_or_else(|| "none".to_owned(), |block| block.to_string());
            format!("TFTP: `{file}` stops at {bytes} bytes, last block acknowledged: {block}")
        }
    }
}

fn http(seen: &HttpSeen) -> String {
    match seen {
        HttpSeen::Request { method, target, agent, .. } => {
            Line(format!("HTTP {method} {}", short(target)))
                .add(agent.as_ref().map(|agent| format!("`{agent}`")))
                .0
        }
        HttpSeen::Response { status, length, .. } => {
            Line(format!("HTTP {status}")).add(length.map(|length| format!("{length} bytes"))).0
        }
        HttpSeen::Done { target, bytes, millis, .. } => {
            format!("HTTP done: {}, {bytes} bytes in {millis} ms", short(target))
        }
        HttpSeen::Broken { target, bytes, length, end, .. } => {
            let of = length.map(|length| format!(" of {length}")).unwrap_or_default();
            let how = match end {
                HttpEnd::ClosedByServer => "the server closed the connection",
                HttpEnd::ClosedByClient => "the client closed the connection",
                HttpEnd::Reset => "the connection was reset",
                HttpEnd::Silence => "nothing more was seen",
            };
            format!("HTTP: {} stops at {bytes}{of} bytes, {how}", short(target))
        }
    }
}

/// Cuts a text that would fill the line, such as a path with a long query.
fn short(text: &str) -> String {
    const LONGEST: usize = 72;
    let mut letters = text.chars();
    let mut short = letters.by_ref().take(LONGEST).collect::<String>();
    if letters.next().is_some() {
        short.push_str("..");
    }
    short
}
