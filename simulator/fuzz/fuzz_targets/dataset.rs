//! Whatever a dataset is, it is refused, or saved as what it is loaded from again, and simulated to an end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use simulator::dataset::{self, Limits};
use simulator::policy::FirstFit;
use simulator::settings::{Corrections, Settings};
use simulator::simulation::{Abort, Simulation, Stop};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { bytes: 1 << 20 };
    let Ok(model) = dataset::load(bytes, &limits) else {
        return;
    };
    let saved = dataset::save(&model);
    let again = dataset::load(saved.as_bytes(), &limits).expect("what was saved can be loaded");
    assert_eq!(dataset::save(&again), saved);
    for (model, corrections) in [(model, Corrections::NONE), (again, Corrections::ALL)] {
        let settings = Settings {
            corrections,
            ..Settings::default()
        };
        let ended = Simulation::new(model, settings).run::<Abort>(
            &mut FirstFit,
            Stop::Steps(5),
            |_| Ok(()),
        );
        // Where EdgeSimPy aborts there is something to be said of it.
        ended.map_or_else(|abort| assert!(!abort.to_string().is_empty()), |()| ());
    }
});
