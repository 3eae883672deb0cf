//! What a container is like that is made from an image.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// Docker's `ContainerConfig`. Absent and `null` are the same; keys that have no field here are kept as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Configuration {
    /// The environment of each command, as `NAME=value`.
    #[serde(deserialize_with = "nullable")]
    pub env: Vec<String>,
    /// The program and its first arguments, if the image has a program of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Arguments of the entry point, or a program and its arguments where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// The folders that hold what goes in and comes out, as absolute paths. The values mean nothing.
    #[serde(deserialize_with = "nullable")]
    pub volumes: BTreeMap<String, Value>,
    /// The folder that commands run in, as an absolute path; `/` if it is empty.
    #[serde(deserialize_with = "nullable")]
    pub working_dir: String,
    /// Who commands run as: `uid:gid`, numbers or names; root if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What its maker says about the image.
    #[serde(deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
    /// All other keys.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Configuration {
    /// Declares the folder at `path` a volume.
    pub fn add_volume(&mut self, path: impl Into<String>) {
        self.volumes.insert(path.into(), Value::Object(Map::new()));
    }
}

fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_docker_writes_is_understood_and_kept() {
        let from_docker = json!({
            "AttachStdin": false, "Cmd": ["sh"], "Domainname": "", "Entrypoint": null, "Env": ["A=1", "B="],
            "Hostname": "8b11df59f843", "Image": "sha256:1f", "Labels": {"maker": "me"}, "OnBuild": null,
            "Volumes": {"/golem/in": {}, "/golem/out": {}}, "WorkingDir": "/golem/run",
        });
        let configuration: Configuration = serde_json::from_value(from_docker.clone()).unwrap();
        assert_eq!(configuration.env, ["A=1", "B="]);
        assert_eq!(configuration.cmd.as_deref(), Some(&["sh".to_owned()][..]));
        assert_eq!(configuration.entrypoint, None);
        assert_eq!(configuration.user, None);
        assert!(configuration.volumes.keys().eq(["/golem/in", "/golem/out"]));
        assert_eq!(configuration.labels["maker"], "me");
        assert_eq!(configuration.other["Hostname"], "8b11df59f843");

        let mut kept = serde_json::to_value(&configuration).unwrap();
        assert_eq!(kept["OnBuild"], Value::Null);
        kept["Entrypoint"] = Value::Null;
        assert_eq!(kept, from_docker);
    }

    #[test]
    fn nothing_need_be_there() {
        for text in [
            "{}",
            r#"{"Env": null, "Volumes": null, "WorkingDir": null, "User": null, "Labels": null}"#,
        ] {
            let configuration: Configuration = serde_json::from_str(text).unwrap();
            assert_eq!(configuration, Configuration::default(), "{text}");
        }
    }
}
