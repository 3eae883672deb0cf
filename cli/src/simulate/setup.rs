//! What a run is of: its dataset, its settings, and what decides.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
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
    if arguments.mode == Mode::Corrected && !arguments.correct.is_empty() {
        anyhow::bail!("--correct: with --mode corrected, all oversights are taken away already");
    }
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

/// The dataset, and what tells it from others.
pub(super) fn load(path: &Path, max_bytes: u64) -> anyhow::Result<(Model, String)> {
    let limits = Limits { bytes: max_bytes };
    let failed = || path.display().to_string();
    let metadata = std::fs::metadata(path).with_context(failed)?;
    if !metadata.is_file() {
        anyhow::bail!("{}: it is not a file", path.display());
    }
    let too_large = || format!("{} (--max-bytes raises the limit)", path.display());
    (limits.check(metadata.len())).with_context(too_large)?;
    let json = std::fs::read(path).with_context(failed)?;
    let model = dataset::load(&json, &limits).with_context(failed)?;
    Ok((model, hash(&json)))
}

/// A hash (64 bits of FNV-1a) that is the same on every machine. It is against mistakes, not against malice.
fn hash(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// What decides, as the command line names it.
pub(super) fn policy_name(arguments: &Run) -> String {
    if let Some(script) = &arguments.script {
        return format!("--script {}", script.display());
    }
    if let Some(command) = &arguments.policy_command {
        return format!("--policy-command {command}");
    }
    let name = arguments.policy.to_possible_value();
    let name = name.expect("every policy has a name");
    match arguments.policy {
        PolicyName::WorstFit => format!("{} --cooldown {}", name.get_name(), arguments.cooldown),
        _ => name.get_name().to_owned(),
    }
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
