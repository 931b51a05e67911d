//! Trying again when the network failed (drp-api.md 17.1).

use std::time::Duration;

use crate::{Client, ClientError};

/// The times between one attempt and the next, in seconds.
pub(crate) const WAITS: [u64; 6] = [1, 1, 2, 3, 5, 8];

/// How often requests are sent again, and who is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retries {
    /// How many of the waits are used.
    pub(crate) count: usize,
    /// Told of each failure that is followed by another attempt.
    pub(crate) told: fn(&ClientError, Duration),
}

impl Retries {
    /// Returns how long to wait after a failure, or nothing when it is final. Refusals are final: the endpoint has spoken.
    pub(crate) fn wait(&self, attempt: usize, error: &ClientError) -> Option<Duration> {
        let broken = matches!(error, ClientError::Connect { .. } | ClientError::Transport { .. });
        let seconds = WAITS.get(attempt).filter(|_| broken && attempt < self.count)?;
        Some(Duration::from_secs(*seconds))
    }
}

impl Client {
    /// Makes the client send a request again when the network failed, after 1, 1, 2, 3, 5 and 8 seconds, `count` times at
    /// most. Never after a refusal, and never when the body was a stream. `told` is called before each wait.
    ///
    /// An endpoint whose answer was lost sees the request twice.
    #[must_use]
    pub fn with_retries(&self, count: usize, told: fn(&ClientError, Duration)) -> Self {
        Self { retries: (count > 0).then_some(Retries { count, told }), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use formwork_api::ApiError;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::{Credentials, Endpoint, Method};

    #[test]
    fn retries_wait_1_1_2_3_5_8() {
        let retries = Retries { count: 6, told: |_, _| {} };
        let broken = ClientError::Connect { url: "u".into(), source: "refused".into() };
        let waits: Vec<_> = (0..8).map_while(|attempt| retries.wait(attempt, &broken)).collect();
        assert_eq!(waits, [1, 1, 2, 3, 5, 8].map(Duration::from_secs));
        assert_eq!(Retries { count: 1, ..retries }.wait(1, &broken), None);
    }

    #[test]
    fn refusal_is_final_whatever_its_status() {
        let retries = Retries { count: 6, told: |_, _| {} };
        for code in [404, 409, 429, 500, 503] {
            let refused = ClientError::Api(Box::new(ApiError::new(code, "GET", "no")));
            assert_eq!(retries.wait(0, &refused), None, "{code}");
        }
    }

    static TOLD: AtomicUsize = AtomicUsize::new(0);

    #[tokio::test]
    async fn connection_that_breaks_is_followed_by_the_same_request_with_its_body() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let peer = tokio::spawn(async move {
            let mut seen = Vec::new();
            for attempt in 0..3 {
                let (mut tcp, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let mut length = 0;
                while !request[..length].ends_with(b"{\"a\":1}") {
                    length += tcp.read(&mut request[length..]).await.unwrap();
                }
                seen.push(length);
                if attempt == 2 {
                    tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue").await.unwrap();
                }
            }
            seen
        });
        let client = Client::connect(Endpoint { url, credentials: Credentials::Token("t".into()) }).unwrap();
        let client = client.with_retries(6, |_, _| {
            TOLD.fetch_add(1, Ordering::Relaxed);
        });
        let call = client.call(Method::POST, ["x"]).json(&serde_json::json!({"a": 1})).unwrap();
        assert_eq!(call.send().await.unwrap().value, true);
        let seen = peer.await.unwrap();
        assert_eq!((seen.len(), TOLD.load(Ordering::Relaxed)), (3, 2));
        assert!(seen.iter().all(|length| *length == seen[0]), "{seen:?}");
    }
}
