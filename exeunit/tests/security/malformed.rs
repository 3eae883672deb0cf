//! Images, scripts and messages that make no sense: an exe-unit refuses them, and goes on.

use std::fs;

use exeunit::gsb::CallError;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::activity::{Activity, image_content, run, trailer};

/// Makes an image worse. Its hash is the right one all the same, as it is for who has made it so.
type Damage = fn(&mut Vec<u8>);

/// What is done to images, and what is said of them then.
const IMAGES: [(&str, Damage, &str); 9] = [
    ("is empty", |image| image.clear(), "is no image"),
    (
        "ends in its superblock",
        |image| image.truncate(50),
        "is no image",
    ),
    (
        "has a trailer as long as a number can say",
        |image| set(image, 8, b"99999999"),
        "is no image",
    ),
    (
        "has a trailer of no length",
        |image| set(image, 8, b"0000000x"),
        "is no image",
    ),
    (
        "says something else than its checksum",
        |image| set(image, 9, b"!"),
        "checksum",
    ),
    (
        "says nothing that is JSON",
        |image| say(image, b"{\"Env\": ["),
        "configuration",
    ),
    (
        "has tables far behind its end",
        |image| image[64..96].fill(0x7f),
        "damaged",
    ),
    (
        "has noise instead of files",
        |image| image[96..8192].fill(0xa5),
        "image",
    ),
    (
        "stands for more names than there is memory for",
        bloat,
        "bytes of memory",
    ),
];

/// A test for each image, and those of messages.
pub(crate) fn trials() -> Vec<Trial> {
    let images = IMAGES.into_iter().map(|(name, damage, reason)| {
        Trial::test(format!("an image that {name} is refused"), move || {
            let mut outcome = Ok(());
            run(async || outcome = deploy(damage, reason).await);
            outcome
        })
    });
    let messages = Trial::test("messages that make no sense are refused", || {
        run(ask_nonsense);
        Ok(())
    });
    images.chain([messages]).collect()
}

/// Overwrites an image so many bytes before its end.
fn set(image: &mut [u8], before_end: usize, bytes: &[u8]) {
    let at = image.len() - before_end;
    image[at..][..bytes.len()].copy_from_slice(bytes);
}

/// Gives an image another configuration, with the right checksum.
fn say(image: &mut Vec<u8>, json: &[u8]) {
    let (length, _) = trailer(image);
    image.truncate(image.len() - length);
    image.extend(crc32fast::hash(json).to_le_bytes());
    image.extend(json);
    image.extend(format!("{:08}", json.len()).bytes());
}

/// Gives an image a table of files that takes some gigabytes once it is unpacked: zeros, packed as well as can be.
fn bloat(image: &mut Vec<u8>) {
    const BLOCKS: usize = 300_000;
    // A frame of zstd with a length of 8192 (less 256), and one block of one byte that is repeated as often.
    const ZEROS: [u8; 11] = [0x28, 0xb5, 0x2f, 0xfd, 0x60, 0, 0x1f, 0x03, 0, 0x01, 0];
    let (length, _) = trailer(image);
    let trailer = image.split_off(image.len() - length);
    let start = image.len() as u64;
    for _ in 0..BLOCKS {
        image.extend((ZEROS.len() as u16).to_le_bytes());
        image.extend(ZEROS);
    }
    let end = image.len() as u64;
    // The bytes that it has, and where its tables of files and of folders begin.
    for (at, number) in [(40, end), (64, start), (72, end)] {
        image[at..at + 8].copy_from_slice(&number.to_le_bytes());
    }
    image.extend(trailer);
}

async fn deploy(damage: Damage, reason: &str) -> Result<(), Failed> {
    let mut image = image_content();
    damage(&mut image);
    let mut activity = Activity::of_image(image);
    let results = activity.run(json!([{"deploy": {}}, {"start": {}}])).await;
    let message = results[0].message.clone().unwrap_or_default();
    if results.len() != 1 || !message.contains(reason) {
        return Err(format!("{message:?} lacks {reason:?}: {results:?}").into());
    }
    // It is as it was before, and nothing of the image is left.
    activity.ping().await;
    let again = activity.run(json!([{"deploy": {}}])).await;
    assert_eq!(again[0].message, Some(message));
    let left = fs::read_dir(activity.cache()).expect("a folder").flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    let locks = left
        .iter()
        .all(|name| name.to_string_lossy().ends_with(".lock"));
    match locks {
        true => Ok(()),
        false => Err(format!("{left:?} are left").into()),
    }
}

async fn ask_nonsense() {
    let mut activity = Activity::ready().await;
    let deep = (0..200).fold(json!({}), |inner, _| json!([inner]));
    let exec = |script: Value| json!({"activityId": "a", "batchId": "b", "exeScript": script});
    for (name, message) in [
        ("Exec", json!(null)),
        ("Exec", json!([1, 2, 3])),
        ("Exec", exec(json!("[]"))),
        ("Exec", exec(json!([null]))),
        ("Exec", exec(json!([{"run": {}}]))),
        ("Exec", exec(json!([{"run": {"entry_point": []}}]))),
        ("Exec", exec(deep)),
        ("GetExecBatchResults", json!({"batchId": -1})),
        (
            "GetExecBatchResults",
            json!({"activityId": "a", "batchId": "none", "timeout": 1e300}),
        ),
        ("StreamExecBatchResults", json!({"window": {"events": -1}})),
        ("ReadOn", json!({"streamId": 5})),
        ("CancelExecBatch", json!({})),
        ("../Exec", json!({})),
        ("", json!({})),
    ] {
        let answer = activity.node.raw(name, &message).await;
        let is_refused = matches!(
            answer,
            Err(CallError::BadRequest(_) | CallError::NotFound(_) | CallError::Closed(_))
        );
        assert!(is_refused, "{name} {message}: {answer:?}");
    }
    activity.assert_unharmed().await;
}
