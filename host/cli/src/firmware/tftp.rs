//! TFTP as a PXE ROM reads a file (RFC 1350, 2347, 2348, 2349).
//!
//! [`Receiver`] is the protocol without a socket. Nothing of a file is kept but its length.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::{net::UdpSocket, time::timeout};

/// The operation codes of RFC 1350 and RFC 2347.
mod opcode {
    pub(super) const READ: u16 = 1;
    pub(super) const DATA: u16 = 3;
    pub(super) const ACK: u16 = 4;
    pub(super) const ERROR: u16 = 5;
    pub(super) const OACK: u16 = 6;
}

/// RFC 2347: the client does not like the options. With it OVMF ends a request that asked for the length only.
const OPTIONS_REFUSED: u16 = 8;

/// What iPXE asks for, in bytes.
const BLOCK_SIZE: usize = 1432;

/// RFC 1350: the size without negotiation, in bytes.
const DEFAULT_BLOCK_SIZE: usize = 512;

/// RFC 2348: the smallest size, in bytes.
const MIN_BLOCK_SIZE: usize = 8;

/// The longest file that is read, in bytes: loaders have a megabyte, a kernel with its RAM disk has fifteen.
const MAX_FILE: u64 = 256 << 20;

/// How long each try waits for an answer, in seconds.
const WAITS: [u64; 5] = [1, 2, 4, 4, 4];

/// Longer than any packet of this block size.
const BUFFER: usize = 2048;

/// A transfer failed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum TransferError {
    /// The server said so.
    #[error("the server answered error {code}, `{message}`")]
    Refused { code: u16, message: String },
    /// The server broke the protocol.
    #[error("the server sent {0}")]
    Protocol(&'static str),
    /// More than [`MAX_FILE`] bytes.
    #[error("the file is longer than {MAX_FILE} bytes")]
    TooLong,
}

/// Asks for a file's length and aborts. `None` where the server does not tell it.
pub(crate) async fn length(server: SocketAddrV4, name: &str) -> anyhow::Result<Option<u64>> {
    let receiver = transfer(server, name, Receiver::for_length()).await?;
    Ok(receiver.length)
}

/// Reads a file and returns how many bytes it has.
pub(crate) async fn load(server: SocketAddrV4, name: &str) -> anyhow::Result<u64> {
    let receiver = transfer(server, name, Receiver::for_content()).await?;
    Ok(receiver.received)
}

async fn transfer(server: SocketAddrV4, name: &str, mut receiver: Receiver) -> anyhow::Result<Receiver> {
    let local = if server.ip().is_loopback() { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    let socket = UdpSocket::bind((local, 0)).await.context("failed to open a port for TFTP")?;
    let mut line = Line { socket, server: server.into(), peer: None };
    let told = || format!("failed to load `{name}` by TFTP from `{server}`");
    let mut packet = receiver.request(name);
    loop {
        match line.exchange(&packet, &mut receiver).await.with_context(told)? {
            Next::Send(next) => packet = next,
            Next::Finish(last) => {
                line.send(&last).await.with_context(told)?;
                return Ok(receiver);
            }
        }
    }
}

/// What to do after a packet that brought the transfer on.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Send this and wait.
    Send(Vec<u8>),
    /// Send this; the transfer is over.
    Finish(Vec<u8>),
}

/// The client's side of one transfer.
#[derive(Debug)]
struct Receiver {
    /// Only the length is wanted.
    length_only: bool,
    block_size: usize,
    /// The block that comes next; it wraps in long files.
    block: u16,
    /// True until the first packet has come.
    negotiating: bool,
    length: Option<u64>,
    received: u64,
}

impl Receiver {
    fn for_length() -> Self {
        Self {
            length_only: true,
            block_size: DEFAULT_BLOCK_SIZE,
            block: 1,
            negotiating: true,
            length: None,
            received: 0,
        }
    }

    fn for_content() -> Self {
        Self { length_only: false, ..Self::for_length() }
    }

    /// Writes the first packet.
    fn request(&self, name: &str) -> Vec<u8> {
        let size = BLOCK_SIZE.to_string();
        let mut texts = vec![name, "octet", "tsize", "0"];
        if !self.length_only {
            texts.extend(["blksize", size.as_str()]);
        }
        let mut packet = opcode::READ.to_be_bytes().to_vec();
        for text in texts {
            packet.extend(text.bytes().filter(|byte| *byte != 0));
            packet.push(0);
        }
        packet
    }

    /// Takes a packet; `None` for one that changes nothing, which is not answered: the server repeats by itself.
    fn handle(&mut self, packet: &[u8]) -> Result<Option<Next>, TransferError> {
        let Some((code, rest)) = split_number(packet) else {
            return Ok(None);
        };
        match code {
            opcode::ERROR => {
                let (code, text) = split_number(rest).unwrap_or((0, &[]));
                let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
                let message = String::from_utf8_lossy(text.get(..text.len().min(128)).unwrap_or_default());
                Err(TransferError::Refused { code, message: message.into_owned() })
            }
            opcode::OACK if self.negotiating => self.negotiated(rest).map(Some),
            opcode::DATA => match split_number(rest) {
                Some((block, _)) if self.length_only || block != self.block => Ok(self.abort()),
                Some((_, data)) => self.data(data).map(Some),
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// A server that knows no options answers with the first block.
    fn abort(&self) -> Option<Next> {
        self.length_only.then(|| Next::Finish(refusal()))
    }

    fn negotiated(&mut self, options: &[u8]) -> Result<Next, TransferError> {
        self.negotiating = false;
        let mut texts = options.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
            match name.to_ascii_lowercase().as_str() {
                "tsize" => self.length = value.parse().ok(),
                "blksize" => self.block_size = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        if !(MIN_BLOCK_SIZE..=BLOCK_SIZE).contains(&self.block_size) {
            return Err(TransferError::Protocol("a block size that was not asked for"));
        }
        Ok(if self.length_only { Next::Finish(refusal()) } else { Next::Send(acknowledgement(0)) })
    }

    fn data(&mut self, data: &[u8]) -> Result<Next, TransferError> {
        self.negotiating = false;
        if data.len() > self.block_size {
            return Err(TransferError::Protocol("a block that is longer than agreed"));
        }
        self.received += u64::try_from(data.len()).unwrap_or(u64::MAX);
        if self.received > MAX_FILE {
            return Err(TransferError::TooLong);
        }
        let packet = acknowledgement(self.block);
        self.block = self.block.wrapping_add(1);
        if data.len() == self.block_size {
            return Ok(Next::Send(packet));
        }
        if self.length.is_some_and(|length| length != self.received) {
            return Err(TransferError::Protocol("another number of bytes than it had told"));
        }
        Ok(Next::Finish(packet))
    }
}

fn split_number(packet: &[u8]) -> Option<(u16, &[u8])> {
    packet.split_first_chunk().map(|(number, rest)| (u16::from_be_bytes(*number), rest))
}

fn acknowledgement(block: u16) -> Vec<u8> {
    [opcode::ACK.to_be_bytes(), block.to_be_bytes()].concat()
}

fn refusal() -> Vec<u8> {
    let mut packet = [opcode::ERROR.to_be_bytes(), OPTIONS_REFUSED.to_be_bytes()].concat();
    packet.extend_from_slice(b"User aborted the transfer\0");
    packet
}

/// The socket of one transfer. The server answers from a port of its own, which is then the only peer.
struct Line {
    socket: UdpSocket,
    server: SocketAddr,
    peer: Option<SocketAddr>,
}

impl Line {
    async fn send(&self, packet: &[u8]) -> anyhow::Result<()> {
        self.socket.send_to(packet, self.peer.unwrap_or(self.server)).await?;
        Ok(())
    }

    /// Sends until a packet brings the transfer on, waiting longer each time.
    async fn exchange(&mut self, packet: &[u8], receiver: &mut Receiver) -> anyhow::Result<Next> {
        for wait in WAITS {
            self.send(packet).await?;
            if let Ok(next) = timeout(Duration::from_secs(wait), self.receive(receiver)).await {
                return next;
            }
        }
        bail!("the server does not answer")
    }

    async fn receive(&mut self, receiver: &mut Receiver) -> anyhow::Result<Next> {
        let mut buffer = [0; BUFFER];
        loop {
            let (len, sender) = self.socket.recv_from(&mut buffer).await?;
            let known = self.peer.map_or(sender.ip() == self.server.ip(), |peer| peer == sender);
            if !known {
                continue;
            }
            self.peer = Some(sender);
            if let Some(next) = receiver.handle(buffer.get(..len).unwrap_or_default())? {
                return Ok(next);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use formwork_boot_proto::tftp::{Limits, Outcome, Progress, Transfer, parse_request};

    use super::*;

    /// Reads a file from the endpoint's own state machine, each packet by way of its bytes.
    fn read(len: usize, mut receiver: Receiver) -> (Receiver, Outcome) {
        let request = parse_request(&receiver.request("loader.efi")).unwrap();
        let content = Arc::new(vec![7_u8; len]);
        let mut transfer = Transfer::start(0, &request, content, &Limits::default()).unwrap();
        let mut packet = Vec::new();
        while transfer.next_packet(&mut packet) {
            match receiver.handle(&packet).unwrap() {
                Some(Next::Send(answer) | Next::Finish(answer)) => transfer.handle_packet(1, &answer),
                None => panic!("the receiver does not know {packet:?}"),
            }
        }
        match transfer.progress() {
            Progress::Done(outcome) => (receiver, outcome),
            Progress::WaitUntil(_) => panic!("the transfer stands still"),
        }
    }

    #[test]
    fn request_for_the_length_is_aborted_with_error_8() {
        let (receiver, outcome) = read(173_792, Receiver::for_length());
        assert_eq!((receiver.length, receiver.received), (Some(173_792), 0));
        assert!(matches!(outcome, Outcome::Aborted { code: 8, .. }), "{outcome:?}");
    }

    #[test]
    fn whole_file_is_counted_also_where_it_ends_with_an_empty_block() {
        for len in [0, 1, 1431, 1432, 1433, 173_792, 1432 * 70_000] {
            let (receiver, outcome) = read(len, Receiver::for_content());
            assert_eq!(outcome, Outcome::Complete);
            assert_eq!(usize::try_from(receiver.received).unwrap(), len);
        }
    }

    #[test]
    fn full_request_asks_for_length_and_block_size() {
        let request = parse_request(&Receiver::for_content().request("loader.efi")).unwrap();
        assert_eq!((request.name.as_str(), request.block_size), ("loader.efi", Some(1432)));
        assert!(request.transfer_size);
        assert_eq!(parse_request(&Receiver::for_length().request("x")).unwrap().block_size, None);
    }

    #[test]
    fn server_without_options_is_read_in_blocks_of_512() {
        let mut receiver = Receiver::for_content();
        let block = |number: u8, len| [&[0, 3, 0, number][..], &vec![0; len]].concat();
        assert_eq!(receiver.handle(&block(1, 512)), Ok(Some(Next::Send(vec![0, 4, 0, 1]))));
        assert_eq!(receiver.handle(&block(1, 512)), Ok(None), "a repeated block is not answered");
        assert_eq!(receiver.handle(&block(2, 3)), Ok(Some(Next::Finish(vec![0, 4, 0, 2]))));
        assert_eq!(receiver.received, 515);
        let aborted = Receiver::for_length().handle(&block(1, 512));
        assert!(matches!(aborted, Ok(Some(Next::Finish(packet))) if packet.starts_with(&[0, 5, 0, 8])));
    }

    #[test]
    fn broken_answers_end_the_transfer_with_their_reason() {
        let refused = TransferError::Refused { code: 1, message: "not found".to_owned() };
        assert_eq!(Receiver::for_content().handle(b"\0\x05\0\x01not found\0"), Err(refused));
        assert!(Receiver::for_content().handle(b"\0\x06blksize\09000\0").is_err());
        assert!(Receiver::for_content().handle(&[&[0, 3, 0, 1][..], &[0; 513]].concat()).is_err());
        let mut receiver = Receiver::for_content();
        assert!(receiver.handle(b"\0\x06tsize\09\0").is_ok());
        assert!(receiver.handle(b"\0\x03\0\x01short").is_err());
        for noise in [&b""[..], b"\0", b"\0\x03", b"\0\x03\0", b"\0\x09\0\0", b"\0\x04\0\0"] {
            assert_eq!(Receiver::for_content().handle(noise), Ok(None));
        }
    }
}
