//! Evaluations, as a user has them.

use crate::program::{Folder, Program, lines, logged, until};
use openai_bulk::simulator::{Answers, BatchSpeed, Fault, Simulator, SimulatorBuilder};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const ROWS: usize = 60;

/// Questions of the shape of GSM8K, all of which the simulator answers rightly but every third.
fn questions(count: usize) -> String {
    let row = |n: usize| json!({"question": asked(n), "answer": format!("#### {n}")}).to_string();
    (0..count).map(|n| row(n) + "\n").collect()
}

fn asked(n: usize) -> String {
    format!("What number does the question {n} have?")
}

fn right(count: usize) -> usize {
    (0..count).filter(|n| n % 3 != 0).count()
}

fn answering() -> SimulatorBuilder {
    let mut answers = Answers::default();
    for n in 0..ROWS {
        answers.insert(asked(n), format!("#### {}", if n % 3 == 0 { n + 1 } else { n }));
    }
    logged().answers(answers)
}

fn job(folder: &Folder, simulator: &Simulator) -> Program {
    let args = ["eval", "--dataset", "in.jsonl", "--format", "gsm8k", "-o", "out.jsonl"];
    folder.program().args(args).to(&simulator.base_url())
}

fn results(folder: &Folder) -> Vec<Value> {
    folder.lines("out.jsonl")
}

fn shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if !path.exists() {
        eprintln!("skipped: there is no {}", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn gsm8k_gives_the_verdicts_that_were_published() {
    let Some(dataset) = shared("gsm8k_test.jsonl") else { return };
    let folder = Folder::new();
    for (model, told) in [
        ("6b_finetuning", "286 of 1319 (21.68 %) ± 1.14, 95 % "),
        ("175b_verification", "742 of 1319 (56.25 %) ± 1.37, 95 % "),
    ] {
        let Some(recorded) = shared(&format!("gsm8k_replay_{model}.jsonl")) else { return };
        let answers = Answers::from_file(&recorded).unwrap();
        let simulator = logged().answers(answers).start().unwrap();
        let run = folder
            .program()
            .args(["eval", "--format", "gsm8k", "-o", model, "--dataset"])
            .args([&dataset])
            .to(&simulator.base_url())
            .run()
            .ended(0);
        assert!(run.stdout.contains(told), "{}", run.stdout);
        let text = std::fs::read_to_string(&recorded).unwrap();
        let labels = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let labels: Vec<_> = labels.map(|row| row["is_correct"].clone()).collect();
        let found: Vec<_> =
            folder.lines(model).iter().map(|result| result["correct"].clone()).collect();
        assert_eq!(found, labels, "{model}");
    }
    let compared = folder.program().args(["compare", "6b_finetuning", "175b_verification"]).run();
    let said = compared.ended(0).stdout;
    assert!(said.contains("+34.57 points ± 1.49"), "{said}");
    assert!(said.contains("both 243, only A 43, only B 499, neither 534"), "{said}");
    assert!(said.contains("B is better than A (p < 0.0001, McNemar's exact test)"), "{said}");
}

#[test]
fn an_evaluation_that_is_killed_goes_on_and_asks_nothing_twice_that_was_written() {
    let simulator = answering().latency("40ms".parse().unwrap()).start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", questions(ROWS));
    let mut run = job(&folder, &simulator).args(["--concurrency", "4"]).start();
    let written = || {
        let text = std::fs::read_to_string(folder.path("out.jsonl.answers.jsonl"));
        let text = text.unwrap_or_default();
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let asked =
            |line: Value| line["x_run"]["metadata"]["target"][0].as_str().unwrap().to_owned();
        lines(whole).into_iter().map(asked).collect::<BTreeSet<_>>()
    };
    until("some answers", || written().len() >= 10);
    run.kill();
    run.wait();
    let written = written();
    assert!(written.len() < ROWS, "it was killed too late to tell anything");
    let before = format!("{} done before", written.len());
    job(&folder, &simulator).run().ended(0).said(&[&before]);
    for number in &written {
        let question = asked(number.parse().unwrap());
        let times = simulator
            .received()
            .into_iter()
            .filter(|request| String::from_utf8_lossy(&request.body).contains(&question));
        assert_eq!(times.count(), 1, "{question}");
    }
    let ids: Vec<_> = results(&folder).iter().map(|one| one["id"].clone()).collect();
    let wanted: Vec<_> = (1..=ROWS).map(|n| Value::from(n.to_string())).collect();
    assert_eq!(ids, wanted, "in the order of the data set");
    let correct = results(&folder).iter().filter(|one| one["correct"] == true).count();
    assert_eq!(correct, right(ROWS));
}

#[test]
fn no_file_is_written_over_another_one() {
    let simulator = answering().start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", questions(3));
    for flag in ["--summary", "--inspect", "--metrics-file", "--log-file"] {
        for file in ["./in.jsonl", "./out.jsonl", "out.jsonl.answers.jsonl"] {
            job(&folder, &simulator).args([flag, file]).run().ended(2).said(&["another file"]);
        }
        if flag != "--summary" {
            let args = ["--summary", "./x", flag, "x"];
            job(&folder, &simulator).args(args).run().ended(2).said(&["another file"]);
        }
    }
    let over = folder.program().args(["eval", "--dataset", "in.jsonl", "--format", "gsm8k"]);
    over.args(["-o", "./in.jsonl"]).to(&simulator.base_url()).run().ended(2);
    job(&folder, &simulator).args(["--summary", "none/s.json"]).run().ended(1);
    assert_eq!(folder.read("in.jsonl"), questions(3));
    assert_eq!(simulator.received().len(), 0, "nothing is paid for first");
}

#[test]
fn errors_are_no_wrong_answers_and_are_asked_again() {
    let simulator = answering().start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", questions(ROWS));
    simulator.fail_next(5, Fault::BadRequest);
    let run = job(&folder, &simulator).args(["--summary", "summary.json"]).run().ended(3);
    assert!(
        run.stdout.contains("5 of 60, not counted as wrong: 5 invalid_prompt"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains(" of 55 ("), "{}", run.stdout);
    let failed = results(&folder).into_iter().filter(|one| !one["error"].is_null());
    let failed: Vec<_> = failed.map(|one| (one["correct"].clone(), one["score"].clone())).collect();
    assert_eq!(failed, vec![(Value::Null, Value::Null); 5]);
    let summary: Value = serde_json::from_str(&folder.read("summary.json")).unwrap();
    assert_eq!(summary["report"]["overall"]["errors"], 5);
    assert_eq!(summary["rounds"][0]["rows"]["failed"], 5);
    let again = job(&folder, &simulator).run().ended(0);
    assert!(again.stdout.contains(&format!("{} of 60 (", right(ROWS))), "{}", again.stdout);
    assert_eq!(simulator.received().len(), ROWS + 5);
}

#[test]
fn a_cap_stops_it_with_4_and_a_larger_one_goes_on() {
    let simulator = answering().start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", questions(ROWS));
    let capped = |most: &str| {
        let params = ["--params", r#"{"max_tokens":20}"#, "--max-cost", most];
        job(&folder, &simulator).args(params).run()
    };
    let run = capped("0.0003").ended(4).said(&["stopped by the cap"]);
    assert!(run.stdout.contains("have no verdict yet"), "{}", run.stdout);
    let done = results(&folder).len();
    assert!(done > 0 && done < ROWS, "{done}");
    let run = capped("1").ended(0);
    assert!(run.stdout.contains(&format!("{} of 60 (", right(ROWS))), "{}", run.stdout);
    assert_eq!(simulator.received().len(), ROWS);
}

#[test]
fn batches_give_the_same_verdicts_as_live_requests() {
    let speed = BatchSpeed::steps_of(Duration::from_millis(10));
    let simulator = answering().batch_speed(speed).start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", questions(ROWS));
    let batch = ["--mode", "batch", "--store", "s.db", "--set", "OPENAI_BATCH_POLL_INTERVAL=1s"];
    let run = job(&folder, &simulator).args(batch).run().ended(0);
    assert!(run.stdout.contains(&format!("{} of 60 (", right(ROWS))), "{}", run.stdout);
    let by_batch = results(&folder);
    job(&folder, &simulator).args(["--fresh", "--store", "s.db"]).run().ended(0);
    let verdicts = |all: &[Value]| all.iter().map(|one| one["correct"].clone()).collect::<Vec<_>>();
    assert_eq!(verdicts(&by_batch), verdicts(&results(&folder)));
}

#[test]
fn repeats_give_pass_at_k_and_another_scorer_asks_nothing() {
    let simulator = answering().start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", questions(6));
    job(&folder, &simulator).args(["--epochs", "0"]).run().ended(2);
    let run = job(&folder, &simulator).args(["--epochs", "3"]).run().ended(0);
    for part in [
        "12 of 18 (66.67 %)",
        "pass@1            66.67 %",
        "pass@3            66.67 %",
        "4 of 6 (66.67 %)",
    ] {
        assert!(run.stdout.contains(part), "{part}:\n{}", run.stdout);
    }
    let ids: BTreeSet<_> = folder.rows("out.jsonl.answers.jsonl").into_keys().collect();
    assert_eq!(ids.len(), 18);
    assert!(ids.contains("1") && ids.contains("6/3"), "{ids:?}");
    let sent = simulator.received().len();
    let numeric = ["--epochs", "3", "--scorer", "numeric", "--tolerance", "1"];
    let run = job(&folder, &simulator).args(numeric).run().ended(0);
    assert!(run.stdout.contains("18 of 18 (100.00 %)"), "{}", run.stdout);
    assert_eq!(simulator.received().len(), sent);
}

#[test]
fn answers_from_the_cache_cost_nothing_and_each_repeat_has_its_own() {
    let simulator = answering().start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", questions(4));
    let eval = |output: &str| {
        let args = ["eval", "--dataset", "in.jsonl", "--format", "gsm8k", "-o", output];
        let cache = ["--epochs", "3", "--summary", "s.json", "--cache", "--cache-file", "c.db"];
        folder.program().args(args).args(cache).to(&simulator.base_url()).run().ended(0);
        let summary: Value = serde_json::from_str(&folder.read("s.json")).unwrap();
        assert_eq!(summary["report"]["cost"], summary["rounds"][0]["cost"]["total"]);
        summary["rounds"][0]["rows"]["from_cache"].clone()
    };
    assert_eq!((eval("a.jsonl"), simulator.received().len()), (json!(0), 12));
    assert_eq!((eval("b.jsonl"), simulator.received().len()), (json!(12), 12));
    assert!(folder.lines("b.jsonl").iter().all(|result| result["cost"] == "0"));
}

#[test]
fn a_cap_holds_for_the_grader_too_when_all_is_asked_again() {
    let simulator = answering().start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", questions(6));
    let args = ["--scorer", "graded", "--fresh", "--summary", "s.json", "--max-tokens-total"];
    let spent = |most: &str, code: i32| {
        let params = ["--params", r#"{"max_tokens":20}"#];
        job(&folder, &simulator).args(args).args([most]).args(params).run().ended(code);
        let summary: Value = serde_json::from_str(&folder.read("s.json")).unwrap();
        let rounds = summary["rounds"].as_array().unwrap().clone();
        rounds.iter().map(|round| round["tokens"]["total"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let free = spent("100000", 3);
    let (asked, graded) = (free[0], free[1]);
    assert!(asked > 0 && graded > asked, "{free:?}");
    let most = asked + graded - 1;
    let capped: u64 = spent(&most.to_string(), 4).iter().sum();
    assert!(capped <= most, "{capped} of {most}");
}

#[test]
fn a_grader_judges_in_a_run_of_its_own_that_goes_on() {
    let mut answers = Answers::default();
    answers.insert("Who was first?", "She was.");
    answers.insert("Who was second?", "Nobody knows.");
    let grading = |answer: &str| format!("Judge the answer [{answer}] and say one letter.");
    answers.insert(grading("She was."), "A");
    answers.insert(grading("Nobody knows."), "C");
    let simulator = logged().answers(answers).start().unwrap();
    let folder = Folder::new();
    let row = |q: &str| json!({"problem": q, "answer": "she", "metadata": "{}"}).to_string() + "\n";
    folder.write("in.jsonl", row("Who was first?") + &row("Who was second?"));
    let job = || {
        let args = ["eval", "--dataset", "in.jsonl", "--format", "simpleqa", "-o", "out.jsonl"];
        let template = "Judge the answer [{answer}] and say one letter.";
        let program = folder.program().args(args).args(["--grader-template", template]);
        program.args(["--grader-model", "gpt-4.1"]).to(&simulator.base_url()).run().ended(0)
    };
    let run = job();
    assert!(run.stdout.contains("1 of 2 (50.00 %)"), "{}", run.stdout);
    assert!(run.stdout.contains("1 correct, 1 not attempted"), "{}", run.stdout);
    let models = |request: &openai_bulk::simulator::Received| {
        serde_json::from_slice::<Value>(&request.body).unwrap()["model"].clone()
    };
    let asked: Vec<_> = simulator.received().iter().map(models).collect();
    assert_eq!(asked.iter().filter(|model| **model == "gpt-4.1").count(), 2);
    job();
    assert_eq!(simulator.received().len(), 4, "what was judged is not judged again");
}

#[cfg(unix)]
#[test]
fn programs_are_judged_by_the_command_that_was_given_and_by_nothing_else() {
    let mut answers = Answers::default();
    answers.insert("def one():", "```python\ndef one():\n    return 1\n```");
    answers.insert("def two():", "```python\ndef two():\n    return 3\n```");
    let simulator = logged().answers(answers).start().unwrap();
    let folder = Folder::new();
    let row = |name: &str| {
        json!({"task_id": format!("T/{name}"), "prompt": format!("def {name}():\n"), "entry_point": name,
            "canonical_solution": "", "test": "def check(f):\n    assert f() == 1"}).to_string() + "\n"
    };
    folder.write("in.jsonl", row("one") + &row("two"));
    let args = ["eval", "--dataset", "in.jsonl", "--format", "humaneval", "-o", "out.jsonl"];
    let job = || folder.program().args(args).to(&simulator.base_url());
    job().run().ended(1).said(&["nothing is run unasked", "--check-command"]);
    assert_eq!(simulator.received().len(), 0);
    let run = job().args(["--check-command", "grep -q 'return 1'"]).run().ended(0);
    assert!(run.stdout.contains("1 of 2 (50.00 %)"), "{}", run.stdout);
    assert_eq!(results(&folder)[0]["id"], "T/one");
    let run = job().args(["--check-command", "/no/such/judge"]).run().ended(3);
    assert!(run.stdout.contains("2 of 2, not counted as wrong: 2 scorer"), "{}", run.stdout);
}

#[test]
fn rows_of_any_fields_are_asked_by_a_prompt_with_examples_and_counted_by_group() {
    let simulator = answering().start().unwrap();
    let folder = Folder::new();
    let row = |n: usize| format!("k{n},{},{n},{}\n", asked(n), if n < 3 { "low" } else { "high" });
    let rows: String = (1..6).map(row).collect();
    folder.write("in.csv", format!("key,text,number,kind\n{rows}"));
    let args = ["eval", "--dataset", "in.csv", "--prompt", "{text}", "--target", "number"];
    let more = ["--id", "key", "--group", "kind", "--few-shot", "1", "--scorer", "numeric"];
    let program = folder.program().args(args).args(more).args(["-o", "out.jsonl"]);
    let run = program.to(&simulator.base_url()).run().ended(0);
    assert!(run.stdout.contains("3 of 4 (75.00 %)"), "{}", run.stdout);
    assert!(run.stdout.contains("  low             1 of 1 (100.00 %)"), "{}", run.stdout);
    assert!(run.stdout.contains("  high            2 of 3 (66.67 %)"), "{}", run.stdout);
    let body: Value = serde_json::from_slice(&simulator.received()[0].body).unwrap();
    assert_eq!(body["messages"][0]["content"], asked(1));
    assert_eq!(body["messages"][1], json!({"role": "assistant", "content": "1"}));
    let refused = folder.program().args(["eval", "--dataset", "in.csv", "-o", "other.jsonl"]);
    refused.to(&simulator.base_url()).run().ended(1).said(&["rows of any fields need a prompt"]);
}

#[test]
fn the_log_has_the_shape_that_inspect_reads() {
    let simulator = answering().start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", questions(ROWS));
    simulator.fail_next(2, Fault::BadRequest);
    job(&folder, &simulator).args(["--inspect", "log.json"]).run().ended(3);
    let log: Value = serde_json::from_str(&folder.read("log.json")).unwrap();
    assert_eq!((&log["version"], &log["status"]), (&json!(2), &json!("success")));
    // Without these, Inspect reads the whole log, but not its head alone, as `inspect log list` does.
    assert!(log.get("error").is_none() && log["plan"]["steps"].is_array());
    let samples = log["samples"].as_array().unwrap();
    let of =
        |value: &str| samples.iter().filter(|one| one["scores"]["gsm8k"]["value"] == value).count();
    let failed = samples.iter().filter(|one| one["error"]["message"].is_string()).count();
    assert_eq!((samples.len(), of("C") + of("I"), failed), (ROWS, ROWS - 2, 2));
    assert_eq!(log["results"]["completed_samples"], ROWS - 2);
    let accuracy = of("C") as f64 / (ROWS - 2) as f64;
    let told = log["results"]["scores"][0]["metrics"]["accuracy"]["value"].as_f64().unwrap();
    assert!((told - accuracy).abs() < 1e-12);
    read_by_inspect(&folder, of("C"));
}

/// Lets Inspect itself read the log, where it is installed: in `python3`, or in the one that
/// INSPECT_PYTHON names.
fn read_by_inspect(folder: &Folder, right: usize) {
    let python = std::env::var("INSPECT_PYTHON").unwrap_or("python3".into());
    let script = "import sys; from inspect_ai.log import read_eval_log as r; l = r(sys.argv[1]); \
        h = r(sys.argv[1], header_only=True); assert h.results == l.results; \
        c = sum(s.scores['gsm8k'].value == 'C' for s in l.samples if s.scores); \
        e = sum(s.error is not None for s in l.samples); print(l.status, len(l.samples), c, e)";
    let is_there = Command::new(&python).args(["-c", "import inspect_ai"]).output();
    if !is_there.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: {python} has no inspect_ai");
        return;
    }
    let output = Command::new(&python).args(["-c", script]).arg(folder.path("log.json")).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.trim(), format!("success {ROWS} {right} 2"), "{error}");
}

#[test]
fn rows_that_cannot_be_asked_are_told_by_their_place_in_the_data_set() {
    let simulator = answering().start().unwrap();
    let folder = Folder::new();
    let args = ["eval", "--prompt", "{text}", "-o", "out.jsonl", "--dataset"];
    let row =
        |id: &str, text: &str| json!({"id": id, "text": text, "target": "x"}).to_string() + "\n";
    folder.write("twice.jsonl", row("a", "1") + &row("b", "2") + &row("a", "3"));
    folder.write("twice.csv", "id,text,target\na,1,x\na,2,x\n");
    folder.write("epochs.jsonl", row("a", "1") + &row("a/2", "2"));
    folder.write("fields.jsonl", row("a", "1") + "{\"id\":\"b\",\"target\":\"x\"}\n");
    for (name, more, wanted) in [
        ("twice.jsonl", "1", "twice.jsonl:3: `a` is the id of row 1 too"),
        ("twice.csv", "1", "twice.csv, row 2: `a` is the id of row 1 too"),
        ("epochs.jsonl", "2", "epochs.jsonl:2: `a/2` is the id of row 1 too"),
        ("fields.jsonl", "1", "fields.jsonl:2: the template names the field `text`"),
    ] {
        let program = folder.program().args(args).args([name, "--epochs", more]);
        program.to(&simulator.base_url()).run().ended(1).said(&[wanted]);
    }
    let program = folder.program().args(args).args(["epochs.jsonl"]);
    program.to(&simulator.base_url()).run().ended(0);
    assert_eq!(simulator.received().len(), 2);
}

#[test]
fn what_would_spoil_an_evaluation_is_refused_before_anything_is_paid_for() {
    let simulator = answering().start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", questions(3));
    for (args, code, wanted) in [
        (["--params", r#"{"messages":[]}"#], 1, "`messages` is made from the data set"),
        (["--params", r#"{"n":3}"#], 1, "--epochs"),
        (["--inspect", "none/log.json"], 1, "none/log.json"),
        (["--inspect", "log.eval"], 1, "a name that ends in .json"),
        (["--tolerance", "nan"], 2, "a number from 0"),
        (["--tolerance=-1", "--quiet"], 2, "a number from 0"),
    ] {
        job(&folder, &simulator).args(args).run().ended(code).said(&[wanted]);
    }
    assert_eq!(simulator.received().len(), 0);
}

#[test]
fn a_data_set_that_is_corrected_judges_the_same_answers_again() {
    let mut answers = Answers::default();
    answers.insert("Which?", "The answer is B.");
    let simulator = logged().answers(answers).start().unwrap();
    let folder = Folder::new();
    let eval = |row: Value, told: &str| {
        folder.write("in.jsonl", row.to_string() + "\n");
        let args = ["eval", "--dataset", "in.jsonl", "--format", "inspect", "--prompt", "{input}"];
        let program = folder.program().args(args).args(["--scorer", "choice", "-o", "out.jsonl"]);
        let run = program.to(&simulator.base_url()).run().ended(0);
        assert!(run.stdout.contains(told), "{}", run.stdout);
    };
    eval(json!({"input": "Which?", "target": "B", "choices": ["x"]}), "0 of 1 (");
    eval(json!({"input": "Which?", "target": "B", "choices": ["x", "y"]}), "1 of 1 (");
    eval(json!({"input": "Which?", "target": "A", "choices": ["x", "y"]}), "0 of 1 (");
    assert_eq!(simulator.received().len(), 1);
    assert_eq!(results(&folder)[0]["extracted"], "B");
}

#[test]
fn a_grader_that_is_down_leaves_the_answers_their_price_and_no_verdict() {
    let simulator = answering().start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", questions(4));
    let graded = || {
        let args = ["--scorer", "graded", "--grader-model", "gpt-4.1", "--summary", "s.json"];
        job(&folder, &simulator).args(args)
    };
    job(&folder, &simulator).run().ended(0);
    simulator.fail_next(4, Fault::BadRequest);
    let run = graded().run().ended(3);
    assert!(
        run.stdout.contains("4 of 4, not counted as wrong: 4 invalid_prompt"),
        "{}",
        run.stdout
    );
    let summary: Value = serde_json::from_str(&folder.read("s.json")).unwrap();
    assert_eq!(summary["report"]["unpriced"], 0);
    assert!(results(&folder).iter().all(|result| result["cost"].is_string()));
    let run = graded().run().ended(3);
    assert!(run.stdout.contains("4 of 4, not counted as wrong: 4 grader"), "{}", run.stdout);
    assert_eq!(simulator.received().len(), 12, "a grader that failed is asked again");
    let other = graded().args(["--grader-template", "Is {answer} right?"]).run().ended(1);
    other.said(&["out.jsonl.grading.jsonl", "remove that file to let another grader judge"]);
    assert_eq!(simulator.received().len(), 12, "no verdict of one grader is taken for another's");
}
