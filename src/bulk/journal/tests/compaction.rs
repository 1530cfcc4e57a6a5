use std::io;

use proptest::prelude::*;

use super::super::file::Op;
use super::*;

fn many(lines: &[(u64, bool, &str)]) -> Vec<u8> {
    lines.iter().flat_map(|(n, ok, answer)| line_with(*n, *ok, answer)).collect()
}

#[test]
fn the_last_answer_stays_or_else_the_last_line() {
    let bytes = many(&[
        (3, true, "old"),
        (2, false, "old"),
        (1, false, "old"),
        (3, true, "new"),
        (2, false, "new"),
        (1, true, "new"),
        (1, false, "late"),
    ]);
    for (ordered, wanted) in [
        (true, many(&[(1, true, "new"), (2, false, "new"), (3, true, "new")])),
        (false, many(&[(3, true, "new"), (2, false, "new"), (1, true, "new")])),
    ] {
        let scene = Scene::holding(&bytes);
        let summary = scene.open().finish(ordered).unwrap();
        assert_eq!(scene.bytes(), wanted);
        assert_eq!((summary.rows, summary.succeeded, summary.failed), (3, 2, 1));
        assert_eq!((summary.superseded, summary.broken, summary.compacted), (4, 0, true));
        assert_eq!(files(scene.folder.path()), ["out.jsonl"]);
        assert!(!scene.open().finish(ordered).unwrap().compacted, "once is enough");
    }
}

#[test]
fn a_file_that_is_right_is_not_written_anew() {
    let bytes = many(&[(2, true, ""), (1, false, ""), (5, true, "")]);
    let scene = Scene::holding(&bytes);
    assert!(!scene.open().finish(false).unwrap().compacted);
    assert!(scene.open().finish(true).unwrap().compacted);
    assert!(!scene.open().finish(true).unwrap().compacted);
}

#[test]
fn lines_of_other_runs_stay_and_broken_ones_go() {
    let foreign = concat!(r#"{"id":"b","custom_id":"z","response":{"status_code":200}}"#, "\r\n");
    let bytes =
        [foreign.as_bytes(), b"\n{\"torn\n", &line(2, true), b"[]\n", &line(1, true)].concat();
    let scene = Scene::holding(&bytes);
    assert_eq!(scene.open().found().broken, 2);
    let summary = scene.open().finish(true).unwrap();
    assert_eq!((summary.rows, summary.broken), (3, 2));
    assert_eq!(scene.bytes(), [&line(1, true)[..], &line(2, true), foreign.as_bytes()].concat());
}

#[test]
fn long_lines_are_copied_whole() {
    let long = "x".repeat(2_500_000);
    let bytes = many(&[(3, true, &long), (1, true, "a"), (2, true, &long), (1, true, "b")]);
    let scene = Scene::holding(&bytes);
    scene.open().finish(true).unwrap();
    assert!(scene.bytes() == many(&[(1, true, "b"), (2, true, &long), (3, true, &long)]));
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_rights_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let scene = Scene::new();
    let real = scene.folder.path().join("real");
    fs::create_dir(&real).unwrap();
    let target = real.join("data.jsonl");
    fs::write(&target, many(&[(2, true, ""), (1, true, "")])).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real/data.jsonl", scene.path()).unwrap();
    assert!(scene.open().finish(true).unwrap().compacted);
    assert!(fs::symlink_metadata(scene.path()).unwrap().is_symlink());
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read(&target).unwrap(), many(&[(1, true, ""), (2, true, "")]));
    assert_eq!(files(&real), ["data.jsonl"]);
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_makes_its_target() {
    let scene = Scene::new();
    std::os::unix::fs::symlink("later.jsonl", scene.path()).unwrap();
    let mut journal = scene.open();
    for n in [2, 1] {
        journal.append(&line(n, true)).unwrap();
    }
    assert!(journal.finish(true).unwrap().compacted);
    assert_eq!(files(scene.folder.path()), ["later.jsonl", "out.jsonl"]);
    assert_eq!(scene.rows().len(), 2);
}

fn disordered() -> Vec<u8> {
    let long = "x".repeat(600_000);
    let mut bytes = many(&[(9, true, &long), (8, true, &long), (7, false, &long), (7, true, "")]);
    bytes.extend((1..=6).rev().flat_map(|n| line(n, true)));
    bytes
}

/// What must hold after a compaction that ended anywhere: all rows are there, in old or new form.
fn assert_valid(scene: &Scene, at: &str) -> bool {
    let bytes = scene.bytes();
    let old = bytes == disordered();
    if !old {
        let numbers: Vec<u64> = scene.rows().into_iter().map(|(_, _, n)| n).collect();
        assert_eq!(numbers, (1..=9).collect::<Vec<_>>(), "{at}");
    }
    old
}

#[test]
fn a_run_killed_between_any_two_steps_leaves_a_whole_file() {
    let mut steps = 0;
    for killed_at in 0.. {
        let scene = Scene::holding(&disordered());
        let calls = Arc::new(Mutex::new(0));
        let counted = calls.clone();
        let seam = seam(move |_, len| {
            let mut calls = counted.lock();
            *calls += 1;
            // The step before the end moves only half of its bytes.
            match *calls {
                n if n > killed_at => Err(io::Error::other("killed")),
                n if n == killed_at => Ok(len.div_ceil(2)),
                _ => Ok(len),
            }
        });
        let finished = scene.open_with(&seam, Fsync::Never).unwrap().finish(true);
        assert_valid(&scene, &format!("killed at {killed_at}"));
        if finished.is_ok() {
            break;
        }
        steps += 1;
        // The next run finds a stale copy, and is not disturbed by it.
        scene.open().finish(true).unwrap();
        assert!(!assert_valid(&scene, "after the next run"));
        assert_eq!(files(scene.folder.path()), ["out.jsonl"]);
    }
    assert!(steps >= 7, "{steps} steps");
}

#[test]
fn a_step_that_fails_leaves_the_file_and_no_copy() {
    for op in [Op::Create, Op::Truncate, Op::Write, Op::Sync, Op::Rename, Op::SyncFolder] {
        let scene = Scene::holding(&disordered());
        let full = io::ErrorKind::StorageFull;
        let seam = seam(move |each, len| if each == op { Err(full.into()) } else { Ok(len) });
        let e = scene.open_with(&seam, Fsync::Never).unwrap().finish(true).unwrap_err();
        let old = assert_valid(&scene, &format!("{op:?}"));
        assert_eq!(old, op != Op::SyncFolder);
        assert_eq!(files(scene.folder.path()), ["out.jsonl"], "{op:?}");
        if op == Op::Write {
            let text = e.to_string();
            let wanted = "cannot write the compacted copy (the output stays complete as it is) ";
            assert!(text.starts_with(wanted) && text.ends_with(".partial"), "{text}");
        }
    }
}

#[test]
fn a_copy_that_another_process_writes_is_not_touched() {
    let scene = Scene::holding(&disordered());
    let other = fs::File::create(scene.partial()).unwrap();
    other.try_lock().unwrap();
    let e = scene.open().finish(true).unwrap_err().to_string();
    assert!(e.contains("another process is writing"), "{e}");
    assert!(assert_valid(&scene, "locked"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn compaction_keeps_the_right_line_of_each_row(
        lines in prop::collection::vec((1u64..12, any::<bool>()), 0..40), ordered in any::<bool>()
    ) {
        let scene = Scene::new();
        let mut journal = scene.open();
        let mut wanted: Vec<(usize, u64, bool)> = Vec::new();
        for (i, (n, ok)) in lines.iter().enumerate() {
            journal.append(&line_with(*n, *ok, &format!("answer {i}"))).unwrap();
            match wanted.iter_mut().find(|(_, m, _)| m == n) {
                Some(kept) if *ok || !kept.2 => *kept = (i, *n, *ok),
                Some(_) => {}
                None => wanted.push((i, *n, *ok)),
            }
        }
        if ordered { wanted.sort_by_key(|w| w.1) } else { wanted.sort() }
        let summary = journal.finish(ordered).unwrap();
        let bytes: Vec<u8> = wanted
            .iter()
            .flat_map(|(i, n, ok)| line_with(*n, *ok, &format!("answer {i}")))
            .collect();
        prop_assert_eq!(scene.text(), String::from_utf8(bytes).unwrap());
        prop_assert_eq!(summary.superseded as usize, lines.len() - wanted.len());
    }
}
