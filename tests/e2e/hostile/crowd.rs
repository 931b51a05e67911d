//! Clients of many kinds that keep connections from one address and do nothing of use with them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use formwork_tls::{Trust, client_config};
use nix::sys::socket::{setsockopt, sockopt};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsConnector;

/// Where they all come from; others have another address.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2)), 0);

/// How many come at the same time.
const AT_ONCE: usize = 64;

/// The length of the file that nobody reads to its end, in bytes: more than the system keeps for a connection.
pub(super) const LARGE_FILE: u64 = 64 << 20;

/// The streams that a client of HTTP/2 opens on its connection.
const STREAMS: u32 = 20;

/// The preface of HTTP/2, and settings that leave all as it is (RFC 9113, sections 3.4 and 6.5).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// `POST https://h/api/v3/profiles` by the user of all tests, whose body is to come (RFC 7541, section 6 and appendix A).
const POST: &[u8] =
    b"\x83\x87\x44\x10/api/v3/profiles\x41\x01h\x0f\x08\x2aBasic cm9ja2V0c2thdGVzOnRlc3QtcGFzc3dvcmQ=";

/// What a client does, and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// It connects to the API.
    Silent,
    /// It begins a handshake.
    HalfHandshake,
    /// It shakes hands.
    HandshakeOnly,
    /// It shakes hands and sends a part of a head, and then a byte of it now and then.
    HalfHead,
    /// It shakes hands for HTTP/2 and opens no stream.
    Http2WithoutStream,
    /// It opens streams and never sends their bodies.
    Http2WithoutBodies,
    /// It sends a part of a head to the file server.
    HalfHeadForFile,
    /// It asks for a large file and takes nothing of it.
    DeafToFile,
    /// It connects to the port of measured values.
    SilentToMetrics,
}

/// What all of them hold.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The ports that they come to.
#[derive(Clone, Copy)]
pub(super) struct Crowd {
    pub(super) api: SocketAddr,
    pub(super) files: SocketAddr,
    pub(super) metrics: SocketAddr,
}

impl Crowd {
    /// Lets so many of each kind come, and returns what keeps them there.
    pub(super) async fn come(self, coming: &[(Behaviour, usize)]) -> JoinSet<()> {
        let config = |protocol: &[u8]| {
            let mut config = client_config(Trust::Anybody).unwrap();
            config.alpn_protocols = vec![protocol.to_vec()];
            TlsConnector::from(Arc::new(config))
        };
        let (plain, http2) = (config(b"http/1.1"), config(b"h2"));
        let all = coming.iter().flat_map(|(behaviour, count)| std::iter::repeat_n(*behaviour, *count));
        let (mut coming, mut held) = (JoinSet::new(), Vec::new());
        for behaviour in all {
            if coming.len() >= AT_ONCE {
                held.extend(coming.join_next().await.unwrap().unwrap());
            }
            let tls = match behaviour {
                Behaviour::Http2WithoutStream | Behaviour::Http2WithoutBodies => http2.clone(),
                _ => plain.clone(),
            };
            coming
                .spawn(async move { self.one(behaviour, tls).await.ok().map(|stream| (behaviour, stream)) });
        }
        held.extend(coming.join_all().await.into_iter().flatten());
        let mut keeping = JoinSet::new();
        keeping.spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                for (_, stream) in held.iter_mut().filter(|(own, _)| *own == Behaviour::HalfHead) {
                    // Who was let go is not there any more.
                    let _ = stream.write_all(b"x").await;
                    let _ = stream.flush().await;
                }
            }
        });
        keeping
    }

    async fn one(self, behaviour: Behaviour, tls: TlsConnector) -> std::io::Result<Box<dyn Stream>> {
        let address = match behaviour {
            Behaviour::HalfHeadForFile | Behaviour::DeafToFile => self.files,
            Behaviour::SilentToMetrics => self.metrics,
            _ => self.api,
        };
        let mut stream = connected(address).await?;
        let says: &[u8] = match behaviour {
            Behaviour::Silent | Behaviour::SilentToMetrics => b"",
            Behaviour::HalfHandshake => b"\x16\x03\x01\x02",
            Behaviour::HalfHeadForFile => b"GET /large HTTP/1.1\r\nHost: h\r\n",
            Behaviour::DeafToFile => b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n",
            _ => {
                let name = ServerName::try_from("localhost").unwrap();
                let mut stream = tls.connect(name, stream).await?;
                stream.write_all(&said_in_secret(behaviour)).await?;
                stream.flush().await?;
                return Ok(Box::new(stream));
            }
        };
        stream.write_all(says).await?;
        Ok(Box::new(stream))
    }
}

fn said_in_secret(behaviour: Behaviour) -> Vec<u8> {
    match behaviour {
        Behaviour::HalfHead => b"GET /api/v3/machines HTTP/1.1\r\nHost: h\r\nX-Long: ".to_vec(),
        Behaviour::Http2WithoutStream => PREFACE.to_vec(),
        Behaviour::Http2WithoutBodies => {
            let mut said = PREFACE.to_vec();
            for number in 0..STREAMS {
                // The head of the frame: its length, HEADERS with END_HEADERS, and the stream (RFC 9113, section 6.2).
                let length = u32::try_from(POST.len()).unwrap().to_be_bytes();
                said.extend_from_slice(&length[1..]);
                said.extend_from_slice(&[0x01, 0x04]);
                said.extend_from_slice(&(2 * number + 1).to_be_bytes());
                said.extend_from_slice(POST);
            }
            said
        }
        _ => Vec::new(),
    }
}

async fn connected(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // What it does not take is to wait at the other end.
    socket.set_recv_buffer_size(4 << 10)?;
    // With thousands of connections of the address the system searches long for a port that nobody at all has, and needs only
    // one that nobody has towards that port of the endpoint.
    setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
    socket.bind(ADDRESS)?;
    socket.connect(address).await
}
