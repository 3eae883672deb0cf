//! What is told of whole runs.

use simulator::report::{Report, Summary, Timeline};
use simulator::scenario::Scenario;
use simulator::simulation::{Abort, Simulation};

use crate::support::{load, read};

/// What is told of a vector's run with some corrections.
fn report(name: &str, corrections: &[&str]) -> (Summary, Timeline) {
    let mut scenario = Scenario::read(&read(name, "policy.json")).unwrap();
    let mut settings = scenario.settings();
    for name in corrections {
        assert!(settings.corrections.enable(name));
    }
    let mut simulation = Simulation::new(load(name), settings);
    let mut report = Report::new(&simulation);
    let stop = scenario.stop;
    (simulation.run::<Abort>(scenario.algorithm.policy(), stop, |simulation| {
        report.observe(simulation);
        Ok(())
    }))
    .unwrap();
    report.finish(&simulation)
}

#[test]
fn what_passes_over_links_is_what_is_transferred() {
    for name in ["01_first_fit_placement", "07_multi_bottleneck", "08a_fuzz"] {
        for corrections in [&[][..], &["bandwidth", "fairness"]] {
            let (summary, timeline) = report(name, corrections);
            let model = load(name);
            let steps = f64::from(timeline.steps + 1);
            let bandwidth = |id: &str| {
                let mut links = model.links.iter();
                let link = links.find(|link| link.id.to_string() == id).unwrap();
                link.bandwidth.value()
            };
            let passed: f64 = (timeline.links.iter())
                .map(|line| line.series.mean().unwrap() / 100.0 * steps * bandwidth(&line.name))
                .sum();
            assert_eq!(timeline.links_used, timeline.links.len(), "{name}");
            // Every transfer passes over one link at least.
            let transferred = summary.layer_megabytes + summary.state_megabytes;
            assert!(passed >= transferred * 0.999, "{name}: {passed}");
            assert!(summary.highest_link_load > 0.0 && summary.highest_link_load < 100.1);
        }
    }
}
