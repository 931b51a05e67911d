//! Bounds of what is kept.

use formwork_model::{DeadLetter, PackValue, PluginCursor};

use super::{
    super::{kv, letters, record},
    *,
};

#[tokio::test]
async fn oldest_letters_make_room_and_are_counted() {
    let site = Site::new();
    site.plugin("p1", "none", json!({})).await;
    let add = record::update(&site.endpoint, "system", "p1", |work, cursor| {
        for _ in 0..1003 {
            letters::add(work, cursor, DeadLetter::default());
        }
        Ok(())
    });
    add.await.unwrap();
    let snapshot = site.endpoint.snapshot();
    let kept = letters::of(&snapshot, "p1");
    assert_eq!((kept.len(), kept[0].number, kept[999].number), (1000, 4, 1003));
    assert_eq!(snapshot.get::<PluginCursor>("p1").unwrap().dropped, 3);
    let errors = &snapshot.get::<Plugin>("p1").unwrap().plugin_errors;
    assert_eq!(*errors, ["entries in the dead-letter list: 1000; 3 older ones were dropped"]);
}

#[tokio::test]
async fn gap_right_behind_another_makes_that_longer() {
    let site = Site::new();
    site.plugin("p1", "none", json!({})).await;
    let now = site.endpoint.now();
    let add = record::update(&site.endpoint, "system", "p1", move |work, cursor| {
        for gap in [(1, 5), (6, 9), (20, 21)] {
            letters::add_gap(work, cursor, gap, now);
        }
        Ok(())
    });
    add.await.unwrap();
    let kept = letters::of(&site.endpoint.snapshot(), "p1");
    let gaps: Vec<(u64, u64)> = kept.iter().map(|letter| (letter.lost_from, letter.lost_to)).collect();
    assert_eq!(gaps, [(1, 9), (20, 21)]);
    let errors = &site.get::<Plugin>("p1").unwrap().plugin_errors;
    assert_eq!(errors[1], "events of the revisions 20 to 21 are lost: they are not kept any more");
}

#[tokio::test]
async fn large_letters_make_room_by_their_bytes() {
    let site = Site::new();
    site.plugin("p1", "none", json!({})).await;
    let add = record::update(&site.endpoint, "system", "p1", |work, cursor| {
        for _ in 0..5 {
            letters::add(work, cursor, DeadLetter { bytes: 6 << 20, ..DeadLetter::default() });
        }
        Ok(())
    });
    add.await.unwrap();
    let numbers: Vec<u64> = letters::of(&site.endpoint.snapshot(), "p1").iter().map(|l| l.number).collect();
    assert_eq!(numbers, [4, 5]);
}

#[tokio::test]
async fn store_of_a_pack_is_bounded_and_removing_makes_room() {
    let site = Site::new();
    let set = |key: String, json: String| {
        let endpoint = Arc::clone(&site.endpoint);
        async move { kv::set(&endpoint, "system", ("p1", &key), &json).await }
    };
    let large = format!("\"{}\"", "x".repeat((256 << 10) - 2));
    for index in 0..63 {
        set(format!("k{index:02}"), large.clone()).await.unwrap();
    }
    let refused = set(String::from("k99"), large.clone()).await.unwrap_err();
    assert!(refused.messages[0].starts_with("the store of pack `p1` is full"), "{refused}");
    kv::delete(&site.endpoint, "system", ("p1", "k00")).await.unwrap();
    kv::delete(&site.endpoint, "system", ("p1", "k00")).await.unwrap();
    set(String::from("k99"), large.clone()).await.unwrap();
    for (key, json) in [("", "1"), ("k", "{"), (&"k".repeat(513)[..], "1"), ("k", &format!("{large} ")[..])] {
        assert_eq!(set(key.to_owned(), json.to_owned()).await.unwrap_err().code, 422, "{}", key.len());
    }
    let snapshot = site.endpoint.snapshot();
    assert_eq!(kv::list(&snapshot, "p1", "k0").len(), 9);
    assert_eq!(kv::list(&snapshot, "p", "").len(), 0, "another pack");
    assert_eq!(snapshot.get::<PackValue>("p1").unwrap().count, 63);
}
