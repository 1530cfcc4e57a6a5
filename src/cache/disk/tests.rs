//! The file: what comes out, what goes, and what is left alone.

use super::*;
use crate::cache::{Request, Sample};
use std::fs;

const NEVER: SystemTime = SystemTime::UNIX_EPOCH;
const ALL: u64 = 1 << 40;

fn key(number: u32) -> Key {
    let request = Request::new("account", "http://a/v1/chat/completions", b"{}").unwrap();
    request.sample(Sample { epoch: number, repeat: 0 })
}

fn entry(body: &str) -> Entry {
    Entry::new(200, Some("req_1"), body.as_bytes()).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

fn disk() -> (tempfile::TempDir, Disk) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path().join("deep/er/answers.db")).unwrap();
    (folder, disk)
}

#[test]
fn what_is_put_in_comes_out_also_from_another_handle() {
    let (_folder, disk) = disk();
    let (first, second) = (entry(r#"{"a":1}"#), entry(r#"{"a":2}"#));
    disk.put(&key(1), &first, at(0), NEVER, ALL).unwrap();
    assert_eq!(disk.get(&key(1), at(0), NEVER).unwrap(), Some(first));
    assert_eq!(disk.get(&key(2), at(0), NEVER).unwrap(), None);
    disk.put(&key(1), &second, at(1), NEVER, ALL).unwrap();
    for other in [Disk::open(disk.path()), Disk::open_read_only(disk.path())] {
        let other = other.unwrap();
        assert_eq!(other.get(&key(1), at(9_000), NEVER).unwrap(), Some(second.clone()));
        assert_eq!(other.stats().unwrap().answers, 1);
    }
}

#[test]
fn what_is_too_old_is_not_there_and_goes_with_what_comes() {
    let (_folder, disk) = disk();
    for number in 0..4 {
        disk.put(&key(number), &entry("{}"), at(u64::from(number)), NEVER, ALL).unwrap();
    }
    assert_eq!(disk.get(&key(1), at(9), at(2)).unwrap(), None);
    assert!(disk.get(&key(2), at(9), at(2)).unwrap().is_some());
    assert_eq!(disk.stats().unwrap().answers, 4, "a look removes nothing");
    disk.put(&key(9), &entry("{}"), at(9), at(2), ALL).unwrap();
    let stats = disk.stats().unwrap();
    assert_eq!((stats.answers, stats.oldest), (3, Some(1_800_000_002)));
}

#[test]
fn where_there_is_no_room_what_was_not_used_for_the_longest_time_goes() {
    let (_folder, disk) = disk();
    let most = 1 << 20;
    let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(10_000));
    let hours = |number: u32| at(u64::from(number) * 3_600);
    for number in 0..300 {
        disk.put(&key(number), &entry(&body), hours(number), NEVER, most).unwrap();
        assert!(disk.stats().unwrap().bytes <= most);
        // The first one is used again and again.
        assert!(disk.get(&key(0), hours(number + 1), NEVER).unwrap().is_some(), "{number}");
    }
    let kept: Vec<u32> = (0..300)
        .filter(|number| disk.get(&key(*number), hours(300), NEVER).unwrap().is_some())
        .collect();
    assert!(kept.len() > 60, "{kept:?}");
    assert_eq!(kept[0], 0);
    assert!(kept[1..].is_sorted_by(|a, b| a + 1 == *b) && kept.contains(&299), "{kept:?}");
    assert!(fs::metadata(disk.path()).unwrap().len() <= most + (1 << 16));
}

#[test]
fn clearing_gives_the_room_back() {
    let (_folder, disk) = disk();
    for number in 0..50 {
        let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(10_000));
        disk.put(&key(number), &entry(&body), at(u64::from(number)), NEVER, ALL).unwrap();
    }
    let full = disk.stats().unwrap().bytes;
    assert_eq!(disk.clear(Some(at(20))).unwrap(), 20);
    assert_eq!(disk.clear(None).unwrap(), 30);
    let stats = disk.stats().unwrap();
    assert_eq!((stats.answers, stats.oldest), (0, None));
    assert!(stats.bytes * 5 < full && fs::metadata(disk.path()).unwrap().len() * 5 < full);
}

#[test]
fn a_torn_entry_is_a_miss() {
    let (_folder, disk) = disk();
    disk.put(&key(1), &entry(r#"{"text":"whole"}"#), at(0), NEVER, ALL).unwrap();
    disk.writer
        .lock()
        .db
        .execute("UPDATE answers SET body = CAST('{\"text\":\"whol' AS BLOB)", [])
        .unwrap();
    assert_eq!(disk.get(&key(1), at(0), NEVER).unwrap(), None);
    disk.put(&key(1), &entry(r#"{"text":"whole"}"#), at(0), NEVER, ALL).unwrap();
    assert!(disk.get(&key(1), at(0), NEVER).unwrap().is_some());
}

#[test]
fn an_entry_whose_text_is_none_is_a_miss_and_breaks_nothing() {
    let (_folder, disk) = disk();
    disk.put(&key(1), &entry("{}"), at(0), NEVER, ALL).unwrap();
    disk.put(&key(2), &entry("{}"), at(0), NEVER, ALL).unwrap();
    for torn in ["request_id = CAST(x'72ff' AS TEXT)", "status = -7", "used = 'x'"] {
        let torn = format!("UPDATE answers SET {torn} WHERE id = 1");
        disk.writer.lock().db.execute(&torn, []).unwrap();
        assert_eq!(disk.get(&key(1), at(0), NEVER).unwrap(), None, "{torn}");
        assert!(disk.get(&key(2), at(0), NEVER).unwrap().is_some());
    }
}

#[test]
fn a_bound_that_was_lowered_is_reached_step_by_step() {
    let (_folder, disk) = disk();
    for number in 0..1_500 {
        disk.put(&key(number), &entry("{}"), at(0), NEVER, ALL).unwrap();
    }
    disk.put(&key(9_000), &entry("{}"), at(1), NEVER, 1).unwrap();
    assert_eq!(disk.stats().unwrap().answers, 501);
    disk.put(&key(9_001), &entry("{}"), at(2), NEVER, 1).unwrap();
    assert_eq!(disk.stats().unwrap().answers, 0);
}

#[test]
fn what_cannot_be_cleared_tells_the_way_out() {
    let (_folder, disk) = disk();
    for number in 0..200 {
        disk.put(&key(number), &entry("{}"), at(0), NEVER, ALL).unwrap();
    }
    let path = disk.path().to_owned();
    drop(disk);
    let mut bytes = fs::read(&path).unwrap();
    bytes[5_000..].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let error = Disk::open(&path).unwrap().clear(None).unwrap_err().to_string();
    assert!(error.contains("remove it, together with"), "{error}");
}

#[test]
fn what_is_no_cache_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "a text that nobody wants to lose, and that is no database".repeat(50))
        .unwrap();
    let before = fs::read(&path).unwrap();
    let error = Disk::open(&path).unwrap_err().to_string();
    assert!(error.contains("name another file"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let before = fs::read(&other).unwrap();
    assert!(Disk::open(&other).unwrap_err().to_string().contains("is no cache"));
    assert_eq!(fs::read(&other).unwrap(), before);
    assert!(Disk::open_read_only(folder.path().join("none.db")).is_err());
}

#[test]
fn where_another_process_holds_the_file_for_long_only_the_first_write_waits() {
    let (_folder, disk) = disk();
    let other = Connection::open(disk.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for number in 0..50 {
        let put = disk.put(&key(number), &entry("{}"), at(0), NEVER, ALL);
        assert!(matches!(put, Err(Trouble::Busy)));
    }
    // Reading goes on, and writing when the pause is over.
    assert_eq!(disk.get(&key(1), at(1), NEVER).unwrap(), None);
    other.execute_batch("COMMIT").unwrap();
    assert!(disk.put(&key(1), &entry("{}"), at(9), NEVER, ALL).is_err());
    disk.put(&key(1), &entry("{}"), at(10), NEVER, ALL).unwrap();
    assert!(disk.get(&key(1), at(10), NEVER).unwrap().is_some());
}

#[test]
fn what_was_used_is_known_to_the_next_process() {
    let (_folder, disk) = disk();
    let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(100_000));
    for number in 0..5 {
        disk.put(&key(number), &entry(&body), at(u64::from(number)), NEVER, ALL).unwrap();
    }
    assert!(disk.get(&key(0), at(9_000), NEVER).unwrap().is_some());
    let path = disk.path().to_owned();
    drop(disk);
    let disk = Disk::open(path).unwrap();
    // There is room for about half of them.
    disk.put(&key(9), &entry("{}"), at(9_001), NEVER, 400_000).unwrap();
    assert!(disk.get(&key(0), at(9_002), NEVER).unwrap().is_some());
    assert_eq!(disk.get(&key(1), at(9_002), NEVER).unwrap(), None);
}
