use super::*;

#[test]
fn what_is_done_is_known_when_the_file_is_opened_again() {
    let scene = Scene::new();
    let mut journal = scene.open();
    assert_eq!(journal.found(), Found::default());
    for (n, ok) in [(1, true), (2, false), (3, false), (3, true), (4, true), (4, false)] {
        journal.append(&line(n, ok)).unwrap();
    }
    journal.flush(NOW).unwrap();
    drop(journal);
    let journal = scene.open();
    assert_eq!((journal.found().succeeded, journal.found().failed), (3, 1));
    for (n, known) in [(1, Known::Done), (2, Known::Failed), (3, Known::Done), (4, Known::Done)] {
        assert_eq!(journal.known().state_of(&row(n)), known, "{n}");
    }
    assert_eq!(journal.known().state_of(&row(5)), Known::New);
    assert_eq!(journal.known().state_of(&changed_row(2, "!")), Known::Failed);
    let changed = changed_row(1, "!");
    assert_eq!(journal.known().state_of(&changed), Known::Changed);
    let text = journal.changed(&changed).to_string();
    assert!(text.starts_with("line 1: the request `line-1` is not the one that"), "{text}");
}

#[test]
fn of_two_answers_the_last_one_is_the_known_one() {
    let other = String::from_utf8(line(1, true)).unwrap();
    let hex = fingerprint_hex(row(1).fingerprint);
    let other = other.replace(&hex, &fingerprint_hex(changed_row(1, "!").fingerprint));
    let scene = Scene::holding(&[other.into_bytes(), line(1, true)].concat());
    assert_eq!(scene.open().known().state_of(&row(1)), Known::Done);
    assert_eq!(scene.open().known().state_of(&changed_row(1, "!")), Known::Changed);
}

#[test]
fn results_of_a_real_batch_count_by_their_id() {
    let text = concat!(
        r#"{"id":"b","custom_id":"line-1","response":{"status_code":200,"body":{}},"error":null}"#,
        "\n",
        r#"{"id":"b","custom_id":"line-2","response":null,"error":{"code":"batch_expired"}}"#,
    );
    let scene = Scene::holding(text.as_bytes());
    let journal = scene.open();
    assert_eq!(journal.known().state_of(&row(1)), Known::Done);
    assert_eq!(journal.known().state_of(&changed_row(1, "!")), Known::Done);
    assert_eq!(journal.known().state_of(&row(2)), Known::Failed);
    assert_eq!(scene.text(), format!("{text}\n"), "the last line lacks only its end");
}

#[test]
fn a_file_of_somebody_else_is_left_alone() {
    for text in [
        "precious\n",
        "precious",
        "{\"prompt\":\"a\"}\n",
        "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/responses\",\"body\":{}}\n",
        "{\"id\":\"x\",\"text\":\"whole, though without a line end\"}",
        "\n\nname,age\n",
        "\0\0\0\0",
    ] {
        let scene = Scene::holding(text.as_bytes());
        let e = Journal::open(scene.path(), Options::default()).unwrap_err().to_string();
        assert!(e.starts_with("output: ") && e.contains("is not the output of a run"), "{e}");
        assert_eq!(scene.text(), text);
        let fresh = Options { fresh: true, ..Options::default() };
        drop(Journal::open(scene.path(), fresh).unwrap());
        assert_eq!(scene.text(), "");
    }
}

#[test]
fn one_process_has_the_file_at_a_time() {
    let scene = Scene::new();
    let journal = scene.open();
    for fresh in [false, true] {
        let e = Journal::open(scene.path(), Options { fresh, ..Options::default() }).unwrap_err();
        let wanted = format!("output: another process is writing {}", scene.path().display());
        assert_eq!(e.to_string(), wanted);
    }
    drop(journal);
    scene.open().finish(false).unwrap();
    drop(scene.open());
}

#[test]
fn the_lock_is_on_the_file_that_has_the_name() {
    let scene = Scene::holding(&[line(2, true), line(1, true)].concat());
    let old = fs::File::open(scene.path()).unwrap();
    assert!(scene.open().finish(true).unwrap().compacted);
    old.try_lock().unwrap();
    // Somebody holds the file that lost its name; the one that has it is free.
    drop(scene.open());
}

#[test]
fn the_input_is_never_the_output() {
    let scene = Scene::holding(b"{\"prompt\":\"a\"}\n");
    let link = scene.folder.path().join("link");
    #[cfg(unix)]
    std::os::unix::fs::symlink(scene.path(), &link).unwrap();
    #[cfg(not(unix))]
    fs::hard_link(scene.path(), &link).unwrap();
    for input in [link, scene.folder.path().join("./out.jsonl"), scene.path()] {
        assert!(same_file(&input, &scene.path()));
        let options = Options { fresh: true, input: Some(input), ..Options::default() };
        let e = Journal::open(scene.path(), options).unwrap_err().to_string();
        assert!(e.contains("is the input"), "{e}");
    }
    assert_eq!(scene.text(), "{\"prompt\":\"a\"}\n");
    assert!(!same_file(&scene.path(), &scene.partial()));
    assert!(!same_file(Path::new("/dev/null"), Path::new("/dev/null")));
}

#[test]
fn places_that_cannot_be_are_told_plainly() {
    let scene = Scene::new();
    let e = Journal::open(scene.folder.path().join("no/out"), Options::default()).unwrap_err();
    assert!(e.to_string().ends_with("no does not exist"), "{e}");
    let e = Journal::open(scene.folder.path(), Options::default()).unwrap_err();
    assert!(e.to_string().starts_with("cannot write"), "{e}");
}

#[cfg(unix)]
#[test]
fn what_is_not_a_file_is_only_written_to() {
    let mut journal = Journal::open("/dev/null", Options::default()).unwrap();
    assert!(journal.is_sink());
    journal.append(&line(1, true)).unwrap();
    journal.flush(NOW).unwrap();
    assert_eq!(journal.finish(true).unwrap(), Summary::default());
    if Path::new("/dev/full").exists() {
        let mut journal = Journal::open("/dev/full", Options::default()).unwrap();
        journal.append(&line(1, true)).unwrap();
        assert_eq!(journal.flush(NOW).unwrap_err().to_string(), "cannot write /dev/full");
        assert!(journal.append(&line(2, true)).is_err());
        assert!(journal.retry_flush().is_err());
        assert!(journal.finish(false).is_err());
    }
}
