//! One socket for the DHCP of all machines, as a relay has it: an endpoint answers to port 67 of who handed the question on.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::place::{LOAD, SERVER};

/// Who waits for the answers to which transaction.
type Waiting = Arc<Mutex<HashMap<[u8; 4], Sender<Vec<u8>>>>>;

/// The seconds after which firmware asks again: UEFI's PXE, and RFC 2131 4.1.
const WAITS: [u64; 4] = [4, 8, 16, 32];

pub(super) struct Relay {
    socket: UdpSocket,
    waiting: Waiting,
    receiver: Option<JoinHandle<()>>,
}

impl Relay {
    /// Opens the socket and gives each answer to who waits for it.
    pub(super) fn start() -> Self {
        let socket = UdpSocket::bind((LOAD, 67)).expect("port 67");
        nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBufForce, &(8 << 20))
            .expect("a buffer");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        let waiting = Waiting::default();
        let (answers, known) = (socket.try_clone().expect("a socket"), Arc::downgrade(&waiting));
        let receiver = thread::spawn(move || {
            let mut buffer = [0_u8; 2048];
            while let Some(waiting) = known.upgrade() {
                let Ok((length, _)) = answers.recv_from(&mut buffer) else { continue };
                let packet = buffer.get(..length).unwrap_or_default();
                let Some(id) = packet.get(4..8).and_then(|id| id.try_into().ok()) else { continue };
                let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(machine) = waiting.get::<[u8; 4]>(id) {
                    let _ = machine.send(packet.to_vec());
                }
            }
        });
        Self { socket, waiting, receiver: Some(receiver) }
    }

    /// Waits for the answers to a transaction.
    pub(super) fn listen(&self, transaction: [u8; 4]) -> Receiver<Vec<u8>> {
        let (sender, receiver) = mpsc::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(transaction, sender);
        receiver
    }

    /// Sends a packet, and again as firmware does, until `wanted` takes an answer.
    pub(super) fn exchange<T>(
        &self,
        packet: &[u8],
        answers: &Receiver<Vec<u8>>,
        wanted: impl Fn(&[u8]) -> Option<Result<T, String>>,
    ) -> Result<T, String> {
        for seconds in WAITS {
            self.socket.send_to(packet, (SERVER, 67)).map_err(|error| error.to_string())?;
            while let Ok(answer) = answers.recv_timeout(Duration::from_secs(seconds)) {
                if let Some(found) = wanted(&answer) {
                    return found;
                }
            }
        }
        Err("DHCP: no answer".to_owned())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // The thread ends when nobody waits any more, and the port is free for the next run.
        self.waiting = Waiting::default();
        if let Some(receiver) = self.receiver.take() {
            let _ = receiver.join();
        }
    }
}
