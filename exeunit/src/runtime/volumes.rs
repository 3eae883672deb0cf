//! The volumes that a `deploy` asks for, and whether there is room for them.

use std::collections::BTreeMap;

use super::{Deployed, Room};
use crate::{
    sandbox::{MemoryVolume, SizedFolder},
    script::{Mount, Size},
};

/// Why there can be no such volumes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WantedError {
    #[error(
        "the volumes in memory are of {wanted} bytes together, and {limit} of memory are agreed on"
    )]
    Memory { wanted: u64, limit: u64 },
    #[error(
        "the volumes of a size are of {wanted} bytes together, and {limit} of storage are agreed on"
    )]
    Storage { wanted: u64, limit: u64 },
    #[error(
        "the volume {path} is to take {bytes} bytes of the disk at once, which a sandbox cannot do: leave out `preallocate`"
    )]
    Preallocated { path: String, bytes: u64 },
}

/// Checks that no volume takes disk space at once, which takes a disk of its own.
pub(super) fn check_none_preallocated(wanted: &BTreeMap<String, Mount>) -> Result<(), WantedError> {
    let preallocated = wanted.iter().find_map(|(path, mount)| match mount {
        Mount::Storage {
            preallocate: Some(Size(bytes)),
            ..
        } => Some((path.clone(), *bytes)),
        _ => None,
    });
    match preallocated {
        Some((path, bytes)) => Err(WantedError::Preallocated { path, bytes }),
        None => Ok(()),
    }
}

/// Checks that volumes fit into what was agreed on.
pub(super) fn check(wanted: &BTreeMap<String, Mount>, room: &Room) -> Result<(), WantedError> {
    let (mut memory, mut storage) = (0_u64, 0_u64);
    for mount in wanted.values() {
        match mount {
            Mount::Host {} => {}
            Mount::Ram { size } => memory = memory.saturating_add(size.0),
            Mount::Storage { size, .. } => storage = storage.saturating_add(size.0),
        }
    }
    match (room.limits.memory_bytes, room.limits.file_bytes) {
        (Some(limit), _) if memory > limit => Err(WantedError::Memory {
            wanted: memory,
            limit,
        }),
        (_, Some(limit)) if storage > limit => Err(WantedError::Storage {
            wanted: storage,
            limit,
        }),
        _ => Ok(()),
    }
}

/// Those that are held in memory.
pub(super) fn in_memory(wanted: &BTreeMap<String, Mount>) -> Vec<MemoryVolume> {
    let volume = |(path, mount): (&String, &Mount)| match mount {
        Mount::Ram { size } => Some(MemoryVolume {
            path: path.clone(),
            bytes: size.0,
        }),
        Mount::Host {} | Mount::Storage { .. } => None,
    };
    wanted.iter().filter_map(volume).collect()
}

/// Those that lie in folders of the host, and may only become so large.
pub(super) fn sized(wanted: &BTreeMap<String, Mount>, deployed: &Deployed) -> Vec<SizedFolder> {
    let folder = |(path, mount): (&String, &Mount)| {
        let Mount::Storage { size, .. } = mount else {
            return None;
        };
        let volume = deployed
            .volumes
            .0
            .iter()
            .find(|volume| volume.path == *path)?;
        Some(SizedFolder {
            path: path.clone(),
            folder: volume.folder.clone(),
            bytes: size.0,
        })
    };
    wanted.iter().filter_map(folder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_fit_or_it_is_said_which_do_not() {
        let room = Room::new(None, Some(100), Some(1000));
        let ram = |size| Mount::Ram { size: Size(size) };
        let storage = |size, preallocate: Option<u64>| Mount::Storage {
            size: Size(size),
            preallocate: preallocate.map(Size),
            errors: None,
        };
        let check = |mounts: Vec<Mount>| {
            let numbered = mounts.into_iter().enumerate();
            let wanted = numbered.map(|(number, mount)| (format!("/{number}"), mount));
            let wanted = wanted.collect();
            let checked = check(&wanted, &room).and_then(|()| check_none_preallocated(&wanted));
            checked.map_err(|error| error.to_string())
        };
        assert_eq!(
            check(vec![ram(60), ram(40), storage(1000, None), Mount::Host {}]),
            Ok(())
        );
        for (mounts, reason) in [
            (
                vec![ram(60), ram(41)],
                "of 101 bytes together, and 100 of memory",
            ),
            (vec![ram(u64::MAX), ram(1)], "and 100 of memory"),
            (
                vec![storage(999, None), storage(2, None)],
                "of 1001 bytes together, and 1000 of storage",
            ),
            (
                vec![storage(9, Some(9))],
                "the volume /0 is to take 9 bytes",
            ),
        ] {
            let error = check(mounts).expect_err(reason);
            assert!(error.contains(reason), "{error}");
        }
    }
}
