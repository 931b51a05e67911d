//! Web services on loopback, for plugins to talk to.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::IntoResponse,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

/// One request that came.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Came {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// A service that notes what comes and answers as it is told.
pub(super) struct Service {
    pub(super) address: String,
    pub(super) came: mpsc::UnboundedReceiver<Came>,
    told: Arc<Told>,
    task: JoinHandle<()>,
}

struct Told {
    came: mpsc::UnboundedSender<Came>,
    /// The statuses of the next answers; 200 when there is none.
    statuses: Mutex<VecDeque<u16>>,
    answer: Box<dyn Fn(&Came) -> Value + Send + Sync>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Service {
    pub(super) async fn start() -> Self {
        Self::answering(|_| json!({})).await
    }

    pub(super) async fn answering(answer: impl Fn(&Came) -> Value + Send + Sync + 'static) -> Self {
        let (sender, came) = mpsc::unbounded_channel();
        let told = Arc::new(Told { came: sender, statuses: Mutex::default(), answer: Box::new(answer) });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(handle).with_state(Arc::clone(&told));
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { address, came, told, task }
    }

    /// Has the next answers be of these statuses.
    pub(super) fn answer_with(&self, statuses: impl IntoIterator<Item = u16>) {
        self.told.statuses.lock().unwrap().extend(statuses);
    }

    /// Waits for the next request.
    pub(super) async fn next(&mut self) -> Came {
        tokio::time::timeout(super::LONGEST, self.came.recv()).await.expect("nothing came").unwrap()
    }

    /// The grant that lets a component ask this service.
    pub(super) fn grant(&self) -> String {
        format!("http: {}/*", self.address)
    }
}

async fn handle(
    State(told): State<Arc<Told>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let came = Came { method, path: uri.path().to_owned(), headers, body: body.to_vec() };
    let status = told.statuses.lock().unwrap().pop_front().unwrap_or(200);
    let answer = (told.answer)(&came);
    let token = if came.path.ends_with("/Sessions") { "the-token" } else { "" };
    let _ = told.came.send(came);
    let headers = [
        ("x-auth-token", token.to_owned()),
        ("location", String::from("/redfish/v1/SessionService/Sessions/7")),
    ];
    (StatusCode::from_u16(status).unwrap(), headers, answer.to_string())
}
