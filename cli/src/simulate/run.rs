//! A run.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use simulator::model::Class;
use simulator::report::{Report, Summary};
use simulator::scenario::Scenario;
use simulator::simulation::{Abort, Simulation, Stop};

use super::output::Output;
use super::setup::{load, policy, policy_name, settings};
use super::stalled::{STALLED_STEPS, Stalled};
use super::{Metrics, Run, Until};
use crate::print::outln;

/// How many steps are done where nothing says how many.
const STEPS: u32 = 100;
/// The most steps that are done where something is waited for.
const MOST_STEPS: u32 = 100_000;

/// Simulates until the end, or until it is interrupted; what was found until then is kept.
pub(super) async fn run(arguments: Run) -> anyhow::Result<ExitCode> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let (signal, flag) = (requestor::interrupted(), Arc::clone(&interrupted));
    tokio::spawn(async move {
        signal.await;
        flag.store(true, Ordering::Relaxed);
    });
    tokio::task::spawn_blocking(move || simulate(&arguments, &interrupted)).await?
}

fn simulate(arguments: &Run, interrupted: &Arc<AtomicBool>) -> anyhow::Result<ExitCode> {
    let scenario = match &arguments.script {
        None => None,
        Some(path) => {
            let json = std::fs::read(path).with_context(|| path.display().to_string())?;
            Some(Scenario::read(&json).with_context(|| path.display().to_string())?)
        }
    };
    let settings = settings(arguments, scenario.as_ref())?;
    if arguments.metrics.contains(&Metrics::None) && arguments.metrics.len() > 1 {
        anyhow::bail!("--metrics: none goes with no other form");
    }
    let stop = match (arguments.steps, arguments.until, &scenario) {
        (Some(steps), _, _) => Stop::Steps(steps),
        (None, Some(Until::AllHosted), _) => Stop::AllHosted {
            at_most: MOST_STEPS,
        },
        (None, None, Some(scenario)) => scenario.stop,
        (None, None, None) => Stop::Steps(STEPS),
    };
    let path = arguments
        .dataset
        .as_deref()
        .context("no dataset is named")?;
    let (model, dataset_hash) = load(path, arguments.max_bytes)?;
    let mut stalled = (arguments.until.is_some()).then(|| Stalled::new(scenario.as_ref()));
    let mut policy = policy(arguments, scenario, interrupted)?;
    let mut output = match &arguments.out {
        None => None,
        Some(folder) => {
            let omitted: Vec<Class> = arguments.omit.iter().copied().map(Class::from).collect();
            Some(Output::create(folder, &arguments.metrics, &omitted)?)
        }
    };

    let begun = Instant::now();
    let bar = progress_bar(stop);
    let mut simulation = Simulation::new(model, settings);
    let mut report = Report::new(&simulation);
    let ended = simulation.run(policy.as_mut(), stop, |simulation| {
        report.observe(simulation);
        if let Some(output) = &mut output {
            output.record(simulation.model()).map_err(End::Failed)?;
        }
        bar.set_position(u64::from(simulation.model().steps()));
        if interrupted.load(Ordering::Relaxed) {
            return Err(End::Interrupted);
        }
        if stalled.as_mut().is_some_and(|at| at.observe(simulation)) {
            return Err(End::Stalled);
        }
        Ok(())
    });
    bar.finish_and_clear();
    let (mut summary, timeline) = report.finish(&simulation);
    summary.run.dataset = path.display().to_string();
    summary.run.dataset_hash = dataset_hash;
    summary.run.policy = policy_name(arguments);
    let end = match ended {
        Ok(()) => unhosted(&summary, arguments.until).map(anyhow::Error::msg),
        Err(End::Stalled) => Some(anyhow::anyhow!(
            "{}, and nothing has happened for {STALLED_STEPS} steps",
            unhosted(&summary, arguments.until).unwrap_or_default()
        )),
        Err(End::Failed(error)) => Some(error),
        // A policy that was waited for may have been what the interruption ended.
        Err(End::Aborted(_) | End::Interrupted) if interrupted.load(Ordering::Relaxed) => {
            let steps = simulation.model().steps();
            Some(anyhow::anyhow!("interrupted after step {steps}"))
        }
        Err(End::Interrupted) => unreachable!("it is never taken back"),
        Err(End::Aborted(abort)) => Some(abort.into()),
    };
    summary.error = end.as_ref().map(|error| format!("{error:#}"));
    let written = output.map_or(Ok(()), |output| output.finish(&summary, &timeline));
    if summary.steps > 0 {
        print(&summary, begun.elapsed(), arguments.out.as_deref())?;
    }
    // What ended the run comes before what it led to.
    end.map_or(written, Err)?;
    Ok(ExitCode::SUCCESS)
}

/// What is said if not every service has a server and that was waited for.
fn unhosted(summary: &Summary, until: Option<Until>) -> Option<String> {
    let Some(Until::AllHosted) = until else {
        return None;
    };
    let missing = summary.services - summary.hosted;
    (missing > 0).then(|| {
        format!(
            "{missing} of {} services have no server after {} steps",
            summary.services, summary.steps
        )
    })
}

/// Why a run ended before its end.
enum End {
    Stalled,
    Interrupted,
    Failed(anyhow::Error),
    Aborted(Abort),
}

impl From<Abort> for End {
    fn from(abort: Abort) -> Self {
        Self::Aborted(abort)
    }
}

fn progress_bar(stop: Stop) -> ProgressBar {
    let style = "{wide_bar} step {pos} of {len}, {eta} left";
    match stop {
        Stop::Steps(steps) => ProgressBar::new(u64::from(steps.max(1)))
            .with_style(ProgressStyle::with_template(style).expect("a template")),
        Stop::AllHosted { .. } => ProgressBar::new_spinner()
            .with_style(ProgressStyle::with_template("{spinner} step {pos}").expect("a template")),
    }
}

fn print(summary: &Summary, took: Duration, folder: Option<&Path>) -> anyhow::Result<()> {
    outln!(
        "{} steps of {} servers, {} services and {} users in {:.2} s",
        summary.steps,
        summary.servers,
        summary.services,
        summary.users,
        took.as_secs_f64()
    )?;
    for (name, unit, value) in summary.rows() {
        let row = format!("{name:>25}  {} {unit}", number(value));
        outln!("{}", row.trim_end())?;
    }
    if let Some(folder) = folder {
        outln!("metrics, summary and pictures: {}", folder.display())?;
    }
    Ok(())
}

/// A number with two digits after the point, if it has any.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.strip_suffix(".00").unwrap_or(&text).to_owned()
}
