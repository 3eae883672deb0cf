//! Whatever a script says, it is understood or refused; and what is understood means the same when it is written again.
#![no_main]

use exeunit::script::Command;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(script) = serde_json::from_str::<Vec<Command>>(text) {
        let again = serde_json::to_string(&script).expect("it can be written");
        assert_eq!(serde_json::from_str::<Vec<Command>>(&again).expect("it can be read"), script);
    }
});
