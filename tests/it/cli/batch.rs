//! Batches, as a user has them.

use crate::program::{Folder, chats, logged};
use openai_bulk::simulator::BatchSpeed;
use std::time::Duration;

#[test]
fn a_run_by_batches_and_its_single_steps_write_the_same_output() {
    let speed = BatchSpeed::steps_of(Duration::from_millis(10));
    let simulator = logged().batch_speed(speed).start().unwrap();
    let url = simulator.base_url();
    let folder = Folder::new();
    folder.write("in.jsonl", chats(5));
    let quick = ["--set", "OPENAI_BATCH_POLL_INTERVAL=1s", "--store", "s.db"];
    let job = || folder.job().args(["--mode", "batch"]).args(quick).to(&url);
    job().run().ended(0).said(&["5 in all, 5 succeeded", "1 cleaned"]);
    assert_eq!(folder.rows("out.jsonl").len(), 5);
    job().run().ended(0).said(&["5 done before"]);
    let step = |args: &[&str]| folder.program().arg_list(args).args(quick).to(&url).run();
    let submitted = step(&["batch", "submit", "in.jsonl", "-o", "b.jsonl"]).ended(0);
    let name = submitted.stdout.trim().to_owned();
    assert!(step(&["batch", "list"]).ended(0).stdout.contains("under way"));
    assert!(step(&["batch", "wait", &name]).ended(0).stdout.contains("fetched"));
    step(&["batch", "fetch", &name[..8]]).ended(0).said(&["5 rows answered, 0 failed"]);
    assert_eq!(folder.rows("b.jsonl").len(), 5);
    let cleaned = step(&["batch", "clean"]).ended(0).stdout;
    assert!(cleaned.ends_with("2 of 2 jobs removed\n"), "{cleaned}");
}
