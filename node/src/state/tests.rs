//! What is kept is there again, and what cannot be used is named.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    Happening, Kept, Logs, StateError, Store, entity,
    kept::{REMEMBERED, REMEMBERED_FOR},
};
use crate::{folder::Folder, id::ActivityId, log::KEPT};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Thing(u32);

entity!(Thing, "activities");

impl Happening for Thing {
    const LOG: &'static str = "things";
}

fn folder() -> Arc<Folder> {
    Arc::new(Folder::temporary().unwrap())
}

fn open(folder: &Arc<Folder>) -> Result<(Store, CancellationToken), StateError> {
    let failed = CancellationToken::new();
    let store = Store::open(Arc::clone(folder), failed.clone())?;
    Ok((store, failed))
}

fn second(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

#[test]
fn what_was_written_is_there_again_and_nothing_else() {
    let folder = folder();
    let (one, two) = (ActivityId::from("one"), ActivityId::from("two"));
    {
        let (store, _) = open(&folder).unwrap();
        let mut things = Kept::<ActivityId, Thing>::load(Some(&store)).unwrap();
        things.insert(one.clone(), Thing(1));
        things.insert(two.clone(), Thing(2));
        store.write(&things.take_records());
        assert_eq!(things.take_records().len(), 0, "nothing has changed since");
        things.get_mut(&one).unwrap().0 = 10;
        assert!(things.get_mut(&ActivityId::from("three")).is_none());
        let changed = things.take_records();
        assert_eq!(changed.len(), 1, "{changed:?}");
        store.write(&changed);

        let mut logs = Logs::<String, Thing>::load(Some(&store)).unwrap();
        logs.push("a".to_owned(), second(5), Thing(5));
        logs.push("b".to_owned(), second(1), Thing(1));
        logs.push("a".to_owned(), second(5), Thing(6));
        store.write(&logs.take_records());
        logs.push("a".to_owned(), second(9), Thing(7));

        assert_eq!(store.setting("colour").unwrap(), None);
        store.set("colour", "red").unwrap();
        store.set("colour", "green").unwrap();
    }
    let (store, failed) = open(&folder).unwrap();
    let things = Kept::<ActivityId, Thing>::load(Some(&store)).unwrap();
    let found: Vec<_> = things.iter().collect();
    assert_eq!(found, [(&one, &Thing(10)), (&two, &Thing(2))]);
    let logs = Logs::<String, Thing>::load(Some(&store)).unwrap();
    let after = |whom: &str, time| -> Vec<u32> {
        logs.after(&whom.to_owned(), time)
            .map(|(_, thing)| thing.0)
            .collect()
    };
    assert_eq!(
        after("a", second(0)),
        [5, 6],
        "what was not written is not there"
    );
    assert_eq!(after("a", second(5)), [6]);
    assert_eq!(after("b", second(0)), [1]);
    assert_eq!(store.setting("colour").unwrap().as_deref(), Some("green"));
    assert!(!failed.is_cancelled());
}

#[test]
fn without_a_store_nothing_is_remembered_to_be_written() {
    let mut things = Kept::<ActivityId, Thing>::load(None).unwrap();
    things.insert("one".into(), Thing(1));
    let mut logs = Logs::<String, Thing>::load(None).unwrap();
    logs.push("a".to_owned(), second(1), Thing(1));
    assert_eq!(things.take_records().len() + logs.take_records().len(), 0);
}

#[test]
fn what_cannot_be_used_is_named() {
    let folder = folder();
    let path = folder.path().join("node.db");
    {
        let (store, _) = open(&folder).unwrap();
        let connection = rusqlite::Connection::open(&path).unwrap();
        let insert = "INSERT INTO activities VALUES ('bad', '{')";
        connection.execute(insert, []).unwrap();
        let error = Kept::<ActivityId, Thing>::load(Some(&store)).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("activities bad: invalid type") && text.contains("node.db"),
            "{text}"
        );
        connection.pragma_update(None, "user_version", 7).unwrap();
    }
    let newer = open(&folder).map(|_| ()).unwrap_err();
    assert!(
        matches!(newer, StateError::Version { version: 7, .. }),
        "{newer}"
    );
    std::fs::write(
        &path,
        "no database, but text, and more than a few bytes of it",
    )
    .unwrap();
    let text = open(&folder).map(|_| ()).unwrap_err();
    assert!(matches!(text, StateError::Database { .. }), "{text}");
}

#[test]
fn what_cannot_be_written_is_not_acknowledged() {
    let folder = folder();
    let (store, failed) = open(&folder).unwrap();
    let connection = rusqlite::Connection::open(folder.path().join("node.db")).unwrap();
    connection.execute("DROP TABLE activities", []).unwrap();
    let mut things = Kept::<ActivityId, Thing>::default();
    things.insert("none".into(), Thing(0));
    store.write(&things.take_records());
    assert!(!failed.is_cancelled(), "there was nothing to write");
    store.write(&[super::Record::entry(&"one", &Thing(1))]);
    assert!(failed.is_cancelled());
}

#[test]
fn the_oldest_of_what_is_over_is_forgotten_but_stays_in_the_store() {
    let folder = folder();
    let (store, _) = open(&folder).unwrap();
    let mut things = Kept::<ActivityId, Thing>::load(Some(&store)).unwrap();
    let many = u32::try_from(REMEMBERED + REMEMBERED / 8).unwrap();
    let all = many + u32::try_from(REMEMBERED / 8).unwrap();
    // The later, the smaller the id, so that it is not the ids that tell.
    let id = |number: u32| ActivityId::from(format!("{:08}", all - number));
    for number in 0..many {
        things.insert(id(number), Thing(number));
    }
    // Even numbers are over.
    let over = |thing: &Thing| thing.0.is_multiple_of(2).then(|| second(thing.0.into()));
    let later = second(all.into()) + REMEMBERED_FOR;
    assert_eq!(things.forget(later, over), [], "nothing is written down");
    for number in many..all {
        things.insert(id(number), Thing(number));
    }
    store.write(&things.take_records());
    let forgotten = things.forget(second(2) + REMEMBERED_FOR, over);
    assert_eq!(forgotten, [Thing(0), Thing(2)], "the others are too new");
    assert!(things.contains_key(&id(1)));
    assert_eq!(things.forget(later, over), [], "there are not many more");
    for number in all..all + 500 {
        things.insert(ActivityId::from(format!("x{number}")), Thing(1));
    }
    store.write(&things.take_records());
    let forgotten = things.forget(later, over);
    assert_eq!(forgotten[0], Thing(4));
    assert_eq!(things.len(), REMEMBERED);
    let again = Kept::<ActivityId, Thing>::load(Some(&store)).unwrap();
    assert_eq!(again.len(), all as usize + 500);
}

#[test]
fn no_more_of_a_log_is_read_than_is_kept() {
    let folder = folder();
    let (store, _) = open(&folder).unwrap();
    let mut logs = Logs::<String, Thing>::load(Some(&store)).unwrap();
    let all = u32::try_from(KEPT).unwrap() + 5;
    for number in 0..all {
        logs.push("a".to_owned(), second(number.into()), Thing(number));
        logs.push("b".to_owned(), second(number.into()), Thing(number));
    }
    store.write(&logs.take_records());
    let read = store.happenings::<String, Thing>().unwrap();
    assert_eq!(read.len(), 2 * KEPT);
    assert_eq!(read[0], ("a".to_owned(), second(5), Thing(5)));
    let last = second((all - 1).into());
    assert_eq!(read[KEPT - 1], ("a".to_owned(), last, Thing(all - 1)));
}
