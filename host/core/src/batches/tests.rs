use super::*;

fn now() -> Timestamp {
    Timestamp::from_millis(0)
}

fn template(blueprint: &str) -> WorkOrder {
    WorkOrder { blueprint: blueprint.into(), machine: "m".into(), ..WorkOrder::default() }
}

fn batch() -> Batch {
    Batch {
        uuid: "b".into(),
        state: "created".into(),
        setup_work_order_template: template("setup"),
        post_work_order_template: Some(template("post")),
        ..Batch::default()
    }
}

fn in_state(state: &str) -> Option<WorkOrder> {
    Some(WorkOrder { state: state.into(), ..template("x") })
}

fn members(counts: &[(&str, i64)]) -> BTreeMap<String, i64> {
    counts.iter().map(|(state, count)| ((*state).to_owned(), *count)).collect()
}

fn step(batch: &Batch, orders: &Orders) -> Option<Step> {
    advance(batch, orders, Timestamp::from_millis(5), || String::from("fresh"))
}

#[test]
fn batch_that_is_not_over_is_put_back_cancelled() {
    let cancelled = put_back(&batch(), now());
    assert_eq!((cancelled.state.as_str(), cancelled.end_time), ("cancelled", now()));
    assert_eq!(step(&cancelled, &Orders::default()), None, "nothing begins by that");
    let over = Batch { state: "failed".into(), status: "its setup is failed".into(), ..batch() };
    assert_eq!(put_back(&over, now()), over);
}

#[test]
fn batch_goes_from_its_setup_over_its_members_to_its_last_order() {
    let mut orders = Orders::default();
    let begun = step(&batch(), &orders).unwrap();
    let setup = begun.order.unwrap();
    assert_eq!((setup.blueprint.as_str(), &setup.header.meta[BATCH]), ("setup", &String::from("b")));
    let begun = begun.batch;
    assert_eq!((begun.state.as_str(), begun.setup_work_order.as_str()), ("setup", "fresh"));

    orders.setup = in_state("running");
    assert_eq!(step(&begun, &orders), None, "it waits");
    (orders.setup, orders.members) = (in_state("finished"), members(&[("created", 2)]));
    let running = step(&begun, &orders).unwrap().batch;
    assert_eq!((running.state.as_str(), running.work_order_counts["created"]), ("running", 2));

    orders.members = members(&[("running", 1), ("finished", 1)]);
    let still = step(&running, &orders).unwrap();
    assert!(still.order.is_none() && still.batch.state == "running");
    orders.members = members(&[("finished", 2)]);
    let last = step(&running, &orders).unwrap();
    assert_eq!((last.batch.state.as_str(), last.order.unwrap().blueprint.as_str()), ("post", "post"));
    orders.post = in_state("finished");
    let over = step(&last.batch, &orders).unwrap().batch;
    assert_eq!((over.state.as_str(), over.end_time), ("finished", Timestamp::from_millis(5)));
    assert_eq!(step(&over, &orders), None);
}

#[test]
fn batch_fails_with_its_setup_its_last_order_or_a_member() {
    let waiting = |state: &str| Batch { state: state.into(), ..batch() };
    for (state, orders, words) in [
        ("setup", Orders { setup: in_state("failed"), ..Orders::default() }, "its setup is failed"),
        ("setup", Orders::default(), "its setup was deleted"),
        (
            "post",
            Orders { post: in_state("cancelled"), ..Orders::default() },
            "its last work order is cancelled",
        ),
        (
            "post",
            Orders {
                post: in_state("finished"),
                members: members(&[("failed", 2), ("finished", 1)]),
                setup: None,
            },
            "2 work orders did not finish",
        ),
    ] {
        let over = step(&waiting(state), &orders).unwrap().batch;
        assert_eq!((over.state.as_str(), over.status.as_str()), ("failed", words));
    }
}

#[test]
fn what_failed_is_run_again_in_a_batch_of_its_own() {
    let over = Batch { state: "failed".into(), ..batch() };
    let failed = WorkOrder { uuid: "w".into(), current_task: 3, ..in_state("failed").unwrap() };
    let mut uuids = ["c", "v"].into_iter();
    let (again, members) =
        restarted(&over, std::slice::from_ref(&failed), now(), || uuids.next().unwrap().into()).unwrap();
    assert_eq!(
        (again.uuid.as_str(), again.state.as_str(), again.predecessor.as_str()),
        ("c", "running", "b")
    );
    let member = &members[0];
    assert_eq!((member.uuid.as_str(), member.predecessor.as_str(), member.current_task), ("v", "w", -1));
    assert_eq!((member.state.as_str(), &member.header.meta[BATCH]), ("created", &String::from("c")));
    let open = restarted(&batch(), &[failed], now(), String::new).unwrap_err();
    assert!(open.to_string().contains("only one that is over"), "{open}");
    assert!(
        restarted(&over, &[], now(), String::new).unwrap_err().to_string().contains("no members that failed")
    );
}

#[test]
fn batch_can_be_cancelled_and_its_templates_stay_once_it_has_begun() {
    let running = Batch { state: "running".into(), ..batch() };
    let cancelled = Batch { state: "cancelled".into(), ..running.clone() };
    assert_eq!(change(&running, cancelled.clone(), Timestamp::from_millis(5)).unwrap().end_time.millis(), 5);
    for (old, new) in [
        (&cancelled, Batch { state: "running".into(), ..cancelled.clone() }),
        (&running, Batch { state: "finished".into(), ..running.clone() }),
        (&running, Batch { setup_work_order_template: template("other"), ..running.clone() }),
    ] {
        assert!(change(old, new, now()).is_err());
    }
}

#[test]
fn template_with_a_secure_param_is_refused() {
    let shelf = crate::machine::tests::Shelf::default().with(formwork_model::Param {
        name: "bmc/password".into(),
        secure: true,
        ..Default::default()
    });
    let mut batch = Batch { uuid: "b".into(), ..Batch::default() };
    assert_eq!(without_secrets(&shelf, &batch), Ok(()));
    let mut template = WorkOrder::default();
    template.params.insert("bmc/password".into(), "plain".into());
    batch.post_work_order_template = Some(template);
    let refused = without_secrets(&shelf, &batch).unwrap_err().to_string();
    assert!(refused.contains("Param bmc/password is secure"), "{refused}");
}
