//! Requests that nobody means well with: each is refused in the shape of an error, and nothing is lost.

use serde_json::Value;

use super::*;

#[tokio::test]
async fn deep_json_wrong_types_and_bytes_that_are_no_text_are_400() {
    let site = Site::new(Wishes::default());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let nested = format!(r#"{{"Name": "m1", "Params": {{"a/b": {deep}}}}}"#);
    for body in
        [deep.as_str(), &nested, r#"{"Name": 3}"#, r#"{"Name": "m1", "Params": 7}"#, "\u{0}", "{", "nul"]
    {
        let error = site.refused("POST", "/machines", &all, body).await;
        assert_eq!(error.code, 400, "{}: {error}", body.get(..40).unwrap_or(body));
    }
    for path in ["/machines?Name=%FF", "/machines?%C3%28=x", "/machines/%FF"] {
        assert_eq!(site.refused("GET", path, &all, "").await.code, 400, "{path}");
    }
    assert_eq!(site.endpoint.snapshot().list::<formwork_model::Machine>().len(), 0);
}

#[tokio::test]
async fn unknown_members_are_left_out_as_the_clients_expect() {
    let site = Site::new(Wishes::default());
    let (made, _) = site.taken("POST", "/machines", &json!({"Name": "m1", "Colour": "red"})).await;
    assert!(made.get("Colour").is_none());
}

#[tokio::test]
async fn oversized_bodies_and_queries_are_refused() {
    let site = Site::new(Wishes::default());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let body = json!({"Name": "m1", "Description": "x".repeat(17 << 20)}).to_string();
    assert_eq!(site.refused("POST", "/machines", &all, &body).await.code, 413);
    let long = format!("/machines?Name={}", "x".repeat(40_000));
    assert_eq!(site.refused("GET", &long, &all, "").await.code, 414);
    assert_eq!(site.refused("PUT", "/jobs/none/log", &all, &body).await.code, 413, "bytes as they are, too");
}

#[tokio::test]
async fn paths_queries_and_heads_have_bounds_up_to_which_they_are_read() {
    let site = Site::new(Wishes::default());
    let all = site.everything();
    let path = |more: usize| format!("/machines/{}", "x".repeat(more));
    let room = (12 << 10) - BASE_PATH.len() - path(0).len();
    assert_eq!(site.refused("GET", &path(room), &all, "").await.code, 404);
    assert_eq!(site.refused("GET", &path(room + 1), &all, "").await.code, 414);
    let query = |members: usize| format!("/machines?{}", vec!["slim=Meta"; members].join("&"));
    assert_eq!(site.send("GET", &query(2_000), &all, "").await.status(), 200);
    let error = site.refused("GET", &query(2_001), &all, "").await;
    assert!(error.code == 400 && error.messages[0].contains("more than 2000 members"), "{error}");
    let with = async |fields: usize| {
        let mut request = Request::builder().uri(format!("{BASE_PATH}/info"));
        request = request.header(header::AUTHORIZATION, format!("Bearer {all}"));
        for number in 1..fields {
            request = request.header(format!("x-{number}"), "y");
        }
        let request = request.body(Body::empty()).unwrap();
        routes(Arc::clone(&site.endpoint)).oneshot(request).await.unwrap()
    };
    assert_eq!(with(100).await.status(), 200);
    let answer = with(101).await;
    assert_eq!(answer.status(), 431);
    let error: ApiError =
        serde_json::from_slice(&to_bytes(answer.into_body(), 1 << 16).await.unwrap()).unwrap();
    assert!(error.messages[0].contains("more than 100 header fields"), "{error}");
}

#[tokio::test]
async fn form_whose_file_does_not_begin_is_413_before_it_fills_the_memory() {
    let site = Site::new(Wishes::default());
    let all = site.everything();
    let post = async |begins: &str, pieces: usize, ends: &str| {
        let piece = "y".repeat(64 << 10);
        let sent = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        let all_of_it = [begins.to_owned()]
            .into_iter()
            .chain(std::iter::repeat_n(piece, pieces))
            .chain([ends.to_owned()])
            .inspect(move |_| {
                counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            })
            .map(Ok::<_, std::convert::Infallible>);
        let request = Request::builder().method("POST").uri(format!("{BASE_PATH}/files/sent"));
        let request = request.header(header::AUTHORIZATION, format!("Bearer {all}"));
        let request = request.header(header::CONTENT_TYPE, "multipart/form-data; boundary=b");
        let body = Body::from_stream(futures_util::stream::iter(all_of_it));
        let answer = routes(Arc::clone(&site.endpoint)).oneshot(request.body(body).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
        (status, answer, sent.load(std::sync::atomic::Ordering::Relaxed))
    };
    let part = |name: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
    // No boundary at all, a head without an end, and a part that nobody asked for.
    for begins in ["", "--b\r\nX-Long: ", &part("other")] {
        let (status, error, sent) = post(begins, 1_000, "").await;
        assert_eq!((status, &error["Code"]), (413, &json!(413)), "{begins}: {error}");
        assert!(sent < 40, "{begins}: {sent} pieces were taken");
    }
    let (status, told, _) = post(&part("file"), 40, "\r\n--b--\r\n").await;
    assert_eq!((status, &told["Size"]), (201, &json!(40 * (64 << 10))), "a file has no such bound: {told}");
    let (status, error, _) = post(&part("other"), 1, "\r\n--b--\r\n").await;
    assert!(status == 400 && error["Messages"][0].as_str().unwrap().contains("no part `file`"), "{error}");
}

#[tokio::test]
async fn patch_at_a_huge_index_is_409_and_changes_nothing() {
    let site = Site::new(Wishes::default());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let (made, tag) = site.taken("POST", "/machines", &json!({"Name": "m1", "Profiles": []})).await;
    let path = format!("/machines/{}", made["Uuid"].as_str().unwrap());
    for index in ["4294967296", "18446744073709551616", "999999999", "-1"] {
        let patch = json!([{"op": "add", "path": "/Description", "value": "d"},
                           {"op": "add", "path": format!("/Profiles/{index}"), "value": "p"}]);
        let error = site.refused("PATCH", &path, &all, &patch.to_string()).await;
        assert_eq!(error.code, 409, "{index}: {error}");
    }
    assert_eq!(site.taken("GET", &path, &Value::Null).await.1, tag);
}

#[tokio::test]
async fn expressions_that_are_bad_or_would_take_for_ever_are_406_or_quick() {
    let site = Site::new(Wishes::default());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let name = format!("{}!", "a".repeat(63));
    site.taken("POST", "/profiles", &json!({"Name": "p1", "Description": name})).await;
    for bad in ["Re(()", "Re(*)", "Re((x{1000}){1000}{1000})", "Re([)"] {
        let path = format!("/profiles?Description={bad}").replace('{', "%7B").replace('}', "%7D");
        let path = path.replace('[', "%5B").replace('*', "%2A");
        assert_eq!(site.refused("GET", &path, &all, "").await.code, 406, "{bad}");
    }
    // Where others go back over what they tried this takes 2^63 steps.
    let (found, _) = site.taken("GET", "/profiles?Description=Re((a%2B)%2B%24)", &Value::Null).await;
    assert_eq!(found, json!([]));
}

#[tokio::test]
async fn paths_that_lead_elsewhere_are_refused_wherever_there_are_paths() {
    let site = Site::new(Wishes::default());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    for path in ["..%2F..%2Fetc%2Fpasswd", "%2e%2e/x", "a/../../b", "a%00b", "./."] {
        for space in ["files", "isos"] {
            let error = site.refused("GET", &format!("/{space}/{path}"), &all, "").await;
            assert_eq!(error.code, 404, "{space} {path}: {error}");
            let error = site.refused("POST", &format!("/{space}/{path}"), &all, "x").await;
            assert!(matches!(error.code, 400 | 404), "{space} {path}: {error}");
        }
    }
    let escaping =
        json!({"Name": "t1", "Templates": [{"Name": "x", "Path": "../../etc/cron.d/x", "Contents": "y"}]});
    let error = site.refused("POST", "/bootenvs", &all, &escaping.to_string()).await;
    assert_eq!(error.code, 422, "{error}");
}

/// A body that says how long it is and never comes.
struct Silent;

impl http_body::Body for Silent {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        std::task::Poll::Pending
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(10)
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_are_judged_before_anything_of_the_body_is_read() {
    let site = Site::new(Wishes::default());
    let all = site.token(600, &[Claim::new("*", "*", "*")]);
    for (method, path, token, status, most_seconds) in [
        ("POST", "/machines", "", 401, 1),
        ("PUT", "/machines/x", "none.none", 403, 1),
        ("POST", "/files/x", "", 401, 1),
        ("POST", "/machines", &*all, 408, 31),
        ("DELETE", "/machines/x", &all, 404, 31),
    ] {
        let mut request = Request::builder().method(method).uri(format!("{BASE_PATH}{path}"));
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let began = tokio::time::Instant::now();
        let request = request.body(Body::new(Silent)).unwrap();
        let answer = routes(Arc::clone(&site.endpoint)).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
        assert_eq!(answer.headers()[header::CONNECTION], "close", "{method} {path}");
        assert!(began.elapsed().as_secs() <= most_seconds, "{method} {path}: {:?}", began.elapsed());
    }
}
