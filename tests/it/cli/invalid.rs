//! Input that is refused, before anything is sent.

use crate::program::{Folder, chat, chats, simulator};

/// Inputs, the line that is wrong, and what is said of it.
fn wrong() -> Vec<(String, u64, &'static str)> {
    let repeated = chats(3) + &chat("r1", "again?");
    let cases = [
        (repeated, 4, "r1"),
        (chats(2) + "not json\n", 3, "JSON"),
        (chats(2) + "[1,2]\n", 3, "object"),
        (chats(1) + "{\"custom_id\":\"x\",\"url\":\"/v1/chat/completions\"}\n", 2, "`body`"),
        (
            chats(1) + "{\"url\":\"/v1/chat/completions\",\"body\":{\"messages\":[]}}\n",
            2,
            "custom_id",
        ),
        (
            chats(1) + "{\"custom_id\":\"x\",\"url\":\"/v1/nonsense\",\"body\":{}}\n",
            2,
            "/v1/nonsense",
        ),
        (chats(1) + "{\"question\":\"why?\"}\n", 2, "--template"),
        (chats(1) + "{\"prompt\":7,\"id\":1}\n", 2, "`prompt`"),
        (chats(1) + "\n\n{\"custom_id\":\"x\",\"body\":\n", 4, "JSON"),
        (
            chats(1)
                + "{\"url\":\"/v1/embeddings\",\"custom_id\":\"e\",\"body\":{\"input\":\"x\",\"stream\":true}}\n",
            2,
            "stream",
        ),
    ];
    cases.into_iter().collect()
}

#[test]
fn a_wrong_line_is_named_by_file_and_number_and_nothing_is_sent() {
    let simulator = simulator();
    for (input, line, part) in wrong() {
        let folder = Folder::new();
        folder.write("in.jsonl", &input);
        let place = format!("in.jsonl:{line}");
        folder.job().to(&simulator.base_url()).run().ended(1).said(&[&place, part]);
        assert_eq!(simulator.stats().requests, 0, "{input}");
    }
}

#[test]
fn wrong_lines_become_failed_rows_where_that_is_asked_for() {
    let simulator = simulator();
    for (input, line, _) in wrong() {
        let folder = Folder::new();
        folder.write("in.jsonl", &input);
        let before = simulator.stats().requests;
        folder.job().args(["--skip-invalid"]).to(&simulator.base_url()).run().ended(3);
        let rows = folder.rows("out.jsonl");
        let good = simulator.stats().requests - before;
        assert_eq!(rows.len() as u64, good + 1, "{input}");
        let failed = &rows[&format!("line-{line}")];
        assert_eq!(failed["error"]["code"], "invalid_line");
        assert_eq!(failed["x_run"]["ok"], false);
        assert_eq!(failed["x_run"]["line"], line);
        // Again: the good rows are done, the bad one stays one line.
        folder.job().args(["--skip-invalid"]).to(&simulator.base_url()).run().ended(3);
        assert_eq!(folder.rows("out.jsonl").len(), rows.len());
        assert_eq!(simulator.stats().requests - before, good);
    }
}

#[test]
fn a_mended_line_leaves_no_trace() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(2) + "oops\n");
    folder.job().args(["--skip-invalid"]).to(&simulator.base_url()).run().ended(3);
    folder.write("in.jsonl", chats(3));
    folder.job().to(&simulator.base_url()).run().ended(0);
    let rows = folder.rows("out.jsonl");
    assert!(["r0", "r1", "r2"].iter().all(|id| rows[*id]["x_run"]["ok"] == true));
}

#[test]
fn a_wrong_line_of_a_stream_ends_the_run_and_keeps_what_was_answered() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder
        .program()
        .args(["run", "-", "-o", "out.jsonl"])
        .to(&simulator.base_url())
        .stdin(chats(5) + "oops\n" + &chat("later", "?"))
        .run()
        .ended(1)
        .said(&["standard input:6"]);
    let sent = simulator.stats().requests;
    assert!(sent <= 5);
    assert_eq!(folder.rows("out.jsonl").len() as u64, sent);
}

#[test]
fn an_input_that_is_not_there_or_not_text_is_told() {
    let (folder, simulator) = (Folder::new(), simulator());
    let base = simulator.base_url();
    folder.job().to(&base).run().ended(1).said(&["in.jsonl"]);
    folder.write("in.jsonl", b"\xff\xfe\x00{\n");
    folder.job().to(&base).run().ended(1).said(&["in.jsonl:1"]);
    folder
        .program()
        .args(["run", ".", "-o", "out.jsonl"])
        .to(&base)
        .run()
        .ended(1)
        .said(&["directory"]);
    assert_eq!(simulator.stats().requests, 0);
}
