//! A node with exe-units that do what they are told, in sandboxes.

#[path = "../node/clock.rs"]
mod clock;
mod faults;
mod file_server;
mod image;
#[path = "../node/peer.rs"]
mod peer;
mod programs;
mod replay;
#[path = "../node/requestor.rs"]
mod requestor;
mod restart;
#[path = "../node/shape.rs"]
mod shape;

use std::{env, process::ExitCode, thread};

use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    node::main(async {
        if let Some(data) = env::var_os(restart::DATA) {
            return restart::program(data.into()).await;
        }
        let mut trials = vec![
            trial(
                "a_killed_node_goes_on_where_it_was",
                restart::killed_and_started_again,
            ),
            trial(
                "a_folder_is_free_when_its_node_is_killed",
                restart::a_folder_is_free_when_its_node_is_killed,
            ),
        ];
        trials.extend(faults::trials());
        trials.extend(replay::trials());
        libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
    })
}

/// A test that waits for things.
fn trial<F: Future<Output = ()>>(
    name: impl Into<String>,
    test: impl FnOnce() -> F + Send + 'static,
) -> Trial {
    Trial::test(name, || {
        let test = thread::spawn(|| {
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(test());
            Ok(())
        });
        test.join().map_err(|_| Failed::without_message())?
    })
}
