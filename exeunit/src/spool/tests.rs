use serde_json::json;

use super::*;
use crate::event::RuntimeEventKind;

fn event(batch_id: &str, kind: serde_json::Value) -> RuntimeEvent {
    RuntimeEvent {
        batch_id: batch_id.to_owned(),
        index: 3,
        timestamp: chrono::DateTime::from_timestamp(1_700_000_000, 123_456_789).expect("a time"),
        kind: serde_json::from_value(kind).expect("a kind"),
    }
}

fn output(batch_id: &str, size: usize) -> RuntimeEvent {
    event(batch_id, json!({"stdout": "x".repeat(size)}))
}

/// All events of a batch, read piece by piece.
fn read(spool: &Spool, batch_id: &str, mut position: u64) -> Vec<RuntimeEvent> {
    let mut all = Vec::new();
    loop {
        let (events, next) = spool.events_after(batch_id, position).expect("events");
        if events.is_empty() {
            return all;
        }
        all.extend(events);
        position = next;
    }
}

#[test]
fn events_are_read_as_they_were_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut spool = Spool::new(folder.path().to_owned(), Arc::new(Disk::new(4 << 30)));
    let mut told = Vec::new();
    for round in 0..50 {
        for kind in [
            json!({"started": {"command": {"deploy": {"volumes": {"/a": {"ram": {"size": "1B"}}}}}}}),
            json!({"stdout": "grüße".repeat(round * 100)}),
            json!({"stdout": [0, 255]}),
            json!({"stderr": "x".repeat(90_000)}),
            json!({"stderr": [7]}),
            json!({"progress": {"step": [0, 1], "message": null, "progress": [5, 9], "unit": "Bytes"}}),
            json!({"finished": {"return_code": -1, "message": "broken"}}),
        ] {
            let event = event("b", kind);
            spool.tell(&event).expect("it is told");
            told.push(event);
        }
    }
    assert_eq!(read(&spool, "b", 0), told);
    assert!(read(&spool, "none", 0).is_empty());
}

#[test]
fn outputs_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Arc::new(Disk::new(0));
    let mut spool = Spool::new(folder.path().to_owned(), Arc::clone(&disk));
    let outputs = |index: usize| {
        let text = CommandOutput::Str("text".repeat(index * 10_000));
        let bytes = CommandOutput::Bin(vec![index as u8; index]);
        [Some(text), (index > 1).then_some(bytes)]
    };
    for index in 0..4 {
        spool.keep("b", index, outputs(index)).expect("it is kept");
    }
    for index in 0..4 {
        assert_eq!(spool.outputs("b", index).expect("outputs"), outputs(index));
    }
    assert_eq!(spool.size_of_outputs("b", 2), 80_002);
    assert_eq!(spool.outputs("b", 9).expect("outputs"), [None, None]);
    assert!(disk.rest_takes(0) > 240_000, "{disk:?}");
    spool.forget("b");
    assert_eq!(disk.rest_takes(0), 0);
    assert_eq!(spool.outputs("b", 0).expect("outputs"), [None, None]);
}

#[test]
fn outputs_that_have_no_room_are_not_missed_in_silence() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut spool = Spool::new(folder.path().to_owned(), Arc::new(Disk::new(0)));
    let outputs = |mebibytes: usize| [Some(CommandOutput::Bin(vec![1; mebibytes << 20])), None];
    // Its events are on the disk, and its output, which is short, is not.
    let short = || [Some(CommandOutput::Str("short".to_owned())), None];
    spool
        .tell(&output("short", 100_000))
        .expect("there is room");
    spool.keep("short", 0, short()).expect("there is room");
    spool.end("short");
    spool.keep("old", 0, outputs(4)).expect("there is room");
    spool.end("old");
    for index in 0..3 {
        spool.keep("new", index, outputs(4)).expect("there is room");
    }
    assert_eq!(spool.outputs("old", 0).expect("it is kept"), outputs(4));
    // The oldest batch gives way, but not the one that is at work.
    spool.keep("new", 3, outputs(4)).expect("there is room");
    let full = spool.keep("new", 4, outputs(1)).expect_err("it is full");
    assert!(matches!(full, SpoolError::Full { .. }), "{full:?}");
    for (batch, index) in [("old", 0), ("new", 4)] {
        let gone = spool.outputs(batch, index).expect_err("it is gone");
        assert!(matches!(gone, SpoolError::OutputGone), "{gone:?}");
    }
    for index in 0..4 {
        assert_eq!(spool.outputs("new", index).expect("it is kept"), outputs(4));
    }
    assert_eq!(spool.outputs("short", 0).expect("it is kept"), short());
}

#[test]
fn where_there_is_no_room_who_writes_is_told() {
    const LIMIT: u64 = 1 << 20;
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Arc::new(Disk::new(LIMIT * 4));
    let mut spool = Spool::new(folder.path().to_owned(), Arc::clone(&disk));
    let fill = |spool: &mut Spool, batch: &str| {
        (0..).find_map(|_| spool.tell(&output(batch, 10_000)).err())
    };
    // A batch that is over gives way, and says so.
    for _ in 0..3 {
        spool.tell(&output("old", 10_000)).expect("there is room");
    }
    spool.end("old");
    let full = fill(&mut spool, "new").expect("it is full");
    assert!(
        matches!(
            full,
            SpoolError::Full {
                limit: LIMIT,
                is_read: false
            }
        ),
        "{full:?}"
    );
    let gone = spool.events_after("old", 0).expect_err("it is gone");
    assert!(matches!(gone, SpoolError::GivenUp), "{gone:?}");

    // What was read gives way as well.
    let reader = spool.reader("new");
    let (events, position) = spool.events_after("new", 0).expect("events");
    assert!(!events.is_empty());
    reader.advance(position);
    spool.tell(&output("new", 10_000)).expect("there is room");
    let late = spool.events_after("new", 0).expect_err("too late");
    assert!(matches!(late, SpoolError::GivenUp), "{late:?}");
    let full = fill(&mut spool, "new").expect("it is full");
    assert!(
        matches!(full, SpoolError::Full { is_read: true, .. }),
        "{full:?}"
    );
    let rest = read(&spool, "new", position);
    assert!(
        rest.iter()
            .all(|event| matches!(event.kind, RuntimeEventKind::StdOut(_)))
    );
    drop(reader);
    let full = fill(&mut spool, "new").expect("it is full");
    assert!(
        matches!(full, SpoolError::Full { is_read: false, .. }),
        "{full:?}"
    );
    // The end of a batch is told all the same.
    let end = event(
        "new",
        json!({"finished": {"return_code": 0, "message": null}}),
    );
    spool.tell_at_last(&end).expect("it is told");
}
