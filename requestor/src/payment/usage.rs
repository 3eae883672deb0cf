//! Usage: what an activity has used.

use std::fmt;

/// What an activity has used: each counter's name and value, in the order of the agreement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// `golem.usage.duration_sec` and seconds, for instance.
    pub counters: Vec<(String, f64)>,
}

impl Usage {
    /// Usage as reported: values in the order of the names.
    pub(crate) fn new(names: &[&str], values: &[f64]) -> Self {
        let names = names.iter().map(|name| String::from(*name));
        Self {
            counters: names.zip(values.iter().copied()).collect(),
        }
    }

    /// A counter by its name.
    pub fn get(&self, counter: &str) -> Option<f64> {
        self.counters
            .iter()
            .find(|(name, _)| name == counter)
            .map(|(_, value)| *value)
    }
}

/// `15.2 s, 0.43 s CPU, 0.05 GiB`: the counters of the standard in words, others by name.
impl fmt::Display for Usage {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let mut shown: Vec<_> = self
            .counters
            .iter()
            .map(|(name, value)| show(name, *value))
            .collect();
        shown.sort_by_key(|(rank, _)| *rank);
        let shown: Vec<_> = shown.into_iter().map(|(_, text)| text).collect();
        formatter.pad(&shown.join(", "))
    }
}

fn show(name: &str, value: f64) -> (usize, String) {
    match name {
        "golem.usage.duration_sec" => (0, format!("{value:.1} s")),
        "golem.usage.cpu_sec" => (1, format!("{value:.2} s CPU")),
        "golem.usage.gib" => (2, format!("{value:.2} GiB")),
        "golem.usage.storage_gib" => (3, format!("{value:.2} GiB storage")),
        _ => (
            4,
            format!("{} {value}", name.trim_start_matches("golem.usage.")),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_reads_as_words() {
        let names = [
            "golem.usage.cpu_sec",
            "golem.usage.duration_sec",
            "golem.usage.hits",
        ];
        let usage = Usage::new(&names, &[0.425, 15.24, 7.0]);
        assert_eq!(usage.to_string(), "15.2 s, 0.42 s CPU, hits 7");
        assert_eq!(usage.get("golem.usage.hits"), Some(7.0));
        assert_eq!(Usage::default().to_string(), "");
    }
}
