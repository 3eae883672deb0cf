//! Providers as a file describes them, in TOML.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use chrono::TimeDelta;
use serde::Deserialize;
use toml::Spanned;

use super::{
    negotiation::Rules,
    spec::{Faults, Prices, Provider, Runtime, Stage},
};

/// Why a file describes no providers.
#[derive(Debug, thiserror::Error)]
pub enum ProvidersError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    #[expect(missing_docs, reason = "the message says it")]
    Read { path: PathBuf, source: io::Error },
    /// Something in it makes no sense: where, and why.
    #[error("{path} makes no sense: {reason}")]
    #[expect(missing_docs, reason = "the message says it")]
    Nonsense { path: PathBuf, reason: String },
}

impl Provider {
    /// Reads the providers that a TOML file describes. Whatever is left out is as [`Provider::new`] has it; what nobody
    /// knows is refused. Times are in seconds.
    ///
    /// ```toml
    /// [[provider]]
    /// name = "fast"
    /// cores = 4
    /// memory-gib = 8.0
    /// storage-gib = 50.0
    /// slots = 2
    /// subnet = "mine"
    /// runtime = "sandbox"                 # or "vm", or the path of a runtime program
    /// price = { start = 0.01, second = 0.0002, cpu-second = 0.0001 }
    /// properties = { "golem.runtime.name" = "vm" }
    ///
    /// [provider.rules]
    /// shortest-agreement = 300
    /// accept-timeout = 240
    /// note-interval = 120
    /// payment-timeout = 120
    /// idle-limit = 90
    ///
    /// [provider.faults]
    /// never-answers = "proposals"         # or "agreements"
    /// refuses = "agreements"              # or "proposals"
    /// approves-after = 8
    /// drops-agreement-after = 60
    /// exe-unit-dies-at-command = 3
    /// image-bytes-per-second = 100_000
    /// breaks-unaccepted-after = 5
    /// clock-skew = -30
    /// ```
    ///
    /// # Errors
    /// If there is no such file, or something in it makes no sense: then with the line, the column and the key.
    pub fn read_file(path: &Path) -> Result<Vec<Self>, ProvidersError> {
        let text = fs::read_to_string(path).map_err(|source| ProvidersError::Read {
            path: path.to_owned(),
            source,
        })?;
        parse(&text).map_err(|reason| ProvidersError::Nonsense {
            path: path.to_owned(),
            reason,
        })
    }
}

fn parse(text: &str) -> Result<Vec<Provider>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    if file.provider.is_empty() {
        return Err("it names no provider: `[[provider]]` begins one".to_owned());
    }
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for provider in &file.provider {
        let line = text[..provider.name.span().start].lines().count().max(1);
        if let Some(first) = lines.insert(&provider.name.get_ref().0, line) {
            let name = &provider.name.get_ref().0;
            return Err(format!(
                "line {line}: the name `{name}` is taken by line {first}"
            ));
        }
    }
    Ok(file.provider.into_iter().map(Provider::from).collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    provider: Vec<Described>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Described {
    name: Spanned<Name>,
    cores: Option<Count>,
    memory_gib: Option<Positive>,
    storage_gib: Option<Positive>,
    slots: Option<Count>,
    subnet: Option<Name>,
    runtime: Option<RuntimeName>,
    price: Option<Price>,
    #[serde(default)]
    properties: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    rules: DescribedRules,
    #[serde(default)]
    faults: DescribedFaults,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Price {
    #[serde(default)]
    start: Amount,
    #[serde(default)]
    second: Amount,
    #[serde(default)]
    cpu_second: Amount,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct DescribedRules {
    shortest_agreement: Option<Seconds>,
    longest_agreement: Option<Seconds>,
    longest_without_accept_timeout: Option<Seconds>,
    longest_without_payment_timeout: Option<Seconds>,
    shortest_interval: Option<Seconds>,
    longest_interval: Option<Seconds>,
    accept_timeout: Option<Seconds>,
    note_interval: Option<Seconds>,
    payment_timeout: Option<Seconds>,
    idle_limit: Option<Seconds>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct DescribedFaults {
    never_answers: Option<StageName>,
    refuses: Option<StageName>,
    approves_after: Option<Seconds>,
    drops_agreement_after: Option<Seconds>,
    exe_unit_dies_at_command: Option<Count>,
    image_bytes_per_second: Option<Count>,
    breaks_unaccepted_after: Option<Seconds>,
    clock_skew: Option<Skew>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StageName {
    Proposals,
    Agreements,
}

/// A word that can be in a constraint.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Name(String);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let is_plain = |letter: char| letter.is_alphanumeric() || "-_. ".contains(letter);
        match !name.trim().is_empty() && name.chars().all(is_plain) {
            true => Ok(Self(name)),
            false => Err(format!(
                "`{name}` is no name: letters, digits, `-`, `_`, `.` and blanks make one"
            )),
        }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct RuntimeName(Runtime);

impl TryFrom<String> for RuntimeName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Ok(Self(match name.as_str() {
            "sandbox" => Runtime::Sandbox,
            "vm" => Runtime::Vm,
            path if path.starts_with('/') => Runtime::External(path.into()),
            other => {
                return Err(format!(
                    "there is no runtime `{other}`: `sandbox`, `vm` or the absolute path of a program"
                ));
            }
        }))
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
struct Count(u32);

impl TryFrom<i64> for Count {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        match u32::try_from(number) {
            Ok(number) if number > 0 => Ok(Self(number)),
            _ => Err(format!("{number} is not between 1 and {}", u32::MAX)),
        }
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
struct Positive(f64);

impl TryFrom<f64> for Positive {
    type Error = String;

    fn try_from(number: f64) -> Result<Self, String> {
        match number.is_finite() && number > 0.0 {
            true => Ok(Self(number)),
            false => Err(format!("{number} is not more than 0")),
        }
    }
}

/// An amount of GLM.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(try_from = "f64")]
struct Amount(f64);

impl TryFrom<f64> for Amount {
    type Error = String;

    fn try_from(number: f64) -> Result<Self, String> {
        match (0.0..=1e6).contains(&number) {
            true => Ok(Self(number)),
            false => Err(format!("{number} is no price: 0 to 1 000 000")),
        }
    }
}

/// A time that can be waited for.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
struct Seconds(TimeDelta);

/// How long anything can take, in seconds: a thousand years.
const LONGEST: f64 = 1000.0 * 366.0 * 86_400.0;

impl TryFrom<f64> for Seconds {
    type Error = String;

    fn try_from(seconds: f64) -> Result<Self, String> {
        match (0.0..=LONGEST).contains(&seconds) {
            true => Ok(Self(time(seconds))),
            false => Err(format!("{seconds} seconds are no time: 0 to {LONGEST}")),
        }
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
struct Skew(TimeDelta);

impl TryFrom<f64> for Skew {
    type Error = String;

    fn try_from(seconds: f64) -> Result<Self, String> {
        match (-LONGEST..=LONGEST).contains(&seconds) {
            true => Ok(Self(time(seconds))),
            false => Err(format!(
                "{seconds} seconds are no time: {} to {LONGEST}",
                -LONGEST
            )),
        }
    }
}

fn time(seconds: f64) -> TimeDelta {
    TimeDelta::milliseconds((seconds * 1000.0).round() as i64)
}

impl From<Described> for Provider {
    fn from(described: Described) -> Self {
        let mut provider = Self::new(described.name.into_inner().0);
        if let Some(Count(cores)) = described.cores {
            provider.cores = cores;
        }
        if let Some(Positive(gib)) = described.memory_gib {
            provider.memory_gib = gib;
        }
        if let Some(Positive(gib)) = described.storage_gib {
            provider.storage_gib = gib;
        }
        if let Some(Count(slots)) = described.slots {
            provider.slots = slots as usize;
        }
        if let Some(RuntimeName(runtime)) = described.runtime {
            provider.runtime = runtime;
        }
        if let Some(price) = described.price {
            provider.prices = Prices {
                start: price.start.0,
                second: price.second.0,
                cpu_second: price.cpu_second.0,
            };
        }
        provider.subnet = described.subnet.map(|name| name.0);
        for (name, value) in described.properties {
            provider.properties.set(&name, value);
        }
        provider.rules = described.rules.into();
        provider.faults = described.faults.into();
        provider
    }
}

impl From<DescribedRules> for Rules {
    fn from(described: DescribedRules) -> Self {
        let usual = Self::default();
        let or = |described: Option<Seconds>, usual| described.map_or(usual, |seconds| seconds.0);
        Self {
            shortest_agreement: or(described.shortest_agreement, usual.shortest_agreement),
            longest_agreement: or(described.longest_agreement, usual.longest_agreement),
            longest_without_accept_timeout: or(
                described.longest_without_accept_timeout,
                usual.longest_without_accept_timeout,
            ),
            longest_without_payment_timeout: or(
                described.longest_without_payment_timeout,
                usual.longest_without_payment_timeout,
            ),
            shortest_interval: or(described.shortest_interval, usual.shortest_interval),
            longest_interval: or(described.longest_interval, usual.longest_interval),
            accept_timeout: or(described.accept_timeout, usual.accept_timeout),
            note_interval: or(described.note_interval, usual.note_interval),
            payment_timeout: or(described.payment_timeout, usual.payment_timeout),
            idle_limit: or(described.idle_limit, usual.idle_limit),
        }
    }
}

impl From<DescribedFaults> for Faults {
    fn from(described: DescribedFaults) -> Self {
        let time = |seconds: Option<Seconds>| seconds.map(|seconds| seconds.0);
        let count = |count: Option<Count>| count.map(|count| u64::from(count.0));
        Self {
            never_answers: described.never_answers.map(Stage::from),
            refuses: described.refuses.map(Stage::from),
            approves_after: time(described.approves_after),
            drops_agreement_after: time(described.drops_agreement_after),
            exe_unit_dies_at_command: count(described.exe_unit_dies_at_command),
            image_bytes_per_second: count(described.image_bytes_per_second),
            breaks_unaccepted_after: time(described.breaks_unaccepted_after),
            clock_skew: described
                .clock_skew
                .map_or(TimeDelta::zero(), |skew| skew.0),
        }
    }
}

impl From<StageName> for Stage {
    fn from(name: StageName) -> Self {
        match name {
            StageName::Proposals => Self::Proposals,
            StageName::Agreements => Self::Agreements,
        }
    }
}

#[cfg(test)]
mod tests;
