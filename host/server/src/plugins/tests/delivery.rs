//! Events: in order, at least once, with letters and gaps.

use formwork_model::{DeadLetter, PluginCursor};
use ring::hmac;

use super::{super::event::MAX_HOPS, service::Service, *};

/// A site whose plugin `hooks` posts what happens to machines to a service.
async fn hooked(site: &Site, service: &Service) {
    site.install("webhook", "plugin-webhook", &[&service.grant(), "secrets: webhook/secret"]).await;
    let params = json!({"webhook/url": format!("{}/in", service.address), "webhook/secret": "key"});
    site.plugin("hooks", "webhook", params).await;
}

async fn touch(site: &Site, machine: &Machine, description: &str) {
    site.put(Machine { description: description.to_owned(), ..machine.clone() }).await;
}

#[tokio::test]
async fn webhook_posts_signed_events_in_order_and_again_until_they_are_taken() {
    let site = Site::new();
    let mut service = Service::start().await;
    hooked(&site, &service).await;
    service.answer_with([500, 503]);
    let machine = site.machine("m1", json!({})).await;
    touch(&site, &machine, "second").await;
    let _loop = site.start();
    let tries = [service.next().await, service.next().await, service.next().await];
    let delivery = tries[0].header("x-formwork-delivery").to_owned();
    for came in &tries {
        assert_eq!(
            (came.json()["Action"].as_str(), came.header("x-formwork-event")),
            (Some("create"), "machines.create")
        );
        assert_eq!(came.header("x-formwork-delivery"), delivery);
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        let code: String = hmac::sign(&key, &came.body).as_ref().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(came.header("x-formwork-signature"), format!("sha256={code}"));
    }
    let second = service.next().await.json();
    assert_eq!(
        (second["Action"].as_str(), second["Object"]["Description"].as_str()),
        (Some("update"), Some("second"))
    );
    assert_eq!(second["Object"].get("Secret"), None);
    let last = second["Revision"].as_u64().unwrap();
    site.until("the place is after the last event", |site| {
        site.get::<PluginCursor>("hooks").is_some_and(|cursor| cursor.revision >= last)
    })
    .await;
    assert!(site.get::<Plugin>("hooks").unwrap().plugin_errors.is_empty());
}

#[tokio::test]
async fn event_that_was_not_taken_before_the_end_of_the_process_comes_after_it() {
    let site = Site::new();
    let mut service = Service::start().await;
    hooked(&site, &service).await;
    let machine = site.machine("m1", json!({})).await;
    {
        let _first = site.start();
        assert_eq!(service.next().await.json()["Action"], "create");
        site.until("the place is saved", |site| site.get::<PluginCursor>("hooks").unwrap().revision > 0)
            .await;
        service.answer_with(vec![500; 2]);
        touch(&site, &machine, "second").await;
        service.next().await;
    }
    touch(&site, &machine, "third").await;
    let _second = site.start();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "third") {
        seen.push(service.next().await.json()["Object"]["Description"].as_str().unwrap().to_owned());
    }
    seen.dedup();
    assert_eq!(seen, ["second", "third"]);
}

#[tokio::test]
async fn event_that_is_given_up_is_a_letter_and_holds_up_nothing() {
    let site = Site::new();
    let mut service = Service::start().await;
    hooked(&site, &service).await;
    service.answer_with(vec![500; 3]);
    let machine = site.machine("m1", json!({})).await;
    touch(&site, &machine, "second").await;
    let _loop = site.start();
    for action in ["create", "create", "create", "update"] {
        assert_eq!(service.next().await.json()["Action"], action);
    }
    let (_, letters) = site.ask("GET", "/plugins/hooks/dead_letters", Value::Null).await;
    assert_eq!((letters[0]["Number"].as_u64(), letters[0]["Tries"].as_u64()), (Some(1), Some(3)));
    assert_eq!(letters[0]["Event"]["Action"], "create");
    assert!(letters[0]["Reason"].as_str().unwrap().contains("answered with status 500"), "{letters}");
    let errors = site.get::<Plugin>("hooks").unwrap().plugin_errors.clone();
    assert_eq!(errors, ["entries in the dead-letter list: 1"]);
    // One try each: it fails, stays, and is tried once more.
    service.answer_with([500]);
    assert_eq!(site.ask("POST", "/plugins/hooks/dead_letters/retry", Value::Null).await.0, 202);
    assert_eq!(service.next().await.json()["Action"], "create");
    site.until("the letter stays", |site| {
        site.get::<DeadLetter>(&DeadLetter::id("hooks", 1))
            .is_some_and(|letter| !letter.retry && letter.tries == 4)
    })
    .await;
    let (status, count) = site.ask("POST", "/plugins/hooks/dead_letters/1/retry", Value::Null).await;
    assert_eq!((status.as_u16(), count), (202, json!({"Count": 1})));
    assert_eq!(service.next().await.json()["Action"], "create");
    site.until("the letter is gone", |site| site.get::<DeadLetter>(&DeadLetter::id("hooks", 1)).is_none())
        .await;
    site.until("all is well", |site| site.get::<Plugin>("hooks").unwrap().plugin_errors.is_empty()).await;
    assert_eq!(site.ask("GET", "/plugins/hooks/dead_letters/1", Value::Null).await.0, 404);
}

#[tokio::test]
async fn letters_can_be_thrown_away_and_go_with_the_plugin() {
    let site = Site::new();
    let mut service = Service::start().await;
    hooked(&site, &service).await;
    service.answer_with(vec![500; 6]);
    let machine = site.machine("m1", json!({})).await;
    touch(&site, &machine, "second").await;
    let _loop = site.start();
    for _ in 0..6 {
        service.next().await;
    }
    site.until("both are letters", |site| site.endpoint.snapshot().list::<DeadLetter>().len() == 2).await;
    assert_eq!(site.ask("DELETE", "/plugins/hooks/dead_letters/1", Value::Null).await.1, json!({"Count": 1}));
    assert_eq!(site.get::<Plugin>("hooks").unwrap().plugin_errors, ["entries in the dead-letter list: 1"]);
    assert_eq!(site.ask("DELETE", "/plugins/hooks", Value::Null).await.0, 200);
    let snapshot = site.endpoint.snapshot();
    assert!(snapshot.list::<DeadLetter>().is_empty() && snapshot.list::<PluginCursor>().is_empty());
}

#[tokio::test]
async fn gap_is_told_and_delivery_goes_on_after_it() {
    let site = Site::with(formwork_store::Limits { feed_entries: 4, ..formwork_store::Limits::default() });
    let mut service = Service::start().await;
    hooked(&site, &service).await;
    let machine = site.machine("m1", json!({})).await;
    for number in 0..8 {
        touch(&site, &machine, &number.to_string()).await;
    }
    let _loop = site.start();
    site.until("the gap is told", |site| {
        site.get::<Plugin>("hooks").unwrap().plugin_errors.iter().any(|line| line.contains("are lost"))
    })
    .await;
    let (_, letters) = site.ask("GET", "/plugins/hooks/dead_letters", Value::Null).await;
    assert!(letters[0]["Lost"]["From"].as_u64() <= letters[0]["Lost"]["To"].as_u64(), "{letters}");
    assert_eq!(letters[0]["Event"], Value::Null);
    assert_eq!(site.ask("POST", "/plugins/hooks/dead_letters/1/retry", Value::Null).await.0, 409);
    touch(&site, &machine, "after").await;
    while service.next().await.json()["Object"]["Description"] != "after" {}
    site.ask("DELETE", "/plugins/hooks/dead_letters", Value::Null).await;
    assert!(!site.get::<Plugin>("hooks").unwrap().plugin_errors.iter().any(|line| line.contains("are lost")));
}

#[tokio::test]
async fn slow_plugin_delays_only_itself() {
    let site = Site::new();
    let mut service = Service::start().await;
    hooked(&site, &service).await;
    site.install("probe", "guest-plugin-probe", PROBE).await;
    site.plugin("p1", "probe", json!({"probe/name": "x", "probe/fail": true})).await;
    let machine = site.machine("m1", json!({})).await;
    let patience = Patience { tries: 2, first: LONGEST, longest: LONGEST };
    let (_stop, stopped) = watch::channel(false);
    let task = start(Arc::clone(&site.endpoint), patience, stopped);
    assert_eq!(service.next().await.json()["Key"], machine.uuid);
    site.until("p1 is in trouble", |site| {
        site.get::<Plugin>("p1").unwrap().plugin_errors.iter().any(|line| line.contains("told-to"))
    })
    .await;
    touch(&site, &machine, "second").await;
    assert_eq!(service.next().await.json()["Action"], "update");
    // Its pause is as long as a test may last, but other params are a reason to try at once.
    assert_eq!(site.ask("POST", "/plugins/p1/params/probe/fail", json!(false)).await.0, 200);
    site.until("p1 is well", |site| site.get::<Plugin>("p1").unwrap().plugin_errors.is_empty()).await;
    task.abort();
}

#[tokio::test]
async fn plugin_that_answers_itself_stops() {
    let site = Site::new();
    site.install("probe", "guest-plugin-probe", PROBE).await;
    site.plugin("p1", "probe", json!({"probe/name": "x", "probe/answer": true})).await;
    let machine = site.machine("m1", json!({})).await;
    let _loop = site.start();
    let last = |site: &Site| site.endpoint.plugins.lines.of("p1").last().map(|line| line.message.clone());
    site.until("the chain is cut", |site| {
        // The line comes a moment after the change that it is about.
        last(site).is_some_and(|line| line.contains("seem to answer each other"))
    })
    .await;
    let writes = site.endpoint.plugins.lines.of("p1").len();
    assert_eq!(writes, 1, "one line, for the one event that was too far");
    let seen =
        site.get::<Machine>(&machine.uuid).unwrap().params.get("probe/seen").unwrap().as_u64().unwrap();
    assert!(seen > u64::from(MAX_HOPS), "it was written {MAX_HOPS} times, each at a later revision");
}

#[tokio::test]
async fn injected_events_reach_plugins() {
    let site = Site::new();
    let mut service = Service::start().await;
    hooked(&site, &service).await;
    let events = json!(["beeblebrox.*.*", "machines.*.*"]);
    assert_eq!(site.ask("POST", "/plugins/hooks/params/webhook/events", events).await.0, 200);
    let _loop = site.start();
    let machine = site.machine("m1", json!({})).await;
    assert_eq!(service.next().await.json()["Key"], machine.uuid);
    let event = json!({"Type": "beeblebrox", "Action": "yawn", "Key": "zaphod", "Object": {"heads": 2}});
    assert_eq!(site.ask("POST", "/events", event).await.0, 204);
    let came = service.next().await.json();
    assert_eq!((came["Key"].as_str(), came["Object"]["heads"].as_u64()), (Some("zaphod"), Some(2)));
}

#[tokio::test]
async fn webhook_reaches_granted_hosts_only() {
    let site = Site::new();
    let mut granted = Service::start().await;
    let mut other = Service::start().await;
    hooked(&site, &granted).await;
    let (status, _) = site.ask("POST", "/plugins/hooks/actions/test", json!({})).await;
    assert_eq!((status.as_u16(), granted.next().await.header("x-formwork-event")), (200, "webhook.test"));
    let url = json!(format!("{}/in", other.address));
    assert_eq!(site.ask("POST", "/plugins/hooks/params/webhook/url", url).await.0, 200);
    let (status, error) = site.ask("POST", "/plugins/hooks/actions/test", json!({})).await;
    assert_eq!(status, 422);
    assert!(messages(&error)[0].contains("is not granted"), "{error}");
    assert!(other.came.try_recv().is_err());
}
