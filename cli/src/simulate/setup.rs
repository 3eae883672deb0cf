//! What a run is of: its dataset, its settings, and what decides.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use simulator::dataset::{self, Limits};
use simulator::model::Model;
use simulator::policy::{BestFit, FirstFit, FollowUser, LeastDelay, LeastEnergy, Policy, WorstFit};
use simulator::scenario::{Algorithm, Scenario};
use simulator::settings::{Corrections, FlowScheduling, Settings};

use super::command::CommandPolicy;
use super::{Mode, PolicyName, Run, Scheduling};

pub(super) fn settings(arguments: &Run, scenario: Option<&Scenario>) -> anyhow::Result<Settings> {
    let mut settings = scenario.map_or_else(Settings::default, Scenario::settings);
    // Nothing that is written tells it.
    settings.link_applications = false;
    settings.threads = std::thread::available_parallelism().map_or(1, usize::from);
    if arguments.mode == Mode::Corrected {
        settings.corrections = Corrections::ALL;
    }
    for name in &arguments.correct {
        if !settings.corrections.enable(name) {
            anyhow::bail!(
                "--correct: there is no {name:?}, only {}",
                Corrections::NAMES.join(", ")
            );
        }
    }
    match arguments.flow_scheduling {
        Some(Scheduling::MaxMinFairness) => {
            settings.flow_scheduling = FlowScheduling::MaxMinFairness;
        }
        Some(Scheduling::EqualShare) => settings.flow_scheduling = FlowScheduling::EqualShare,
        None => {}
    }
    if let Some(tick) = arguments.tick {
        if !(tick > 0.0 && tick.is_finite()) {
            anyhow::bail!("--tick: {tick} is not above zero");
        }
        settings.tick_seconds = tick;
    }
    if let Some(seed) = arguments.seed {
        settings.seed = seed;
    }
    Ok(settings)
}

pub(super) fn load(path: &Path, max_bytes: u64) -> anyhow::Result<Model> {
    let limits = Limits { bytes: max_bytes };
    let failed = || path.display().to_string();
    let metadata = std::fs::metadata(path).with_context(failed)?;
    if !metadata.is_file() {
        anyhow::bail!("{}: it is not a file", path.display());
    }
    let too_large = || format!("{} (--max-bytes raises the limit)", path.display());
    (limits.check(metadata.len())).with_context(too_large)?;
    let json = std::fs::read(path).with_context(failed)?;
    dataset::load(&json, &limits).with_context(failed)
}

pub(super) fn policy(
    arguments: &Run,
    scenario: Option<Scenario>,
    interrupted: &Arc<AtomicBool>,
) -> anyhow::Result<Box<dyn Policy>> {
    if let Some(scenario) = scenario {
        return Ok(match scenario.algorithm {
            Algorithm::Scripted(policy) => Box::new(policy),
            Algorithm::FirstFit(policy) => Box::new(policy),
            Algorithm::WorstFit(policy) => Box::new(policy),
        });
    }
    if let Some(command) = &arguments.policy_command {
        let timeout = Duration::from_secs(arguments.policy_timeout);
        return Ok(Box::new(CommandPolicy::start(
            command,
            timeout,
            Arc::clone(interrupted),
        )?));
    }
    Ok(match arguments.policy {
        PolicyName::FirstFit => Box::new(FirstFit),
        PolicyName::BestFit => Box::new(BestFit),
        PolicyName::WorstFit => Box::new(WorstFit {
            cooldown_steps: arguments.cooldown,
        }),
        PolicyName::FollowUser => Box::new(FollowUser),
        PolicyName::LeastDelay => Box::new(LeastDelay),
        PolicyName::LeastEnergy => Box::new(LeastEnergy),
    })
}
