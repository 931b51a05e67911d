//! Optimistic concurrency: whoever changes what he has seen changes nothing else (drp-api.md 5.3, 5.7).

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Patchers that work on one object at the same time.
const PATCHERS: usize = 200;

/// What one patcher adds to which counter.
#[derive(Clone, Debug)]
struct Addition {
    counter: usize,
    amount: i64,
    whole: bool,
}

fn addition() -> impl Strategy<Value = Addition> {
    (0..3_usize, -5..6_i64, any::<bool>()).prop_map(|(counter, amount, whole)| Addition {
        counter,
        amount,
        whole,
    })
}

/// Reads the object, and adds under the condition that nobody changed it since; again until it succeeds.
async fn add(site: &Site, token: &str, path: &str, addition: &Addition) -> usize {
    let name = format!("count/{}", addition.counter);
    let pointer = format!("/Params/count~1{}", addition.counter);
    for attempt in 0..10_000 {
        let answer = site.send("GET", path, token, "").await;
        let seen: Value =
            serde_json::from_slice(&to_bytes(answer.into_body(), 1 << 20).await.unwrap()).unwrap();
        let before = seen["Params"][&name].as_i64().unwrap();
        // As the Go client does: the value alone is tested, or with a reference the whole object.
        let (place, known) =
            if addition.whole { (String::new(), seen) } else { (pointer.clone(), json!(before)) };
        let patch = json!([{"op": "test", "path": place, "value": known},
                           {"op": "replace", "path": pointer, "value": before + addition.amount}]);
        let answer = site.send("PATCH", path, token, &patch.to_string()).await;
        match answer.status().as_u16() {
            200 => return attempt,
            409 => tokio::task::yield_now().await,
            other => panic!("{other}"),
        }
    }
    panic!("a patcher never succeeded")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn hundreds_of_patchers_lose_no_update(additions in prop::collection::vec(addition(), PATCHERS)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
        let sums = runtime.block_on(async {
            let site = Arc::new(Site::new(Wishes::default()));
            let params = json!({"count/0": 0, "count/1": 0, "count/2": 0});
            let (made, _) = site.taken("POST", "/machines", &json!({"Name": "m1", "Params": params})).await;
            let path: Arc<str> = format!("/machines/{}", made["Uuid"].as_str().unwrap()).into();
            let token: Arc<str> = site.token(600, &[Claim::new("*", "*", "*")]).into();
            let all = additions.iter().cloned().map(|addition| {
                let (site, path, token) = (Arc::clone(&site), Arc::clone(&path), Arc::clone(&token));
                tokio::spawn(async move { add(&site, &token, &path, &addition).await })
            });
            for patcher in all.collect::<Vec<_>>() {
                patcher.await.unwrap();
            }
            site.taken("GET", &path, &Value::Null).await.0["Params"].clone()
        });
        for counter in 0..3 {
            let wanted: i64 =
                additions.iter().filter(|own| own.counter == counter).map(|own| own.amount).sum();
            prop_assert_eq!(&sums[format!("count/{counter}")], &json!(wanted));
        }
    }
}
