//! Generated datasets, and what EdgeSimPy gives for them.

use crate::support::{Lines, sha256};
use simulator::dataset::{self, Limits};
use simulator::generate::Mesh;
use simulator::scenario::Scenario;
use simulator::simulation::{Abort, Simulation};

/// Servers, the beginning of the dataset's hash, how many flows there are, and the hash of all metrics.
const RUNS: [(u32, &str, usize, &str); 3] = [
    (
        10,
        "5a662a08eec588a3",
        90,
        "8747a65fbdfc6bef28b5ade6a51041c5a4432c76894084fd79828004474ed10a",
    ),
    (
        30,
        "fcf611b143b21c7c",
        216,
        "c97908f039a81c86ddb627b1681cd3ad48fff12c58864ac03b7596b61f96de41",
    ),
    (
        100,
        "ec744b65feb7ce5a",
        456,
        "db63b20b6b8935540b0feda97a87ed38dc4904f4048b3323cf45aaea14bf2aa1",
    ),
];

#[test]
fn runs_on_generated_datasets_end_as_edgesimpys_do() {
    for (servers, dataset_hash, flows, metrics_hash) in RUNS {
        let mesh = Mesh {
            servers,
            steps: 100,
            services_per_server: 2,
        };
        let generated = mesh.generate();
        let found = sha256(generated.dataset.as_bytes());
        assert_eq!(&found[..16], dataset_hash, "dataset of {servers}");

        let model = dataset::load(generated.dataset.as_bytes(), &Limits::default()).unwrap();
        let mut scenario = Scenario::read(generated.scenario.as_bytes()).unwrap();
        let mut simulation = Simulation::new(model, scenario.settings());
        let mut lines = Lines::default();
        let stop = scenario.stop;
        simulation
            .run::<Abort>(scenario.algorithm.policy(), stop, |simulation| {
                lines.record(simulation.model());
                Ok(())
            })
            .unwrap();
        let metrics = lines.finish();
        assert_eq!(simulation.model().flows.len(), flows, "flows of {servers}");
        let found = sha256(lines.python(&metrics).as_bytes());
        assert_eq!(found, metrics_hash, "metrics of {servers}");
    }
}
