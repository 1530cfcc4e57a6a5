use super::super::part::{Job, Part, State};
use super::*;
use std::fs;
use tempfile::TempDir;

fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("deep/er/store.db")).unwrap();
    (folder, store)
}

fn job(store: &Store, name: &str) -> Job {
    let mut job = Job { name: name.into(), output: "/out".into(), ..Job::default() };
    store.add_job(&mut job).unwrap();
    job
}

fn part(job: &Job, number: u32) -> Part {
    let mark = format!("{}-{number}", job.name);
    Part { job: job.id, number, mark, model: "m".into(), ..Part::default() }
}

#[test]
fn what_is_kept_is_there_after_another_opening() {
    let (folder, store) = store();
    let mut one = job(&store, "a");
    let mut parts = [part(&one, 1), part(&one, 2)];
    store.add_parts(&mut parts).unwrap();
    parts[1].enter(State::Creating, 7);
    parts[1].batch_id = Some("batch_9".into());
    store.save(&parts[1]).unwrap();
    one.is_planned = true;
    store.save_job(&one).unwrap();
    drop(store);
    let store = Store::open(folder.path().join("deep/er/store.db")).unwrap();
    assert_eq!(store.jobs().unwrap(), [one.clone()]);
    assert_eq!(store.jobs_for("/out").unwrap(), [one.clone()]);
    assert!(store.jobs_for("/other").unwrap().is_empty());
    assert_eq!(store.parts(one.id).unwrap(), parts);
    assert_eq!(store.job(one.id).unwrap(), Some(one));
}

#[test]
fn two_parts_cannot_have_one_batch_nor_one_mark() {
    let (_folder, store) = store();
    let one = job(&store, "a");
    let mut parts = [part(&one, 1), part(&one, 2)];
    store.add_parts(&mut parts).unwrap();
    for each in &mut parts {
        each.batch_id = Some("batch_1".into());
    }
    store.save(&parts[0]).unwrap();
    assert!(store.save(&parts[1]).is_err());
    assert_eq!(store.parts(one.id).unwrap()[1].batch_id, None);
    let mut twin = [Part { number: 3, mark: parts[0].mark.clone(), ..part(&one, 3) }];
    assert!(store.add_parts(&mut twin).is_err());
}

#[test]
fn a_part_is_replaced_as_a_whole_or_not_at_all() {
    let (_folder, store) = store();
    let one = job(&store, "a");
    let mut parts = [part(&one, 1)];
    store.add_parts(&mut parts).unwrap();
    parts[0].enter(State::Split, 1);
    // The second has the number of the first.
    let mut halves = [part(&one, 2), Part { mark: "x".into(), ..part(&one, 2) }];
    assert!(store.replace(&parts[0], &mut halves).is_err());
    let kept = store.parts(one.id).unwrap();
    assert_eq!((kept.len(), kept[0].state), (1, State::Planned));
    halves[1].number = 3;
    store.replace(&parts[0], &mut halves).unwrap();
    assert_eq!(store.parts(one.id).unwrap().len(), 3);
}

#[test]
fn a_job_has_one_worker_at_a_time() {
    let (folder, store) = store();
    let one = job(&store, "a");
    let lease = store.lease(one.id).unwrap();
    assert!(lease.is_some());
    let other = Store::open(folder.path().join("deep/er/store.db")).unwrap();
    assert!(other.lease(one.id).unwrap().is_none());
    drop(lease);
    assert!(other.lease(one.id).unwrap().is_some());
}

#[test]
fn limits_are_kept_by_account_and_model() {
    let (_folder, store) = store();
    assert_eq!(store.limit("a", "m").unwrap(), None);
    store.learn("a", "m", 900_000, 1).unwrap();
    store.learn("a", "m", 2_000_000, 2).unwrap();
    assert_eq!(store.limit("a", "m").unwrap(), Some(2_000_000));
    assert_eq!(store.limit("b", "m").unwrap(), None);
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_what_is_none_too() {
    let (folder, store) = store();
    store.ask(|db| db.execute_batch("PRAGMA user_version = 99")).unwrap();
    drop(store);
    let e = Store::open(folder.path().join("deep/er/store.db")).unwrap_err();
    assert!(e.to_string().contains("newer version"), "{e}");
    let other = folder.path().join("note.txt");
    fs::write(&other, "this is not a database, and long enough to be looked at closely".repeat(9))
        .unwrap();
    assert!(Store::open(&other).unwrap_err().to_string().contains("not a database"));
}

#[test]
fn a_store_that_was_cut_anywhere_opens_or_says_so_and_never_makes_things_up() {
    let (folder, store) = store();
    let one = job(&store, "a");
    let mut parts: Vec<_> = (1..=20).map(|number| part(&one, number)).collect();
    store.add_parts(&mut parts).unwrap();
    drop(store);
    let bytes = fs::read(folder.path().join("deep/er/store.db")).unwrap();
    let cut = folder.path().join("cut.db");
    for length in (0..bytes.len()).step_by(997) {
        fs::write(&cut, &bytes[..length]).unwrap();
        let Ok(store) = Store::open(&cut) else { continue };
        for job in store.jobs().unwrap_or_default() {
            assert_eq!(job, one);
            let found = store.parts(job.id).unwrap_or_default();
            assert!(found.iter().all(|part| parts.contains(part)));
        }
    }
}

#[test]
fn a_job_is_forgotten_with_its_files() {
    let (_folder, store) = store();
    let one = job(&store, "a");
    store.add_parts(&mut [part(&one, 1)]).unwrap();
    fs::write(store.folder(one.id).join("1.jsonl"), "x").unwrap();
    store.remove_job(one.id).unwrap();
    assert!(store.jobs().unwrap().is_empty() && store.parts(one.id).unwrap().is_empty());
    assert!(!store.folder(one.id).exists());
    store.remove_job(one.id).unwrap();
}
