//! How a simulation is to run.

/// What is done otherwise than EdgeSimPy does it.
///
/// EdgeSimPy's results include what comes of its oversights. With nothing corrected (the default), a simulation has
/// the same results, bit for bit; each of these takes one of the oversights away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Corrections {
    /// Transfers between servers behind one switch take a step, where EdgeSimPy aborts.
    pub colocation: bool,
    /// A layer takes its room on disk once, also while it is being downloaded and where an image lists it twice.
    pub disk: bool,
    /// Within a step, what a finished flow leaves of the bandwidth goes to the others, where EdgeSimPy gives it to them
    /// a step later.
    pub bandwidth: bool,
    /// Flows share links max-min fairly over all of their paths, where EdgeSimPy shares every link by itself. Nothing
    /// changes where all are to have the same.
    pub fairness: bool,
    /// Reservations are given back: those of a migration that another takes the place of, and the paths of users that
    /// have new ones.
    pub release: bool,
    /// Users see at once that a service became unavailable, where EdgeSimPy tells them when they move.
    pub outages: bool,
}

impl Corrections {
    /// EdgeSimPy's results.
    pub const NONE: Self = Self {
        colocation: false,
        disk: false,
        bandwidth: false,
        fairness: false,
        release: false,
        outages: false,
    };

    /// Everything that is known to be an oversight taken away.
    pub const ALL: Self = Self {
        colocation: true,
        disk: true,
        bandwidth: true,
        fairness: true,
        release: true,
        outages: true,
    };

    /// The names of the corrections, in the order of the fields.
    pub const NAMES: [&str; 6] = [
        "colocation",
        "disk",
        "bandwidth",
        "fairness",
        "release",
        "outages",
    ];

    /// Switches the correction with this name on; false if there is none.
    pub fn enable(&mut self, name: &str) -> bool {
        let correction = match name {
            "colocation" => &mut self.colocation,
            "disk" => &mut self.disk,
            "bandwidth" => &mut self.bandwidth,
            "fairness" => &mut self.fairness,
            "release" => &mut self.release,
            "outages" => &mut self.outages,
            _ => return false,
        };
        *correction = true;
        true
    }

    /// The names of those that are on.
    pub fn names(self) -> Vec<&'static str> {
        let on = [
            self.colocation,
            self.disk,
            self.bandwidth,
            self.fairness,
            self.release,
            self.outages,
        ];
        (Self::NAMES.into_iter().zip(on))
            .filter_map(|(name, on)| on.then_some(name))
            .collect()
    }
}

/// How flows share a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FlowScheduling {
    /// What one does not need goes to the others.
    #[default]
    MaxMinFairness,
    /// All have the same.
    EqualShare,
}

impl FlowScheduling {
    /// Its name in scenarios.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxMinFairness => "max_min_fairness",
            Self::EqualShare => "equal_share",
        }
    }

    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::MaxMinFairness, Self::EqualShare]
            .into_iter()
            .find(|scheduling| scheduling.name() == name)
    }
}

/// How a simulation is to run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What is done otherwise than EdgeSimPy does it.
    pub corrections: Corrections,
    /// How flows share a link.
    pub flow_scheduling: FlowScheduling,
    /// The seconds of a step, above zero. Only mobility looks at it: bandwidths are per step whatever it is.
    pub tick_seconds: f64,
    /// What random choices follow from.
    pub seed: u64,
    /// On how many threads ways are looked for. Results do not depend on it.
    pub threads: usize,
    /// If links keep account of the applications that use them. On very large networks this takes much memory, and
    /// nothing in the simulation depends on it.
    pub link_applications: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            corrections: Corrections::NONE,
            flow_scheduling: FlowScheduling::MaxMinFairness,
            tick_seconds: 1.0,
            seed: 0,
            threads: 1,
            link_applications: true,
        }
    }
}
