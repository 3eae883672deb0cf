//! What a `deploy` asks for, beyond the image of the agreement.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{Network, ProgressInterval, Size};

/// What a `deploy` asks for; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// The networks that the runtime is to be part of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub net: Vec<Network>,
    /// Names that are to be found in the runtime, with their addresses.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        with = "addresses"
    )]
    pub hosts: BTreeMap<String, IpAddr>,
    /// The host name that commands see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The environment of all commands, besides the image's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Whether subscribers hear how far the image is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressInterval>,
    /// Volumes, by their absolute path in the runtime. They take the place of the image's volumes at the same path.
    ///
    /// A mere list of paths is read as well: of folders of the host, as the image's own volumes are.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "volumes"
    )]
    pub volumes: BTreeMap<String, Mount>,
}

/// What a volume is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mount {
    /// A folder of the host, which files can be transferred to and from.
    Host {},
    /// Memory.
    Ram {
        /// How much of it, in bytes.
        size: Size,
    },
    /// A file system of its own, on the host's disk.
    Storage {
        /// Its size, in bytes.
        size: Size,
        /// How much of it is taken from the host's disk at once, in bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preallocate: Option<Size>,
        /// What happens if it is found damaged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        errors: Option<OnError>,
    },
}

/// What happens if a file system is found damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// Nothing.
    Continue,
    /// It can only be read from then on.
    RemountRo,
    /// The runtime ends.
    Panic,
}

fn volumes<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Mount>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Paths(Vec<String>),
        Mounts(BTreeMap<String, Mount>),
    }
    let written = Written::deserialize(deserializer).map_err(|_| {
        D::Error::custom(
            "`volumes` is neither a list of paths, nor a map of paths to \
             {\"host\": {}}, {\"ram\": {\"size\": …}} or {\"storage\": {\"size\": …}}",
        )
    })?;
    Ok(match written {
        Written::Paths(paths) => paths
            .into_iter()
            .map(|path| (path, Mount::Host {}))
            .collect(),
        Written::Mounts(mounts) => mounts,
    })
}

/// Addresses as text, whatever the format that they are written in.
mod addresses {
    use super::{BTreeMap, Deserialize, Deserializer, Error, IpAddr, Serializer};

    pub(super) fn serialize<S: Serializer>(
        hosts: &BTreeMap<String, IpAddr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            hosts
                .iter()
                .map(|(name, address)| (name, address.to_string())),
        )
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, IpAddr>, D::Error> {
        let hosts = BTreeMap::<String, String>::deserialize(deserializer)?;
        let parse = |(name, address): (String, String)| match address.parse() {
            Ok(address) => Ok((name, address)),
            Err(_) => Err(D::Error::custom(format_args!(
                "the host {name} has the address {address:?}, which is no IP address"
            ))),
        };
        hosts.into_iter().map(parse).collect()
    }
}
