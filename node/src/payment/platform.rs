//! Payment platforms: what money is paid with.
//!
//! A node pays with play money. Every account has as much of it as it likes, on each of the node's platforms, which bear
//! the names of real ones, so that what a program says on the real network holds here as well.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A payment driver, a network and a token: `erc20-holesky-tglm`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform {
    /// What moves the money.
    pub driver: String,
    /// Where it is.
    pub network: String,
    /// What it is.
    pub token: String,
}

/// The networks of the platforms that a node has unless it is told otherwise, the default one first.
const NETWORKS: [(&str, &str); 6] = [
    ("holesky", "tglm"),
    ("hoodi", "tglm"),
    ("sepolia", "tglm"),
    ("amoy", "tglm"),
    ("mainnet", "glm"),
    ("polygon", "glm"),
];

impl Platform {
    /// A platform.
    pub fn new(driver: &str, network: &str, token: &str) -> Self {
        let lower = str::to_ascii_lowercase;
        Self {
            driver: lower(driver),
            network: lower(network),
            token: lower(token),
        }
    }

    /// The platforms that are known on the real network, the default one first.
    pub fn known() -> Vec<Self> {
        let platform = |(network, token)| Self::new("erc20", network, token);
        NETWORKS.into_iter().map(platform).collect()
    }

    /// The name of the property that says where somebody is paid on this platform.
    pub(crate) fn address_property(&self) -> String {
        address_property(&self.to_string())
    }
}

/// The name of the property that says where somebody is paid on the platform of that name.
pub(crate) fn address_property(platform: &str) -> String {
    format!("golem.com.payment.platform.{platform}.address")
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}-{}", self.driver, self.network, self.token)
    }
}

/// How a client says which platform it means: by name, or by as many parts as it cares for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Wanted {
    /// `"erc20-holesky-tglm"`.
    Named(String),
    /// `{"driver": "erc20", "network": "holesky"}`.
    Parts {
        driver: Option<String>,
        network: Option<String>,
        token: Option<String>,
    },
}

impl Wanted {
    /// The first of `platforms` that is meant.
    pub(crate) fn choose<'a>(&self, platforms: &'a [Platform]) -> Option<&'a Platform> {
        let same = |wanted: &Option<String>, part: &str| {
            wanted
                .as_ref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(part))
        };
        platforms.iter().find(|platform| match self {
            Self::Named(name) => platform.to_string().eq_ignore_ascii_case(name),
            Self::Parts {
                driver,
                network,
                token,
            } => {
                same(driver, &platform.driver)
                    && same(network, &platform.network)
                    && same(token, &platform.token)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_platform_is_meant_by_name_or_by_parts() {
        let platforms = Platform::known();
        for (wanted, chosen) in [
            (json!("erc20-holesky-tglm"), Some("erc20-holesky-tglm")),
            (json!("ERC20-Polygon-GLM"), Some("erc20-polygon-glm")),
            (json!({}), Some("erc20-holesky-tglm")),
            (json!({"network": "polygon"}), Some("erc20-polygon-glm")),
            (
                json!({"driver": "erc20", "network": "sepolia", "token": "tglm"}),
                Some("erc20-sepolia-tglm"),
            ),
            (json!({"driver": "zksync"}), None),
            (json!("holesky"), None),
        ] {
            let read: Wanted = serde_json::from_value(wanted.clone()).unwrap();
            let name = read.choose(&platforms).map(Platform::to_string);
            assert_eq!(name.as_deref(), chosen, "{wanted}");
        }
    }
}
