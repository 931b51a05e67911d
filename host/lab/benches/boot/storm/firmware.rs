//! The firmware of one machine and the iPXE that it loads, up to the kernel's command line.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::place::{LOAD, SERVER};
use crate::transfer::{Ask, fetch, probe};

use super::relay::Relay;

const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// Where options begin, behind the fixed part and the magic number (RFC 2131 2).
const OPTIONS: usize = 240;

/// How long a connection may rest.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a machine has when its kernel would start.
pub(super) struct Booted {
    pub(super) address: [u8; 4],
    /// The right to make a machine.
    pub(super) token: String,
}

pub(super) struct Firmware<'a> {
    number: u32,
    relay: &'a Relay,
}

/// Which program asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Rom,
    Ipxe,
}

/// What DHCP gave.
struct Lease {
    address: [u8; 4],
    server: Vec<u8>,
    file: String,
}

/// Returns the MAC address of a machine.
pub(super) fn mac(number: u32) -> [u8; 6] {
    let [a, b, c, d] = number.to_be_bytes();
    [0x52, 0x54, a, b, c, d]
}

/// Returns it as text.
pub(super) fn mac_text(number: u32) -> String {
    mac(number).map(|byte| format!("{byte:02x}")).join(":")
}

impl<'a> Firmware<'a> {
    pub(super) fn new(number: u32, relay: &'a Relay) -> Self {
        Self { number, relay }
    }

    /// Goes all the way.
    pub(super) fn boot(&self) -> Result<Booted, String> {
        let rom = self.lease(Stage::Rom)?;
        let loader = Ask { server: SERVER, file: &rom.file, block: 1468, window: 1 };
        // UEFI's PXE asks for the size first and breaks off.
        probe(loader)
            .and_then(|()| fetch(loader))
            .map_err(|error| format!("TFTP `{}`: {error}", rom.file))?;
        let ipxe = self.lease(Stage::Ipxe)?;
        let path = path_of(&ipxe.file).ok_or_else(|| format!("`{}` is no URL for iPXE", ipxe.file))?;
        let mut web = Web::open(&ipxe.file)?;
        let script = String::from_utf8(web.get(&path)?.1).map_err(|_| "the script is no text".to_owned())?;
        // Files of its own, which nobody knows yet.
        for own in [mac_text(self.number), Ipv4Addr::from(ipxe.address).to_string()] {
            let status = web.get(&format!("/{own}.ipxe"))?.0;
            if status != 404 {
                return Err(format!("the file of a machine that nobody knows has status {status}"));
            }
        }
        let lines = script.lines().filter(|line| line.starts_with("kernel ") || line.starts_with("initrd "));
        let mut token = None;
        for line in lines {
            let url =
                line.split(' ').find(|word| word.starts_with("http://")).ok_or("a line without a URL")?;
            let (status, _) = web.get(&path_of(url).unwrap_or_default())?;
            if status != 200 {
                return Err(format!("`{url}` has status {status}"));
            }
            token = token.or_else(|| line.split(' ').find_map(|word| word.strip_prefix("formwork.token=")));
        }
        let token = token.ok_or_else(|| format!("no token in the script: {script}"))?.to_owned();
        Ok(Booted { address: rom.address, token })
    }

    fn lease(&self, stage: Stage) -> Result<Lease, String> {
        // A transaction of its own for each stage.
        let transaction = (self.number << 1 | u32::from(stage == Stage::Ipxe)).to_be_bytes();
        let answers = self.relay.listen(transaction);
        let discover = self.packet(stage, transaction, DISCOVER, None);
        let offer = self.relay.exchange(&discover, &answers, |packet| lease(packet, OFFER))?;
        let request = self.packet(stage, transaction, REQUEST, Some(&offer));
        self.relay.exchange(&request, &answers, |packet| lease(packet, ACK))
    }

    /// Returns a packet as UEFI x86-64 or iPXE sends it (RFC 4578), with the address of the relay in it.
    fn packet(&self, stage: Stage, transaction: [u8; 4], kind: u8, offer: Option<&Lease>) -> Vec<u8> {
        let relay: Ipv4Addr = LOAD.parse().unwrap();
        let mac = mac(self.number);
        let mut packet = vec![1, 1, 6, 1];
        packet.extend(transaction);
        packet.extend([0; 16]);
        packet.extend(relay.octets());
        packet.extend(mac);
        packet.resize(236, 0);
        packet.extend([99, 130, 83, 99]);
        let mut option = |code: u8, value: &[u8]| {
            packet.extend([code, u8::try_from(value.len()).unwrap()]);
            packet.extend(value);
        };
        option(53, &[kind]);
        option(55, &[1, 3, 6, 12, 15, 43, 54, 60, 66, 67, 97, 175]);
        option(57, &1472_u16.to_be_bytes());
        option(60, b"PXEClient:Arch:00007:UNDI:003001");
        option(93, &[0, 7]);
        option(94, &[1, 3, 1]);
        option(97, &[&[0; 11], mac.as_slice()].concat());
        if stage == Stage::Ipxe {
            option(77, b"iPXE");
            option(175, &[19, 1, 1, 20, 1, 1, 39, 1, 1]);
        }
        if let Some(offer) = offer {
            option(50, &offer.address);
            option(54, &offer.server);
        }
        packet.push(255);
        packet
    }
}

/// Reads an answer: nothing for one of another kind.
fn lease(packet: &[u8], wanted: u8) -> Option<Result<Lease, String>> {
    let kind = *option(packet, 53)?.first()?;
    if kind == NAK {
        return Some(Err("DHCP: refused".to_owned()));
    }
    if kind != wanted {
        return None;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
    let file = option(packet, 67).map_or_else(|| text(packet.get(108..236).unwrap_or_default()), text);
    let address = packet.get(16..20)?.try_into().ok()?;
    Some(Ok(Lease { address, server: option(packet, 54)?.to_vec(), file }))
}

fn option(packet: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = packet.get(OPTIONS..)?;
    loop {
        match rest {
            [0, more @ ..] => rest = more,
            [code, length, more @ ..] if *code != 255 => {
                let (value, more) = more.split_at_checked(usize::from(*length))?;
                if *code == wanted {
                    return Some(value);
                }
                rest = more;
            }
            _ => return None,
        }
    }
}

/// Returns the path of a URL.
fn path_of(url: &str) -> Option<String> {
    let (_, path) = url.strip_prefix("http://")?.split_once('/')?;
    Some(format!("/{path}"))
}

/// A connection that stays open.
struct Web {
    host: String,
    stream: BufReader<TcpStream>,
}

impl Web {
    fn open(url: &str) -> Result<Self, String> {
        let host = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let stream = TcpStream::connect(host).map_err(|error| format!("HTTP connect: {}", error.kind()))?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Ok(Self { host: host.to_owned(), stream: BufReader::new(stream) })
    }

    /// Returns the status and the body of an answer.
    fn get(&mut self, path: &str) -> Result<(u16, Vec<u8>), String> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        self.stream
            .get_mut()
            .write_all(request.as_bytes())
            .map_err(|error| format!("HTTP: {}", error.kind()))?;
        answer(&mut self.stream)
    }
}

/// Reads an answer whose length is known. What is longer than a script is counted and thrown away.
pub(super) fn answer(stream: &mut impl std::io::BufRead) -> Result<(u16, Vec<u8>), String> {
    let failed = |error: std::io::Error| format!("HTTP: {}", error.kind());
    let (mut status, mut length, mut line) = (0, 0_u64, String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line).map_err(failed)? == 0 {
            return Err("HTTP: closed".to_owned());
        }
        let text = line.trim_end().to_ascii_lowercase();
        if text.is_empty() {
            break;
        }
        if let Some(rest) = text.strip_prefix("http/1.1 ") {
            status = rest.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(0);
        }
        if let Some(rest) = text.strip_prefix("content-length:") {
            length = rest.trim().parse().map_err(|_| "HTTP: a length that is no number".to_owned())?;
        }
    }
    if length < 64 << 10 {
        let mut body = Vec::new();
        stream.take(length).read_to_end(&mut body).map_err(failed)?;
        return Ok((status, body));
    }
    let copied = std::io::copy(&mut stream.take(length), &mut std::io::sink()).map_err(failed)?;
    if copied == length { Ok((status, Vec::new())) } else { Err("HTTP: cut off".to_owned()) }
}
