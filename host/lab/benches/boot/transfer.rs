//! A TFTP client that measures: it keeps what firmware keeps, and throws the bytes away.

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

/// How long it waits for a packet, as firmware does.
const TIMEOUT: Duration = Duration::from_secs(1);

/// How often in a row it says the same again.
const REPEATS: u32 = 20;

const DATA: u16 = 3;
const ERROR: u16 = 5;
const OACK: u16 = 6;

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) server: &'a str,
    pub(crate) file: &'a str,
    /// Bytes of a block.
    pub(crate) block: usize,
    /// Blocks of a window (RFC 7440); 1 does not ask for windows.
    pub(crate) window: u16,
}

/// Fetches a file and returns its size.
pub(crate) fn fetch(ask: Ask<'_>) -> io::Result<usize> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    let mut last = request(ask);
    let mut buffer = vec![0_u8; 65_536];
    socket.send_to(&last, (ask.server, 69))?;
    let mut transfer = Transfer { ask, next: 1, unacknowledged: 0, bytes: 0, gap: 0 };
    let (mut known, mut repeats) = (false, 0);
    loop {
        let received = if known { socket.recv(&mut buffer) } else { first(&socket, &mut buffer) };
        match received {
            Ok(length) => {
                known = true;
                let packet = buffer.get(..length).unwrap_or_default();
                match transfer.take(packet)? {
                    Step::Wait => {}
                    Step::Say(number) => {
                        repeats = 0;
                        last = acknowledgement(number);
                        socket.send(&last)?;
                    }
                    Step::End(number) => {
                        socket.send(&acknowledgement(number))?;
                        return Ok(transfer.bytes);
                    }
                }
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                repeats += 1;
                if repeats > REPEATS {
                    return Err(io::Error::other(format!("no answer at block {}", transfer.next)));
                }
                transfer.unacknowledged = 0;
                if known {
                    socket.send(&last)?
                } else {
                    socket.send_to(&last, (ask.server, 69))?
                };
            }
            Err(error) => return Err(error),
        }
    }
}

/// Asks for a file and its size, and breaks off when they are told, as UEFI's PXE does before it fetches.
pub(crate) fn probe(ask: Ask<'_>) -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    let mut buffer = [0_u8; 2048];
    for _ in 0..REPEATS {
        socket.send_to(&request(ask), (ask.server, 69))?;
        match first(&socket, &mut buffer) {
            Ok(_) if buffer.get(1) == Some(&6) => {
                socket.send(b"\0\x05\0\x08User aborted the transfer\0")?;
                return Ok(());
            }
            Ok(_) => return Err(io::Error::other("no size told")),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("no answer"))
}

/// Receives the first packet and keeps to its sender, which is a port of its own for each transfer.
fn first(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<usize> {
    let (length, sender) = socket.recv_from(buffer)?;
    socket.connect(sender)?;
    Ok(length)
}

/// What is to be done after a packet.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Wait,
    Say(u16),
    End(u16),
}

struct Transfer<'a> {
    ask: Ask<'a>,
    /// The number of the block that is waited for, which does not begin again after 65,535.
    next: u64,
    /// Blocks that came since the last acknowledgement.
    unacknowledged: u16,
    bytes: usize,
    /// The block that was missed when the server was last told so.
    gap: u64,
}

impl Transfer<'_> {
    fn take(&mut self, packet: &[u8]) -> io::Result<Step> {
        let [o1, o2, n1, n2, rest @ ..] = packet else { return Ok(Step::Wait) };
        let number = u16::from_be_bytes([*n1, *n2]);
        match u16::from_be_bytes([*o1, *o2]) {
            OACK if self.next == 1 => Ok(Step::Say(0)),
            DATA if number == wrapped(self.next) => {
                self.bytes += rest.len();
                self.next += 1;
                self.unacknowledged += 1;
                if rest.len() < self.ask.block {
                    return Ok(Step::End(number));
                }
                if self.unacknowledged < self.ask.window {
                    return Ok(Step::Wait);
                }
                self.unacknowledged = 0;
                Ok(Step::Say(number))
            }
            // A later block of the window: the last one in order is told, once (RFC 7440 4).
            DATA if self.ask.window > 1
                && number.wrapping_sub(wrapped(self.next)) < 0x8000
                && self.gap != self.next =>
            {
                self.gap = self.next;
                self.unacknowledged = 0;
                Ok(Step::Say(wrapped(self.next - 1)))
            }
            ERROR => Err(io::Error::other(String::from_utf8_lossy(rest).into_owned())),
            _ => Ok(Step::Wait),
        }
    }
}

/// Returns the number that stands in a packet for a block.
fn wrapped(block: u64) -> u16 {
    u16::try_from(block & 0xffff).unwrap_or_default()
}

fn acknowledgement(number: u16) -> Vec<u8> {
    [[0, 4], number.to_be_bytes()].concat()
}

fn request(ask: Ask<'_>) -> Vec<u8> {
    let mut words = vec![ask.file.to_owned(), "octet".into(), "tsize".into(), "0".into()];
    words.extend(["blksize".into(), ask.block.to_string()]);
    if ask.window > 1 {
        words.extend(["windowsize".into(), ask.window.to_string()]);
    }
    let mut packet = vec![0, 1];
    for word in words {
        packet.extend(word.as_bytes());
        packet.push(0);
    }
    packet
}
