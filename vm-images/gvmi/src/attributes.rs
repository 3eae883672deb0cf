//! What an image says about a file beside its contents.

use std::{fs::Metadata, os::unix::fs::MetadataExt};

use backhand::NodeHeader;

use crate::tree::PERMISSIONS;

/// What an image says about a file, a folder or a link beside its contents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Its permissions, setuid, setgid and sticky with them: `0o7777` at most. Those of a link mean nothing.
    pub mode: u16,
    /// Whose it is.
    pub owner: Owner,
    /// When it was last changed, in seconds since the epoch.
    pub changed: u32,
}

/// A user and a group, by their numbers; root's are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The number of the user.
    pub user: u32,
    /// The number of the group.
    pub group: u32,
}

impl Attributes {
    /// Those of a file on this machine.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            owner: Owner {
                user: metadata.uid(),
                group: metadata.gid(),
            },
            changed: metadata.mtime().clamp(0, u32::MAX.into()) as u32,
            ..Self::roots(metadata)
        }
    }

    /// Those that do not differ from place to place: the permissions of a file on this machine, as root's, last
    /// changed at the epoch.
    pub fn roots(metadata: &Metadata) -> Self {
        Self {
            mode: (metadata.mode() & u32::from(PERMISSIONS)) as u16,
            ..Self::default()
        }
    }
}

impl From<Attributes> for NodeHeader {
    fn from(attributes: Attributes) -> Self {
        Self {
            permissions: attributes.mode & PERMISSIONS,
            uid: attributes.owner.user,
            gid: attributes.owner.group,
            mtime: attributes.changed,
        }
    }
}

impl From<NodeHeader> for Attributes {
    fn from(header: NodeHeader) -> Self {
        Self {
            mode: header.permissions & PERMISSIONS,
            owner: Owner {
                user: header.uid,
                group: header.gid,
            },
            changed: header.mtime,
        }
    }
}
