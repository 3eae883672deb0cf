//! Virtual machines, where there are any.

use std::time::Instant;

use exeunit::{
    Program,
    sandbox::Command,
    vm::{Accelerator, Machine, MachineConfig, PATIENCE, Parts, choose},
};
use futures::StreamExt;

use crate::{
    programs::HostPrograms,
    table::{Row, median, milliseconds, not_measured},
};

const BOOTS: usize = 5;
const COMMANDS: usize = 50;

pub(crate) async fn measure() {
    const WHAT: &str = "a virtual machine, until it has booted";
    let parts = match Parts::find(None) {
        Ok(parts) => parts,
        Err(error) => return not_measured(WHAT, error),
    };
    let program = Program::at(env!("CARGO_BIN_EXE_exe-unit"));
    let accelerator = choose(&program, &parts).await.accelerator;
    let place = tempfile::tempdir().expect("a folder");
    let image = place.path().join("image.gvmi");
    let tree = HostPrograms::copy(&["true"]);
    gvmi::pack(tree.path(), &gvmi::Configuration::default(), &image).expect("an image");
    exeunit::sandbox::adopt(&image).expect("the file is the caller's");
    let config = MachineConfig {
        program,
        parts,
        accelerator,
        image: Some(image),
        scratch: None,
        memory_mib: 256,
        processors: 1,
        volumes: Vec::new(),
        hosts: Default::default(),
        hostname: "bench".to_owned(),
        console: place.path().join("console.log"),
        patience: PATIENCE,
    };
    let (mut boots, mut commands) = (Vec::new(), Vec::new());
    for _ in 0..BOOTS {
        let began = Instant::now();
        let machine = Machine::boot(config.clone()).await.expect("a machine");
        boots.push(began.elapsed().as_secs_f64());
        for _ in 0..COMMANDS {
            commands.push(run(&machine).await);
        }
        machine.stop().await;
    }
    let how = match accelerator {
        Accelerator::Kvm => "KVM",
        Accelerator::Tcg => "emulated",
    };
    let boots = format!("{:.2} s", median(boots));
    Row::new(format!("{WHAT}, {how}"), boots).print();
    let commands = milliseconds(median(commands));
    Row::new(format!("`true` in a virtual machine, {how}"), commands).print();
}

async fn run(machine: &Machine) -> f64 {
    let began = Instant::now();
    let mut process = machine.run(Command::new("/bin/true")).await.expect("true");
    while process.next().await.is_some() {}
    let status = process.wait().await.expect("the machine lives");
    assert!(status.is_success(), "{status:?}");
    began.elapsed().as_secs_f64()
}
