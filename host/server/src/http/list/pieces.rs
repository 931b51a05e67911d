//! Long lists, written piece by piece while they are sent: neither the memory nor the wait for the first byte grows with
//! them, and all processors write.

use std::{ops::Range, sync::Arc, thread};

use axum::body::{Body, Bytes};
use formwork_api::Projection;
use formwork_model::{Kind, Object};
use formwork_store::Snapshot;
use futures_util::{StreamExt, stream};
use tokio::task::{JoinError, spawn_blocking};

use super::{GUESSED_BYTES, Look, Shaper};

/// Objects of a piece: so many that to hand it over costs nothing beside writing it.
const PIECE: usize = 500;

/// A list that is shown without secrets in the clear and without groups.
pub(super) struct Long {
    pub(super) snapshot: Snapshot,
    pub(super) kind: &'static Kind,
    pub(super) projection: Projection,
    pub(super) page: Vec<Arc<dyn Object>>,
}

impl Long {
    /// Returns the body of the answer. Who does not take it keeps few pieces in memory and no thread.
    pub(super) fn body(self) -> Body {
        let (list, ahead) = (Arc::new(self), thread::available_parallelism().map_or(1, Into::into));
        let end = list.page.len();
        let starts = (0..end.max(1)).step_by(PIECE);
        let pieces = stream::iter(starts).map(move |start| {
            let list = Arc::clone(&list);
            async move { spawn_blocking(move || list.piece(start..end.min(start + PIECE))).await }
        });
        Body::from_stream(
            pieces.buffered(ahead).map(|piece: Result<Vec<u8>, JoinError>| piece.map(Bytes::from)),
        )
    }

    /// Writes a part of the list, with what begins and ends the whole.
    fn piece(&self, range: Range<usize>) -> Vec<u8> {
        let look = Look::new(&self.snapshot);
        let shaper = Shaper::new(&look, self.kind, &self.projection);
        let (is_first, is_last) = (range.start == 0, range.end == self.page.len());
        let mut out = Vec::with_capacity(range.len().saturating_mul(GUESSED_BYTES));
        out.extend_from_slice(if is_first { b"[" } else { b"," });
        for (place, object) in self.page.get(range).into_iter().flatten().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            shaper.write(object.as_ref(), &mut out);
        }
        out.extend_from_slice(if is_last { b"]" } else { b"" });
        out
    }
}

#[cfg(test)]
mod tests {
    use formwork_model::{Profile, Record};
    use formwork_store::Store;
    use serde_json::{Value, json};

    use super::*;

    async fn list(count: usize) -> Value {
        let page = (0..count)
            .map(|number| Arc::new(Profile { name: number.to_string(), ..Profile::default() }))
            .map(|profile| profile as Arc<dyn Object>);
        let snapshot = Store::memory(Vec::new()).snapshot();
        let long =
            Long { snapshot, kind: Profile::KIND, projection: Projection::default(), page: page.collect() };
        let bytes = axum::body::to_bytes(long.body(), usize::MAX).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn pieces_are_the_whole_list_in_order() {
        assert_eq!(list(0).await, json!([]));
        for count in [1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 1] {
            let list = list(count).await;
            let names = list.as_array().unwrap().iter().map(|object| object["Name"].as_str().unwrap());
            assert!(names.eq((0..count).map(|number| number.to_string())), "{count}");
        }
    }
}
