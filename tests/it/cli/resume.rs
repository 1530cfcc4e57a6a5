//! The same command again.

use crate::program::{Folder, chat, chats, count_named, logged, simulator};
use openai_bulk::simulator::Fault;
use std::fs;

#[test]
fn what_is_done_is_not_sent_again() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(40));
    folder.job().to(&simulator.base_url()).run().ended(0);
    let before = folder.read("out.jsonl");
    folder.job().to(&simulator.base_url()).run().ended(0).said(&["40 done before"]);
    assert_eq!(simulator.stats().requests, 40);
    assert_eq!(folder.read("out.jsonl"), before);
}

#[test]
fn what_failed_and_what_is_missing_is_sent_again() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(20));
    simulator.fail_next(5, Fault::BadRequest);
    folder.job().to(&simulator.base_url()).run().ended(3);
    folder.write("in.jsonl", chats(24));
    folder.job().to(&simulator.base_url()).run().ended(0);
    assert_eq!(simulator.stats().requests, 20 + 5 + 4);
    let rows = folder.rows("out.jsonl");
    assert_eq!(rows.len(), 24);
    assert!(rows.values().all(|row| row["x_run"]["ok"] == true));
    assert_eq!(count_named(&folder.path(""), "partial"), 0);
}

#[test]
fn a_torn_last_line_is_mended() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(10));
    folder.job().to(&simulator.base_url()).run().ended(0);
    let whole = folder.read("out.jsonl");
    // Cut in the middle, one byte short, and down to a single byte.
    for (cut, again) in [(whole.len() - 40, 1), (whole.len() - 1, 0), (1, 10)] {
        let before = simulator.stats().requests;
        folder.write("out.jsonl", &whole[..cut]);
        folder.job().to(&simulator.base_url()).run().ended(0);
        assert_eq!(folder.rows("out.jsonl").len(), 10, "cut at {cut}");
        assert_eq!(simulator.stats().requests - before, again, "cut at {cut}");
    }
    // A power failure can leave zeros behind.
    fs::write(folder.path("out.jsonl"), [whole.as_bytes(), &[0; 700]].concat()).unwrap();
    folder.job().to(&simulator.base_url()).run().ended(0);
    assert_eq!(folder.rows("out.jsonl").len(), 10);
}

#[test]
fn a_changed_request_is_refused_by_name_until_it_starts_over() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(10));
    folder.job().to(&simulator.base_url()).run().ended(0);
    let before = folder.read("out.jsonl");
    folder.write("in.jsonl", chats(9) + &chat("r9", "something else?") + &chat("new", "new?"));
    folder.job().to(&simulator.base_url()).run().ended(1).said(&[
        "line 10",
        "`r9`",
        "out.jsonl",
        "--fresh",
    ]);
    assert_eq!(simulator.stats().requests, 10);
    assert_eq!(folder.read("out.jsonl"), before);
    folder.job().args(["--fresh"]).to(&simulator.base_url()).run().ended(0);
    assert_eq!(simulator.stats().requests, 21);
    assert_eq!(folder.rows("out.jsonl").len(), 11);
}

#[test]
fn a_failed_row_may_change() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(1));
    simulator.fail_next(1, Fault::BadRequest);
    folder.job().to(&simulator.base_url()).run().ended(3);
    folder.write("in.jsonl", chat("r0", "a better question?"));
    folder.job().to(&simulator.base_url()).run().ended(0);
    assert_eq!(folder.rows("out.jsonl")["r0"]["x_run"]["ok"], true);
}

#[test]
fn spelling_is_not_a_change() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(3));
    folder.job().to(&simulator.base_url()).run().ended(0);
    folder
        .write("in.jsonl", chats(3).replace("\":", "\" : ").replace("question", "\\u0071uestion"));
    folder.job().to(&simulator.base_url()).run().ended(0);
    assert_eq!(simulator.stats().requests, 3);
}

#[test]
fn starting_over_with_bad_input_throws_nothing_away() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(5));
    folder.job().to(&simulator.base_url()).run().ended(0);
    let before = folder.read("out.jsonl");
    folder.write("in.jsonl", "{\n");
    folder.job().args(["--fresh"]).to(&simulator.base_url()).run().ended(1).said(&["in.jsonl:1"]);
    assert_eq!(folder.read("out.jsonl"), before);
}

#[test]
fn two_processes_do_not_write_one_output() {
    let simulator = logged().fault(Fault::Hang, 1.0).start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", chats(5));
    let mut first = folder.job().to(&simulator.base_url()).start();
    crate::program::until("requests of the first", || simulator.stats().requests == 5);
    for fresh in [&[][..], &["--fresh"]] {
        folder
            .job()
            .args(fresh.iter().copied())
            .to(&simulator.base_url())
            .run()
            .ended(1)
            .said(&["another process", "out.jsonl"]);
    }
    assert_eq!(simulator.stats().requests, 5);
    first.kill();
    first.wait();
}

#[test]
fn an_output_through_a_link_stays_a_link() {
    if cfg!(not(unix)) {
        return;
    }
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(6)).write("real.jsonl", "");
    #[cfg(unix)]
    std::os::unix::fs::symlink("real.jsonl", folder.path("out.jsonl")).unwrap();
    simulator.fail_next(2, Fault::BadRequest);
    folder.job().to(&simulator.base_url()).run().ended(3);
    folder.job().to(&simulator.base_url()).run().ended(0);
    assert!(fs::symlink_metadata(folder.path("out.jsonl")).unwrap().is_symlink());
    assert_eq!(folder.rows("real.jsonl").len(), 6);
}
