//! Many callers in one process: how many requests are under way at once, and who is told how long each took.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::{Method, Url};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::Client;

/// Is told of every request of a client and its clones that was answered, whatever the answer was.
pub trait Meter: fmt::Debug + Send + Sync {
    /// `path` is that of the URL, with the API's own; `time` runs from the first byte that could be sent, not from the call.
    fn answered(&self, method: &Method, path: &str, status: u16, time: Duration);
}

/// What a client shares with its clones beyond its connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crowd {
    places: Option<Arc<Semaphore>>,
    meter: Option<Arc<dyn Meter>>,
}

/// One request that is under way.
pub(crate) struct Turn<'a> {
    crowd: &'a Crowd,
    what: (&'a Method, &'a Url),
    since: Instant,
    /// Given up when the request is over.
    _place: Option<OwnedSemaphorePermit>,
}

impl Client {
    /// Bounds how many requests of this client and its clones are under way at once; others wait for their turn, the first come
    /// first. Over HTTP/1.1 there are as many connections at most. Event streams do not count.
    #[must_use]
    pub fn with_at_most(&self, requests: usize) -> Self {
        let places = Some(Arc::new(Semaphore::new(requests.clamp(1, Semaphore::MAX_PERMITS))));
        Self { crowd: Crowd { places, ..self.crowd.clone() }, ..self.clone() }
    }

    /// Has requests of this client and its clones measured.
    #[must_use]
    pub fn with_meter(&self, meter: Arc<dyn Meter>) -> Self {
        Self { crowd: Crowd { meter: Some(meter), ..self.crowd.clone() }, ..self.clone() }
    }
}

impl Crowd {
    /// Waits for the turn of a request.
    pub(crate) async fn turn<'a>(&'a self, method: &'a Method, url: &'a Url) -> Turn<'a> {
        let place = match &self.places {
            // Nobody closes it.
            Some(places) => Arc::clone(places).acquire_owned().await.ok(),
            None => None,
        };
        Turn { crowd: self, what: (method, url), since: Instant::now(), _place: place }
    }
}

impl Turn<'_> {
    /// Says that the answer was read.
    pub(crate) fn is_answered(&self, status: u16) {
        if let Some(meter) = &self.crowd.meter {
            let (method, url) = self.what;
            meter.answered(method, url.path(), status, self.since.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::{Credentials, Endpoint};

    #[derive(Debug, Default)]
    struct Notes(Mutex<Vec<(String, u16)>>);

    impl Meter for Notes {
        fn answered(&self, method: &Method, path: &str, status: u16, _: Duration) {
            self.0.lock().unwrap().push((format!("{method} {path}"), status));
        }
    }

    #[tokio::test]
    async fn no_more_requests_are_under_way_than_the_client_may_have_and_each_is_measured() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, highest) = (Arc::clone(&open), Arc::clone(&most));
        tokio::spawn(async move {
            loop {
                let (mut tcp, _) = listener.accept().await.unwrap();
                let (open, most) = (Arc::clone(&counted), Arc::clone(&highest));
                tokio::spawn(async move {
                    let mut request = vec![0; 4096];
                    while tcp.read(&mut request).await.is_ok_and(|length| length > 0) {
                        most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        // Whoever else may send has the time to do it.
                        tokio::task::yield_now().await;
                        open.fetch_sub(1, Ordering::SeqCst);
                        tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
                    }
                });
            }
        });
        let notes = Arc::new(Notes::default());
        let client = Client::connect(Endpoint { url, credentials: Credentials::Token("t".into()) }).unwrap();
        let client = client.with_at_most(2).with_meter(Arc::<Notes>::clone(&notes));
        let calls = (0..20).map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.call(Method::GET, ["info"]).send().await.unwrap() })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap();
        }
        assert!(most.load(Ordering::SeqCst) <= 2);
        assert_eq!(*notes.0.lock().unwrap(), vec![(String::from("GET /api/v3/info"), 200); 20]);
    }
}
