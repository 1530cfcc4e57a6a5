//! Limits that change while a run goes on, and what is told of them.

use crate::program::{Folder, chats, logged, timed, until};
use serde_json::Value;
use std::time::Duration;

#[test]
fn a_control_file_changes_the_limits_of_a_run_and_the_summary_tells_of_it() {
    let simulator = logged().start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", chats(200)).write("limits", "requests_per_minute = fast\n");
    let flags = ["--requests-per-minute", "60", "--control", "limits", "--summary", "s.json"];
    let run = folder.job().args(flags).to(&simulator.base_url()).start();
    until("the first requests", || simulator.stats().requests >= 2);
    folder.write("limits", "# in a hurry\nrequests_per_minute = 60000\n");
    let (run, time) = timed(|| run.wait());
    run.ended(0).said(&["limits is not obeyed: line 1: requests_per_minute is a number"]);
    assert!(time < Duration::from_secs(20), "{time:?}");
    let summary: Value = serde_json::from_str(&folder.read("s.json")).unwrap();
    let changes = summary["limit_changes"].as_array().unwrap();
    let stated = changes.iter().find(|c| c["to"] == 60_000.0).expect("the change is told");
    assert_eq!(
        (&stated["limit"], &stated["reason"]),
        (&"requests_per_minute".into(), &"stated".into())
    );
}
