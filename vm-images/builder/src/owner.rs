//! Whose files are, by the names that an image has for users and groups.

use std::{io::Read, path::Path};

use gvmi::Owner;

use crate::rootfs::Rootfs;

/// The longest list of users that is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// There is no such user or group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {kind} {name} in {list} of the image")]
pub struct NoSuchOwner {
    kind: &'static str,
    name: String,
    list: &'static str,
}

/// A user of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) owner: Owner,
    /// Their folder, if the image has one for them.
    pub(crate) home: Option<String>,
}

/// The user that `text` names: `user` or `user:group`, names or numbers.
pub(crate) fn find(rootfs: &Rootfs, text: &str) -> Result<User, NoSuchOwner> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let users = read(rootfs, "/etc/passwd");
    let line = line(&users, user, 2);
    let number = user.parse().ok();
    let number = number.or_else(|| line.as_ref()?.get(2)?.parse().ok());
    let number = number.ok_or_else(|| NoSuchOwner {
        kind: "user",
        name: user.into(),
        list: "/etc/passwd",
    })?;
    let own_group = || line.as_ref().and_then(|line| line.get(3)?.parse().ok());
    let group = match group {
        // As Docker has it, a number without a name is in root's group.
        None => own_group().unwrap_or(0),
        Some(group) => find_group(rootfs, group)?,
    };
    let home = line.as_ref().and_then(|line| line.get(5).copied());
    Ok(User {
        owner: Owner {
            user: number,
            group,
        },
        home: home.filter(|home| !home.is_empty()).map(str::to_owned),
    })
}

fn find_group(rootfs: &Rootfs, name: &str) -> Result<u32, NoSuchOwner> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let groups = read(rootfs, "/etc/group");
    let number = line(&groups, name, 2).and_then(|line| line.get(2)?.parse().ok());
    number.ok_or_else(|| NoSuchOwner {
        kind: "group",
        name: name.into(),
        list: "/etc/group",
    })
}

/// The fields of the line whose first field is `name`, or whose field at `number` is.
fn line<'a>(list: &'a str, name: &str, number: usize) -> Option<Vec<&'a str>> {
    let mut lines = list.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|line| line[0] == name || line.get(number) == Some(&name))
}

/// What cannot be read has nobody in it.
fn read(rootfs: &Rootfs, path: &str) -> String {
    let mut text = String::new();
    let read = rootfs
        .open_file(Path::new(path))
        .and_then(|file| file.take(LONGEST).read_to_string(&mut text));
    read.map(|_| text).unwrap_or_default()
}
