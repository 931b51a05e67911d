//! What is sent again, when, and what is not.

use super::*;

/// Plays a client that says nothing more: how many packets it gets, how long each wait is, and when it is given up.
fn silence(transfer: &mut Transfer, mut now: u64) -> (usize, Vec<u64>, u64) {
    let (mut sent, mut waits) = (0, Vec::new());
    while let Progress::WaitUntil(deadline) = transfer.progress() {
        sent += packets(transfer).len();
        waits.push(deadline - now);
        now = deadline;
        transfer.handle_timeout(now);
    }
    assert_eq!(transfer.progress(), Progress::Done(Outcome::TimedOut));
    (sent, waits, now)
}

#[test]
fn silent_client_is_given_up_after_growing_waits() {
    let (mut transfer, _) = transfer(5000, &[]);
    packets(&mut transfer);
    transfer.handle_packet(0, &ack(1));
    let (_, waits, end) = silence(&mut transfer, 0);
    assert_eq!(waits, [40, 80, 160, 320, 640, 1280, 2560, 4000, 4000, 4000, 4000]);
    assert!(end < 40_000, "{end}");
}

#[test]
fn sender_that_never_answers_gets_five_packets() {
    for options in [&[][..], &[("windowsize", "64")]] {
        let (mut transfer, _) = transfer(50_000, options);
        let (sent, waits, end) = silence(&mut transfer, 0);
        assert_eq!((sent, waits), (5, vec![500, 1000, 2000, 4000, 4000]));
        assert_eq!(end, 11_500);
    }
}

#[test]
fn timeout_before_the_deadline_does_nothing() {
    let (mut transfer, _) = transfer(5000, &[]);
    packets(&mut transfer);
    transfer.handle_timeout(deadline(&transfer) - 1);
    assert!(packets(&mut transfer).is_empty());
}

#[test]
fn timer_learns_a_fast_client_and_one_lost_packet_costs_little() {
    let (mut transfer, _) = transfer(5000, &[]);
    packets(&mut transfer);
    transfer.handle_packet(1, &ack(1));
    assert_eq!(blocks(&mut transfer), [2]);
    assert_eq!(deadline(&transfer) - 1, 40);
}

#[test]
fn duplicate_acknowledgement_in_lock_step_sends_nothing() {
    let (mut transfer, _) = transfer(5000, &[]);
    packets(&mut transfer);
    transfer.handle_packet(1, &ack(1));
    assert_eq!(blocks(&mut transfer), [2]);
    transfer.handle_packet(2, &ack(1));
    transfer.handle_packet(2, &ack(0));
    transfer.handle_packet(2, &ack(9));
    assert!(packets(&mut transfer).is_empty(), "no sorcerer's apprentice");
}

#[test]
fn client_that_ignores_blocks_it_has_is_helped_over_a_lost_acknowledgement() {
    for (window, acked, first, second, next) in
        [("1", 1, 2..=2, 2..=3, 4..=4), ("4", 4, 5..=8, 5..=12, 13..=16)]
    {
        let (mut transfer, _) = transfer(50_000, &[("windowsize", window)]);
        packets(&mut transfer);
        transfer.handle_packet(1, &ack(0));
        packets(&mut transfer);
        transfer.handle_packet(2, &ack(acked));
        assert!(blocks(&mut transfer).into_iter().eq(first.clone()));
        for expected in [first, second.clone()] {
            let due = deadline(&transfer);
            assert!(due < 200, "{due} ms");
            transfer.handle_timeout(due);
            assert!(blocks(&mut transfer).into_iter().eq(expected));
        }
        transfer.handle_packet(200, &ack(*second.end()));
        assert!(blocks(&mut transfer).into_iter().eq(next));
        for late in second {
            transfer.handle_packet(201, &ack(late));
        }
        assert!(blocks(&mut transfer).is_empty(), "late answers to the repeats bring nothing more");
    }
}

#[test]
fn window_goes_on_behind_a_gap() {
    let (mut transfer, _) = transfer(50_000, &[("windowsize", "4")]);
    packets(&mut transfer);
    transfer.handle_packet(1, &ack(0));
    assert_eq!(blocks(&mut transfer), [1, 2, 3, 4]);
    transfer.handle_packet(2, &ack(2));
    assert_eq!(blocks(&mut transfer), [3, 4, 5, 6]);
    transfer.handle_packet(3, &ack(2));
    assert!(packets(&mut transfer).is_empty(), "one gap is repaired once");
    transfer.handle_packet(4, &ack(6));
    assert_eq!(blocks(&mut transfer), [7, 8, 9, 10]);
}

#[test]
fn first_block_of_a_window_lost_is_repaired_without_the_timer() {
    let (mut transfer, _) = transfer(50_000, &[("windowsize", "4")]);
    packets(&mut transfer);
    for block in [0, 4] {
        transfer.handle_packet(1, &ack(block));
        packets(&mut transfer);
    }
    transfer.handle_packet(2, &ack(4));
    assert_eq!(blocks(&mut transfer), [5, 6, 7, 8]);
    transfer.handle_packet(3, &ack(4));
    assert!(packets(&mut transfer).is_empty());
}

#[test]
fn lossy_network_delays_by_the_learned_timer_only() {
    let mut state = 12345_u64;
    let lost = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).is_multiple_of(100)
    };
    let (transfer, content) = transfer(1 << 20, &[("blksize", "1468")]);
    let (client, outcome, now, sent) = run(transfer, Client::new(1468, 1), lost);
    assert_eq!(outcome, Outcome::Complete);
    assert!(client.received == content);
    assert!(now < 3_000, "about 14 losses of 40 ms each took {now} ms");
    assert!(sent < 800, "{sent}");
}

#[test]
fn client_that_answers_every_repeat_does_not_multiply_the_packets() {
    for window in [1, 2, 4, 16, 64] {
        let mut state = 4711_u64;
        let lost = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33).is_multiple_of(100)
        };
        let text = window.to_string();
        let (transfer, content) = transfer(1 << 20, &[("blksize", "1468"), ("windowsize", &text)]);
        let client = Client { talkative: true, ..Client::new(1468, window) };
        let (client, outcome, now, sent) = run(transfer, client, lost);
        assert_eq!(outcome, Outcome::Complete);
        assert!(client.received == content);
        assert!(now < 1_500, "{now} ms with windows of {window}");
        assert!(sent < 1_000, "{sent} packets for 715 blocks, with windows of {window}");
    }
}
