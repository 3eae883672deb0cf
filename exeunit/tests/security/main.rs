//! What strangers' programs must not be able to do, each thing by a program that tries it.
//!
//! This binary is the test runner, and in an image it is the attacker: a real exe-unit in a process of its own deploys
//! the image and runs the attacker as a requestor's command. An attempt has failed, as it should, when the attacker
//! says what has stopped it, or was killed.

#![expect(
    unsafe_code,
    reason = "an attacker makes system calls that no library offers"
)]

mod activity;
mod attack;
mod attempts;
mod hogs;
mod killed;
mod malformed;
#[expect(dead_code, reason = "these tests need no files of a requestor's")]
#[path = "../exe_unit/node.rs"]
mod node;
#[path = "../processes/mod.rs"]
mod processes;
#[path = "../programs/mod.rs"]
mod programs;
mod stalls;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(attack::ARGUMENT) {
        std::process::exit(attack::main(arguments));
    }
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = attempts::trials()
        .into_iter()
        .chain(hogs::trials())
        .chain(killed::trials())
        .chain(malformed::trials())
        .chain(stalls::trials())
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    activity::forget_image();
    conclusion.exit();
}
