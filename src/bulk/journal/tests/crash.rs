use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use proptest::prelude::*;

use super::super::file::Op;
use super::*;
use crate::error::Error;
use crate::wire::row::id_hash;

fn two_hundred() -> Vec<u8> {
    (1..=200).flat_map(|n| line(n, n % 7 != 0)).collect()
}

fn no_space() -> io::Error {
    io::Error::from_raw_os_error(28)
}

/// The rows of which a whole line lies within the first `cut` bytes.
fn whole(bytes: &[u8], cut: usize) -> u64 {
    let ended = bytes[..cut].iter().filter(|b| **b == b'\n').count() as u64;
    // A line that lacks only its end is whole.
    ended + u64::from(bytes.get(cut) == Some(&b'\n'))
}

#[test]
fn a_file_torn_at_any_byte_loses_the_torn_line_alone() {
    let bytes = two_hundred();
    let scene = Scene::new();
    // Every byte takes more than a minute without optimisation; the first lines stand for all.
    let few: usize = (1..=12).map(|n| line(n, true).len()).sum();
    let step = if cfg!(debug_assertions) { 41 } else { 1 };
    for cut in (0..few).chain((few..=bytes.len()).step_by(step)) {
        fs::write(scene.path(), &bytes[..cut]).unwrap();
        let mut journal = scene.open();
        let kept = whole(&bytes, cut);
        let found = journal.found();
        assert_eq!(found.succeeded + found.failed, kept, "cut at {cut}");
        journal.append(&line(999, true)).unwrap();
        journal.flush(NOW).unwrap();
        drop(journal);
        let ends: usize = (1..=kept).map(|n| line(n, n % 7 != 0).len()).sum();
        let wanted = [&bytes[..ends], &line(999, true)[..]].concat();
        assert!(scene.bytes() == wanted, "cut at {cut}");
        // Opening it again is slow at every byte, and the same file within a line.
        if cut % 97 == 0 {
            let again = scene.open();
            assert_eq!(again.known().state_of(&row(999)), Known::Done);
            assert_eq!((again.found().broken, again.found().succeeded), (0, found.succeeded + 1));
        }
    }
}

#[test]
fn a_block_of_zeros_at_the_end_is_a_torn_line() {
    let bytes = [line(1, true), line(2, true), vec![0; 5000]].concat();
    for end in ["", "\n"] {
        let scene = Scene::holding(&[&bytes, end.as_bytes()].concat());
        assert_eq!(scene.open().found().broken, 1);
        assert_eq!(scene.rows().len(), 2);
    }
}

/// Ids of which a few flipped bits do not make another one: such a line would pass for the
/// other row's.
fn far_id(n: u64) -> String {
    fingerprint_hex(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn far_row(n: u64) -> Row {
    Row { id_hash: id_hash(&far_id(n)), ..row(n) }
}

fn far_line(n: u64) -> Vec<u8> {
    let text = String::from_utf8(line(n, true)).unwrap();
    text.replace(&format!("\"line-{n}\""), &format!("\"{}\"", far_id(n))).into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn flipped_bits_lose_the_lines_they_touch_at_most(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..8)
    ) {
        let clean: Vec<Vec<u8>> = (1..=40).map(far_line).collect();
        let bytes = clean.concat();
        let mut broken = bytes.clone();
        let mut touched = BTreeSet::new();
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            broken[at] ^= 1 << bit;
            let n = bytes[..at].iter().filter(|b| **b == b'\n').count() as u64 + 1;
            touched.insert(n);
            if bytes[at] == b'\n' {
                // Without its end the line runs into the next one.
                touched.insert(n + 1);
            }
        }
        let scene = Scene::holding(&broken);
        let journal = scene.open();
        for n in (1..=40).filter(|n| !touched.contains(n)) {
            prop_assert_eq!(journal.known().state_of(&far_row(n)), Known::Done, "{}", n);
        }
        journal.finish(true).unwrap();
        let after = scene.text();
        for n in (1..=40).filter(|n| !touched.contains(n)) {
            let line = String::from_utf8(clean[n as usize - 1].clone()).unwrap();
            prop_assert!(after.contains(&line), "{}", n);
        }
        for line in scene.bytes().split_inclusive(|b| *b == b'\n') {
            prop_assert!(read_output(line).is_some());
        }
    }
}

/// A seam whose `n`-th write moves half of its bytes, and whose next `failing` ones fail.
fn failing_write(n: usize, failing: usize) -> Seam {
    let mut writes = 0;
    seam(move |op, len| match op {
        Op::Write => {
            writes += 1;
            match writes {
                w if w == n => Ok(len.div_ceil(2)),
                w if w > n && w <= n + failing => Err(no_space()),
                _ => Ok(len),
            }
        }
        _ => Ok(len),
    })
}

#[test]
fn a_write_that_fails_once_loses_nothing() {
    for n in 1..=60 {
        let scene = Scene::new();
        let mut journal = scene.open_with(&failing_write(n, 1), Fsync::Never).unwrap();
        let mut failed_at = None;
        for each in 1..=50 {
            let appended = journal.append(&line(each, true));
            assert_eq!(appended.is_err(), failed_at.is_some());
            if journal.flush(NOW).is_err() && failed_at.is_none() {
                failed_at = Some(each);
                assert!(scene.rows().len() as u64 >= each - 1, "only whole lines");
            }
        }
        if failed_at.is_some() {
            let e = journal.append(&line(51, true)).unwrap_err();
            assert!(matches!(&e, Error::File(f) if f.source.raw_os_error() == Some(28)), "{e:?}");
            assert!(journal.unwritten() > 0);
        } else {
            journal.append(&line(51, true)).unwrap();
        }
        if journal.retry_flush().is_err() {
            // The one failure came only now.
            journal.retry_flush().unwrap();
        }
        assert_eq!(journal.unwritten(), 0);
        assert_eq!(journal.finish(true).unwrap().rows, 51);
        let numbers: Vec<u64> = scene.rows().into_iter().map(|(_, _, n)| n).collect();
        assert_eq!(numbers, (1..=51).collect::<Vec<_>>(), "write {n}");
    }
}

#[test]
fn a_disk_that_stays_full_leaves_a_whole_file() {
    for n in 1..=60 {
        let scene = Scene::new();
        let mut journal = scene.open_with(&failing_write(n, usize::MAX - n), Fsync::Never).unwrap();
        let mut flushed = 0;
        for each in 1..=25_u64 {
            let _ = journal.append(&line(2 * each, true));
            let _ = journal.append(&line(2 * each + 1, true));
            if journal.flush(NOW).is_ok() {
                flushed = 2 * each;
            }
        }
        assert_eq!(journal.retry_flush().is_err(), n <= 25);
        drop(journal);
        let rows = scene.rows().len() as u64;
        assert!((flushed..flushed + 2).contains(&rows), "{rows} of {flushed} at write {n}");
        assert_eq!(scene.open().found().succeeded, rows);
    }
}

#[test]
fn a_tail_that_cannot_be_cut_is_cut_later() {
    let scene = Scene::new();
    let mut calls = 0;
    let seam = seam(move |op, len| {
        calls += 1;
        match (op, calls) {
            (Op::Write, 1) => Ok(len - 5),
            (_, 2..=4) => Err(io::Error::other("broken disk")),
            _ => Ok(len),
        }
    });
    let mut journal = scene.open_with(&seam, Fsync::Never).unwrap();
    journal.append(&line(1, true)).unwrap();
    journal.append(&line(2, true)).unwrap();
    assert!(journal.flush(NOW).is_err());
    assert!(scene.bytes().len() > line(1, true).len(), "torn");
    assert!(journal.retry_flush().is_err(), "still cannot be cut");
    journal.retry_flush().unwrap();
    journal.finish(false).unwrap();
    assert_eq!(scene.bytes(), [line(1, true), line(2, true)].concat());
}

#[test]
fn after_a_failed_sync_nothing_is_tried_again() {
    let scene = Scene::new();
    let seam = seam(|op, len| if op == Op::Sync { Err(io::Error::other("lost")) } else { Ok(len) });
    let mut journal = scene.open_with(&seam, Fsync::Always).unwrap();
    journal.append(&line(1, true)).unwrap();
    let e = journal.flush(NOW).unwrap_err();
    assert!(e.to_string().starts_with("cannot sync"), "{e}");
    assert!(journal.append(&line(2, true)).is_err());
    assert!(journal.retry_flush().is_err());
    assert!(journal.finish(false).is_err());
    assert_eq!(scene.rows().len(), 1);
}

#[test]
fn syncs_come_when_they_are_due() {
    let at = |s: u64| Time::from_origin(Duration::from_secs(s));
    for (fsync, wanted) in [
        (Fsync::Never, vec![]),
        (Fsync::Always, vec![0, 1, 6, 20]),
        (Fsync::Interval(Duration::from_secs(5)), vec![6, 30]),
    ] {
        let scene = Scene::new();
        let synced = Arc::new(Mutex::new((0, Vec::new())));
        let seen = synced.clone();
        let seam = seam(move |op, len| {
            if op == Op::Sync {
                let mut seen = seen.lock();
                let now = seen.0;
                seen.1.push(now);
            }
            Ok(len)
        });
        let mut journal = scene.open_with(&seam, fsync).unwrap();
        for (now, more) in [(0, true), (1, true), (6, true), (9, false), (20, true), (30, false)] {
            synced.lock().0 = now;
            if more {
                journal.append(&line(now, true)).unwrap();
            }
            journal.flush(at(now)).unwrap();
        }
        assert_eq!(synced.lock().1, wanted, "{fsync:?}");
    }
}

#[test]
fn lines_that_were_not_flushed_are_written_when_the_handle_goes() {
    let scene = Scene::new();
    let mut journal = scene.open();
    journal.append(line(1, true).trim_ascii_end()).unwrap();
    drop(journal);
    assert_eq!(scene.bytes(), line(1, true));
}
