//! What monitoring reads of the endpoint: numbers in the text format of Prometheus, on a port of their own without
//! credentials (drp-api.md 1.1). None of them tells what an object holds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
use formwork_model::{Objects, kinds_of};
use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text::encode},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use crate::{
    accept::{Door, Service},
    endpoint::Endpoint,
};

/// The content type of the format.
const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the API has counted since the start.
#[derive(Debug, Default)]
pub(crate) struct ApiCounts {
    answers: [AtomicU64; 5],
    micros: AtomicU64,
}

impl ApiCounts {
    /// Counts an answer and the time that it took.
    pub(crate) fn note(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(count) = self.answers.get(class) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Returns what serves the numbers.
pub(crate) fn service(endpoint: Arc<Endpoint>) -> Service {
    let places = Arc::clone(&endpoint.places);
    let routes = Router::new().route("/metrics", get(shown)).with_state(endpoint);
    Service {
        routes,
        files: None,
        tls: None,
        door: Door::Metrics,
        places,
        listed: None,
        farewell: Duration::ZERO,
    }
}

async fn shown(State(endpoint): State<Arc<Endpoint>>) -> impl IntoResponse {
    let mut text = String::new();
    let mut registry = Registry::with_prefix("drp");
    registry.register_collector(Box::new(Numbers(endpoint)));
    match encode(&mut text, &registry) {
        Ok(()) => ([(CONTENT_TYPE, FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Reads the numbers when they are asked for.
struct Numbers(Arc<Endpoint>);

impl std::fmt::Debug for Numbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Numbers").finish_non_exhaustive()
    }
}

/// The type of objects.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Type {
    r#type: String,
}

/// The class of a status.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: String,
}

impl prometheus_client::collector::Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let endpoint = &self.0;
        let snapshot = endpoint.snapshot();
        let mut objects =
            encoder.encode_descriptor("objects", "Objects that are stored", None, MetricType::Gauge)?;
        for kind in kinds_of(&snapshot).into_iter().filter(|kind| !kind.is_internal()) {
            let of = Type { r#type: kind.prefix.to_owned() };
            let count = i64::try_from(snapshot.count(kind.prefix)).unwrap_or(i64::MAX);
            ConstGauge::new(count).encode(objects.encode_family(&of)?)?;
        }
        let gauges = [
            ("store_revision", "Changes that were committed", snapshot.revision().0),
            ("api_connections", "Connections to the API", endpoint.connections.all().len() as u64),
        ];
        for (name, help, value) in gauges {
            let value = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            value.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        let counts = &endpoint.api_counts;
        let mut answers = encoder.encode_descriptor(
            "api_requests",
            "Requests that were answered",
            None,
            MetricType::Counter,
        )?;
        for (class, count) in (1..).zip(&counts.answers) {
            let of = Code { code: format!("{class}xx") };
            ConstCounter::new(count.load(Ordering::Relaxed)).encode(answers.encode_family(&of)?)?;
        }
        let seconds = counts.micros.load(Ordering::Relaxed) as f64 / 1e6;
        ConstCounter::new(seconds).encode(encoder.encode_descriptor(
            "api_seconds",
            "Time that answers took",
            None,
            MetricType::Counter,
        )?)?;
        let connections = [
            ("connections_refused", "Connections for which there was no place", endpoint.places.refused()),
            (
                "connections_gave_way",
                "Silent connections that others needed the place of",
                endpoint.places.gave_way(),
            ),
        ];
        for (name, help, count) in connections {
            let count = ConstCounter::new(count);
            count.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        for stat in endpoint.boot_counts.stats() {
            let name = stat.name.replace('.', "_");
            ConstCounter::new(stat.count).encode(encoder.encode_descriptor(
                &name,
                "What a boot service counted",
                None,
                MetricType::Counter,
            )?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Site, Wishes};

    #[tokio::test]
    async fn row_198_numbers_of_the_endpoint_are_told_to_monitoring() {
        let site = Site::new(Wishes::default());
        site.endpoint.api_counts.note(404, Duration::from_millis(1500));
        let answer = shown(State(Arc::clone(&site.endpoint))).await.into_response();
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        for line in [
            "drp_objects{type=\"users\"} 1",
            "drp_api_requests_total{code=\"4xx\"} 1",
            "drp_api_seconds_total 1.5",
            "drp_connections_refused_total 0",
            "drp_connections_gave_way_total 0",
        ] {
            assert!(text.lines().any(|own| own == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
