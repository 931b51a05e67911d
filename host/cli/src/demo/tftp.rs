//! The client side of TFTP as firmware does it (RFC 1350, 2347 to 2349).

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tokio::{net::UdpSocket, time::timeout};

/// The block size that firmware asks for: a frame without fragments.
const BLOCK_SIZE: usize = 1432;

/// The block size without the option.
const PLAIN_BLOCK_SIZE: usize = 512;

/// How long an answer may take before the last packet is sent again.
const WAIT: Duration = Duration::from_secs(2);

/// How often a packet is sent.
const TRIES: usize = 4;

/// Most bytes of a boot loader.
const MAX_FILE: usize = 64 << 20;

/// How a file was got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Loaded {
    /// All of it.
    File(Vec<u8>),
    /// The server refused, with its words.
    Refused(String),
}

/// What a server sends.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reply<'a> {
    Data { block: u16, bytes: &'a [u8] },
    Options { block_size: usize, size: Option<u64> },
    Error { code: u16, message: String },
}

/// Loads a file as OVMF does: asks for its size and breaks off, then asks again from another port and loads it.
///
/// # Errors
///
/// The server does not answer, or what it sends makes no sense.
pub(super) async fn load(server: SocketAddr, name: &str) -> Result<Loaded> {
    let size = match ask_size(server, name).await? {
        Asked::Refused(words) => return Ok(Loaded::Refused(words)),
        Asked::Size(size) => size,
    };
    let loaded = read(&bind().await?, server, name).await?;
    if let (Loaded::File(file), Some(size)) = (&loaded, size)
        && size != file.len() as u64
    {
        bail!("`{name}` has {} bytes, not {size}", file.len());
    }
    Ok(loaded)
}

/// The answer to the question for a size.
enum Asked {
    /// The size, if the server tells sizes.
    Size(Option<u64>),
    /// The server's words.
    Refused(String),
}

async fn bind() -> Result<UdpSocket> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.context("failed to open a UDP socket")
}

async fn ask_size(server: SocketAddr, name: &str) -> Result<Asked> {
    let socket = bind().await?;
    let mut buffer = vec![0; 2048];
    let (length, peer) = exchange(&socket, server, &request(name, true), &mut buffer).await?;
    let size = match parse(buffer.get(..length).unwrap_or_default()) {
        Some(Reply::Error { code, message }) => return Ok(Asked::Refused(format!("{message} ({code})"))),
        Some(Reply::Options { size, .. }) => size,
        Some(Reply::Data { .. }) => None,
        None => bail!("the TFTP server at {server} sent something else than an answer"),
    };
    let abort = error(8, "the size was all that was wanted");
    socket.send_to(&abort, peer).await.context("failed to send")?;
    Ok(Asked::Size(size))
}

async fn read(socket: &UdpSocket, server: SocketAddr, name: &str) -> Result<Loaded> {
    let mut file = Vec::new();
    let mut block_size = PLAIN_BLOCK_SIZE;
    let mut expected: u16 = 1;
    let mut buffer = vec![0; 2048];
    let (mut length, peer) = exchange(socket, server, &request(name, false), &mut buffer).await?;
    loop {
        match parse(buffer.get(..length).unwrap_or_default()) {
            Some(Reply::Options { block_size: confirmed, .. }) => {
                block_size = confirmed;
                length = next(socket, peer, &acknowledgement(0), &mut buffer).await?;
            }
            Some(Reply::Data { block, bytes }) if block == expected => {
                file.extend_from_slice(bytes);
                if file.len() > MAX_FILE {
                    bail!("`{name}` is longer than {MAX_FILE} bytes");
                }
                if bytes.len() < block_size {
                    socket.send_to(&acknowledgement(block), peer).await.context("failed to send")?;
                    break;
                }
                expected = expected.wrapping_add(1);
                length = next(socket, peer, &acknowledgement(block), &mut buffer).await?;
            }
            Some(Reply::Data { .. }) => {
                // One that was sent twice; the last acknowledgement is on its way.
                length = next(socket, peer, &acknowledgement(expected.wrapping_sub(1)), &mut buffer).await?;
            }
            Some(Reply::Error { code, message }) => {
                return Ok(Loaded::Refused(format!("{message} ({code})")));
            }
            None => bail!("the TFTP server at {server} sent something else than an answer"),
        }
    }
    Ok(Loaded::File(file))
}

/// Sends a packet until anybody answers, and returns who did: each transfer has a port of its own.
async fn exchange(
    socket: &UdpSocket,
    to: SocketAddr,
    packet: &[u8],
    buffer: &mut [u8],
) -> Result<(usize, SocketAddr)> {
    for _ in 0..TRIES {
        socket.send_to(packet, to).await.with_context(|| format!("failed to send to {to}"))?;
        if let Ok(Ok((length, peer))) = timeout(WAIT, socket.recv_from(buffer)).await {
            return Ok((length, peer));
        }
    }
    bail!("no TFTP server answers at {to} within {} s", WAIT.as_secs() * TRIES as u64)
}

/// Sends a packet until the peer of a transfer answers. Packets of others, such as the one that was broken off, are
/// ignored.
async fn next(socket: &UdpSocket, peer: SocketAddr, packet: &[u8], buffer: &mut [u8]) -> Result<usize> {
    for _ in 0..TRIES {
        let (length, from) = exchange(socket, peer, packet, buffer).await?;
        if from == peer {
            return Ok(length);
        }
    }
    bail!("the TFTP server at {peer} stopped in the middle of a file")
}

fn request(name: &str, with_size: bool) -> Vec<u8> {
    let mut packet = vec![0, 1];
    let block_size = BLOCK_SIZE.to_string();
    let size: &[&str] = if with_size { &["tsize", "0"] } else { &[] };
    for word in [name, "octet", "blksize", &block_size].iter().chain(size) {
        packet.extend_from_slice(word.as_bytes());
        packet.push(0);
    }
    packet
}

fn acknowledgement(block: u16) -> Vec<u8> {
    [[0, 4], block.to_be_bytes()].concat()
}

fn error(code: u16, message: &str) -> Vec<u8> {
    [&[0, 5], code.to_be_bytes().as_slice(), message.as_bytes(), &[0]].concat()
}

fn parse(packet: &[u8]) -> Option<Reply<'_>> {
    let ([operation, number], rest) = packet
        .split_first_chunk::<4>()
        .map(|([a, b, c, d], rest)| ([u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])], rest))
        .unwrap_or(([0, 0], &[]));
    match operation {
        3 => Some(Reply::Data { block: number, bytes: rest }),
        5 => {
            let words = rest.split(|byte| *byte == 0).next().unwrap_or_default();
            Some(Reply::Error { code: number, message: String::from_utf8_lossy(words).into_owned() })
        }
        6 => Some(options(packet.get(2..)?)),
        _ => None,
    }
}

fn options(bytes: &[u8]) -> Reply<'static> {
    let (mut block_size, mut size) = (PLAIN_BLOCK_SIZE, None);
    let words: Vec<String> =
        bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).to_lowercase()).collect();
    let (pairs, _) = words.as_chunks::<2>();
    for [name, value] in pairs {
        match name.as_str() {
            "blksize" => block_size = value.parse().unwrap_or(PLAIN_BLOCK_SIZE),
            "tsize" => size = value.parse().ok(),
            _ => {}
        }
    }
    Reply::Options { block_size, size }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use formwork_boot_proto::tftp::{Kind, parse_request};

    use super::*;

    #[test]
    fn request_is_one_that_the_server_reads() {
        let request = parse_request(&request("ipxe.efi", true)).unwrap();
        assert_eq!((request.kind, request.name.as_str()), (Kind::Read, "ipxe.efi"));
        assert_eq!((request.block_size, request.transfer_size), (Some(1432), true));
    }

    #[test]
    fn answers_are_told_apart_and_short_ones_are_none() {
        assert_eq!(parse(&[0, 3, 0, 7, 1, 2]), Some(Reply::Data { block: 7, bytes: &[1, 2] }));
        let options = b"\0\x06blksize\x001432\0tsize\x0099\0";
        assert_eq!(parse(options), Some(Reply::Options { block_size: 1432, size: Some(99) }));
        let refused = error(1, "no such file");
        assert_eq!(parse(&refused), Some(Reply::Error { code: 1, message: "no such file".into() }));
        for short in [&[][..], &[0], &[0, 3, 0]] {
            assert_eq!(parse(short), None);
        }
    }

    /// Plays a server that confirms the options and sends the first block twice.
    async fn play(server: Arc<UdpSocket>, file: Vec<u8>) {
        let mut buffer = vec![0; 2048];
        let (_, peer) = server.recv_from(&mut buffer).await.unwrap();
        let confirmation =
            [b"\0\x06tsize\0", file.len().to_string().as_bytes(), b"\0blksize\x001432\0"].concat();
        server.send_to(&confirmation, peer).await.unwrap();
        let (length, _) = server.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..4], &[0, 5, 0, 8], "{length} bytes");
        let (_, second) = server.recv_from(&mut buffer).await.unwrap();
        assert_ne!(second, peer);
        let peer = second;
        server.send_to(b"\0\x06blksize\x001432\0", peer).await.unwrap();
        let blocks: Vec<&[u8]> = file.chunks(1432).collect();
        for (index, block) in blocks.iter().enumerate() {
            let (_, _) = server.recv_from(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..4], acknowledgement(index as u16));
            let data = [&[0, 3], (index as u16 + 1).to_be_bytes().as_slice(), block].concat();
            server.send_to(&data, peer).await.unwrap();
            if index == 0 {
                server.send_to(&data, peer).await.unwrap();
                let (_, _) = server.recv_from(&mut buffer).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn file_is_loaded_after_its_size_was_asked() {
        let server = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let file: Vec<u8> = (0..5000_u32).map(|number| number as u8).collect();
        let played = tokio::spawn(play(Arc::clone(&server), file.clone()));
        let loaded = load(server.local_addr().unwrap(), "x").await.unwrap();
        assert_eq!(loaded, Loaded::File(file));
        played.await.unwrap();
    }
}
