//! Who is told what, and when, without sockets.

use std::{
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, Wake, Waker},
};

use axum::extract::ws::Utf8Bytes;
use formwork_model::{Claim, Cluster, Machine, Preference, Profile, Record as _, Tenant};
use formwork_store::Revision;

use super::*;
use crate::auth::Rights;

/// Puts profiles in one commit.
async fn put(store: &Store, names: &[&str]) -> Revision {
    let profiles: Vec<Arc<Profile>> = names
        .iter()
        .map(|name| Arc::new(Profile { name: (*name).to_owned(), ..Profile::default() }))
        .collect();
    let written = store
        .write("user:anna", move |tx| {
            profiles.into_iter().for_each(|profile| tx.put(profile));
            Ok::<_, ()>(())
        })
        .await;
    written.unwrap().revision
}

/// Makes a hub and a listener for each list of filters.
fn site<const N: usize>(filters: [&str; N]) -> (Store, Arc<Hub>, [Subscription; N]) {
    let store = Store::memory(Vec::new());
    let hub = Hub::new(&store);
    let subscriptions = filters.map(|filter| {
        let mut subscription = hub.subscribe(Caller::operator(), false);
        subscription.register(filter).unwrap();
        subscription
    });
    (store, hub, subscriptions)
}

fn event(r#type: &str, key: &str) -> Event {
    Event { r#type: r#type.into(), action: "a".into(), key: key.into(), ..Event::default() }
}

/// Takes all texts that wait for a listener, once all is routed.
async fn texts(hub: &Hub, subscription: &Subscription) -> Vec<Utf8Bytes> {
    drop(hub.router.at_present());
    subscription.answer("end".into());
    let mut found = Vec::new();
    loop {
        for piece in subscription.take().await.unwrap() {
            if piece.text.as_str() == "end" {
                return found;
            }
            found.push(piece.text);
        }
    }
}

/// Takes all that waits for a listener, as `TYPE.KEY`.
async fn keys(hub: &Hub, subscription: &Subscription) -> Vec<String> {
    let name = |text: Utf8Bytes| {
        let event: Event = serde_json::from_str(text.as_str()).unwrap();
        format!("{}.{}", event.r#type, event.key)
    };
    texts(hub, subscription).await.into_iter().map(name).collect()
}

#[tokio::test]
async fn an_event_is_serialised_once_for_all_listeners() {
    let (store, hub, [one, other]) = site(["profiles.*.*", "*.create.p1"]);
    let resuming = [(); 2].map(|()| {
        let mut subscription = hub.subscribe(Caller::operator(), true);
        subscription.register("*.*.*").unwrap();
        assert!(subscription.goes_live(store.snapshot().revision()));
        subscription
    });
    let revision = put(&store, &["p1"]).await;
    let (one, other) = (texts(&hub, &one).await, texts(&hub, &other).await);
    assert_eq!(one.len(), 1);
    assert_eq!(one[0].as_str().as_ptr(), other[0].as_str().as_ptr());
    let [one, other] = [texts(&hub, &resuming[0]).await, texts(&hub, &resuming[1]).await];
    assert_eq!(one[0].as_str().as_ptr(), other[0].as_str().as_ptr());
    assert_eq!(serde_json::from_str::<Event>(one[0].as_str()).unwrap().revision, Some(revision.0));
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_change_wakes_only_listeners_that_want_it() {
    let filters =
        ["profiles.*.p1", "profiles.create.*", "*.*.*", "profiles.*.p2", "stages.*.*", "*.delete.*"];
    let (store, hub, subscriptions) = site(filters);
    let wakes: Vec<Arc<Wakes>> = filters.iter().map(|_| Arc::default()).collect();
    let mut waiting: Vec<_> = subscriptions.iter().map(|one| Box::pin(one.take())).collect();
    for (waiting, wakes) in waiting.iter_mut().zip(&wakes) {
        let waker = Waker::from(Arc::clone(wakes));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    let woken = || wakes.iter().map(|wakes| wakes.0.load(Ordering::Relaxed)).collect::<Vec<_>>();
    put(&store, &["p1"]).await;
    assert_eq!(woken(), [0; 6], "a commit itself wakes nobody");
    drop(hub.router.at_present());
    assert_eq!(woken(), [1, 1, 1, 0, 0, 0]);
    hub.tell(event("stages", "p2"));
    drop(hub.router.at_present());
    assert_eq!(woken(), [1, 1, 1, 0, 1, 0]);
}

#[tokio::test]
async fn router_runs_by_itself_and_ends_with_the_store() {
    let (store, hub, [one]) = site(["*.*.*"]);
    hub.spawn(async {}).await.unwrap();
    put(&store, &["p1"]).await;
    assert_eq!(one.take().await.unwrap().len(), 1);
    hub.tell(event("odd", "k"));
    assert_eq!(one.take().await.unwrap().len(), 1);
    store.close().await;
    assert_eq!(one.take().await.unwrap_err(), End::Down);
    let late = hub.subscribe(Caller::operator(), false);
    assert_eq!(late.take().await.unwrap_err(), End::Down);
    let mut farewell = pin!(hub.farewell(Duration::from_secs(3600)));
    assert!(matches!(futures_util::poll!(farewell.as_mut()), Poll::Pending));
    drop((one, late));
    farewell.await;
}

#[tokio::test]
async fn event_that_is_not_stored_keeps_its_place_between_commits() {
    let (store, hub, [one]) = site(["*.*.*"]);
    hub.tell(event("odd", "k0"));
    put(&store, &["p1"]).await;
    hub.tell(event("odd", "k1"));
    hub.tell(event("odd", "k2"));
    put(&store, &["p2"]).await;
    put(&store, &["p3"]).await;
    hub.tell(event("odd", "k3"));
    let expected = ["odd.k0", "profiles.p1", "odd.k1", "odd.k2", "profiles.p2", "profiles.p3", "odd.k3"];
    assert_eq!(keys(&hub, &one).await, expected);
}

#[tokio::test]
async fn filter_holds_from_its_acknowledgement_to_that_of_its_end() {
    let (store, hub, [mut one]) = site(["profiles.*.p1"]);
    put(&store, &["p1", "p2"]).await;
    one.register("profiles.*.p2").unwrap();
    one.answer("registered".into());
    put(&store, &["p2", "p1"]).await;
    hub.tell(event("profiles", "p1"));
    one.deregister("profiles.*.p1");
    one.answer("deregistered".into());
    put(&store, &["p1", "p2"]).await;
    let found = texts(&hub, &one).await;
    let shown: Vec<String> = found
        .iter()
        .map(|text| serde_json::from_str::<Event>(text.as_str()).map_or(text.to_string(), |event| event.key))
        .collect();
    assert_eq!(shown, ["p1", "registered", "p2", "p1", "p1", "deregistered", "p2"]);
}

#[tokio::test]
async fn event_is_delivered_once_where_several_filters_match() {
    let (store, hub, [mut one]) = site(["profiles.*.p1"]);
    for filter in ["*.*.*", "profiles.create.*", "profiles.*.p1"] {
        one.register(filter).unwrap();
    }
    put(&store, &["p1", "p2"]).await;
    hub.tell(event("odd", "k"));
    assert_eq!(keys(&hub, &one).await, ["profiles.p1", "profiles.p2", "odd.k"]);
}

#[tokio::test]
async fn listener_gets_what_it_may_see_and_resumes_before_an_entry_that_it_has_in_part() {
    let store = Store::memory(Vec::new());
    let hub = Hub::new(&store);
    let caller = |key: &str| {
        let mut caller = Caller::operator();
        caller.rights = Arc::new(Rights::of_claims(vec![Claim::new("profiles", "get", key)]));
        caller
    };
    let mut one = hub.subscribe(caller("p1,p3"), true);
    one.register("*.*.*").unwrap();
    assert!(one.goes_live(store.snapshot().revision()));
    let first = put(&store, &["p1", "p2", "p3", "p4"]).await;
    hub.tell(event("audit", "p1"));
    let seen = |texts: Vec<Utf8Bytes>| {
        let events = texts.iter().map(|text| serde_json::from_str::<Event>(text.as_str()).unwrap());
        events.map(|event| (event.key, event.revision.unwrap())).collect::<Vec<_>>()
    };
    let expected = [(String::from("p1"), first.0 - 1), (String::from("p3"), first.0)];
    assert_eq!(seen(texts(&hub, &one).await), expected);
    one.set_caller(caller("p2"));
    let second = put(&store, &["p1", "p2"]).await;
    assert_eq!(seen(texts(&hub, &one).await), [(String::from("p2"), second.0)]);
}

#[tokio::test]
async fn preference_that_is_set_is_saved() {
    let (store, hub, [one]) = site(["preferences.save.*"]);
    for value in ["a", "b"] {
        let preference = Preference { name: String::from("p"), val: value.into(), ..Preference::default() };
        let written = store
            .write("user:anna", move |tx| {
                tx.put(Arc::new(preference));
                Ok::<_, ()>(())
            })
            .await;
        written.unwrap();
    }
    assert_eq!(keys(&hub, &one).await, ["preferences.p", "preferences.p"]);
}

#[tokio::test]
async fn filters_take_bounded_memory() {
    let (_store, hub, [mut one]) = site(["*.*.*"]);
    let keys: Vec<String> = (0..8000).map(|number| format!("k{number}")).collect();
    let long = format!("*.*.{}", keys.join(","));
    let taken = (0..100).take_while(|_| one.register(&long).is_ok()).count();
    assert!((2..20).contains(&taken), "{taken}");
    one.register("machines.*.k").unwrap();
    one.deregister(&long);
    one.register(&long).unwrap();
    drop(one);
    assert_eq!(hub.router.lock().index.wanting("machines", "update", "k1").count(), 0);
    assert!(!hub.has_listeners());
}

#[tokio::test]
async fn more_passing_events_than_may_wait_are_routed_by_who_tells_them() {
    let (_store, hub, [one]) = site(["odd.*.k"]);
    for number in 0..5000 {
        hub.tell(event("odd", if number % 1000 == 0 { "k" } else { "other" }));
    }
    assert_eq!(one.take().await.unwrap().len(), 5, "nothing ran that routes");
}

#[tokio::test]
async fn job_of_a_cluster_is_told_to_who_sees_the_cluster_and_to_nobody_else() {
    const CLUSTER: &str = "11111111-2222-4333-8444-555555555555";
    let store = Store::memory(Vec::new());
    let hub = Hub::new(&store);
    let listener = |visible: &[(&str, &[&str])]| {
        let keys = |keys: &[&str]| keys.iter().map(ToString::to_string).collect();
        let members = visible.iter().map(|(prefix, all)| ((*prefix).to_owned(), keys(all))).collect();
        let mut caller = Caller::operator();
        let all = Rights::of_claims(vec![Claim::new("*", "*", "*")]);
        caller.rights = Arc::new(all.within(&Tenant { members, ..Tenant::default() }));
        let mut subscription = hub.subscribe(caller, false);
        subscription.register(&format!("machine_jobs.*.{CLUSTER}")).unwrap();
        subscription
    };
    let owner = listener(&[("machines", &[]), ("clusters", &[CLUSTER])]);
    let stranger = listener(&[("machines", &[CLUSTER]), ("clusters", &[])]);
    let job = Job { uuid: String::from("j1"), machine: CLUSTER.to_owned(), ..Job::default() };
    let cluster = Machine { uuid: CLUSTER.to_owned(), ..Machine::default() }.into_kind(Cluster::KIND);
    let (made, cluster) = (job.clone(), cluster.shared());
    let written = store.write("user:anna", move |tx| {
        tx.put(cluster);
        tx.put(Arc::new(made));
        Ok::<_, ()>(())
    });
    written.await.unwrap();
    hub.tell_log(&job, b"hello");
    let told = format!("machine_jobs.{CLUSTER}");
    assert_eq!(keys(&hub, &owner).await, [told.clone(), told.clone()]);
    let written = store.write("user:anna", |tx| {
        tx.delete("clusters", CLUSTER);
        tx.delete("jobs", "j1");
        Ok::<_, ()>(())
    });
    written.await.unwrap();
    assert_eq!(keys(&hub, &owner).await, [told], "what it was about went with it");
    hub.tell_log(&job, b"too late");
    assert!(keys(&hub, &owner).await.is_empty(), "nobody knows what it was any more");
    assert!(keys(&hub, &stranger).await.is_empty());
}
