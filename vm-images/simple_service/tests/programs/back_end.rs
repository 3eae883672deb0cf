//! `simple_service`: the database and what is printed of it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    process::Command,
    thread,
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::service::{Run, Service, copy};

#[test]
fn stats_are_those_of_the_seed_in_its_order() {
    let service = Service::new();
    service.add(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
    assert_eq!(
        service.run(&["--stats"]).succeeds(),
        r#"{"min": 2.0, "max": 9.0, "median": 4.5, "mean": 5.0, "variance": 4.0, "std dev": 2.0, "size": 8}"#
    );
}

#[test]
fn any_finite_value_can_be_added() {
    let service = Service::new();
    for value in ["0", "-3.5", "1e3", "-0", "+7", "1.7e308"] {
        service.run(&["--add", value]).succeeds();
    }
    let dump = service.run(&["--dump"]).json();
    let values: Vec<f64> = dump
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["value"].as_f64().unwrap())
        .collect();
    assert_eq!(values, [0.0, -3.5, 1000.0, 0.0, 7.0, 1.7e308]);
}

#[test]
fn what_is_no_finite_number_is_refused() {
    let service = Service::new();
    for value in [
        "nan", "-NaN", "x", "", "inf", "-inf", "1e999", "1,5", "--stats",
    ] {
        service
            .run(&["--add", value])
            .fails(&format!("simple_service: {value:?} is not a finite number"));
    }
    assert_eq!(service.size(), 0);
}

#[test]
fn exactly_one_option_is_taken() {
    let service = Service::new();
    for arguments in [
        &[][..],
        &["--stats", "--dump"],
        &["--add"],
        &["--plot", "pie"],
        &["x"],
    ] {
        let run = service.run(arguments);
        assert_eq!(run.code, Some(2), "{arguments:?}: {run:?}");
        assert!(run.stderr.contains("--help"), "{arguments:?}: {run:?}");
    }
}

#[test]
fn an_empty_database_can_be_dumped_but_not_described() {
    let service = Service::new();
    assert_eq!(service.run(&["--dump"]).succeeds(), "[]");
    for arguments in [&["--stats"][..], &["--plot", "dist"], &["--plot", "time"]] {
        service
            .run(arguments)
            .fails("there are no observations yet");
    }
}

#[test]
fn what_is_too_large_for_statistics_is_said() {
    let service = Service::new();
    service.add(&[1e308, -1e308]);
    for arguments in [&["--stats"][..], &["--plot", "dist"], &["--plot", "time"]] {
        service
            .run(arguments)
            .fails("the observations are too large");
    }
}

#[test]
fn a_second_init_keeps_what_is_there() {
    let service = Service::new();
    service.add(&[1.0, 2.0]);
    service.run(&["--init"]).succeeds();
    assert_eq!(service.size(), 2);
}

#[test]
fn the_dump_has_values_and_times_in_order() {
    let service = Service::new();
    let before = Utc::now() - TimeDelta::milliseconds(1);
    service.add(&[3.0, 1.0, 2.0]);
    let after = Utc::now();

    let dump = service.run(&["--dump"]).json();
    let times: Vec<DateTime<Utc>> = dump
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["timestamp"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(dump[1]["value"], 1.0);
    assert!(
        times.is_sorted() && before < times[0] && times[2] <= after,
        "{dump}"
    );
}

#[test]
fn adding_at_the_same_time_loses_nothing() {
    let service = Service::new();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| service.add(&[1.0; 15]));
        }
        // Reading meanwhile neither fails nor hinders.
        scope.spawn(|| (0..15).for_each(|_| assert!(service.size() <= 120)));
    });
    assert_eq!(service.size(), 120);
}

#[test]
fn creating_at_the_same_time_is_harmless() {
    let service = Service::uninitialised();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                service.run(&["--init"]).succeeds();
                service.add(&[1.0]);
            });
        }
    });
    assert_eq!(service.size(), 8);
}

const EVERY_USE: [&[&str]; 5] = [
    &["--add", "1"],
    &["--stats"],
    &["--dump"],
    &["--plot", "dist"],
    &["--plot", "time"],
];

#[test]
fn a_missing_database_is_named_and_not_created() {
    let service = Service::uninitialised();
    let why = format!("there is no database {}", service.database().display());
    for arguments in EVERY_USE {
        service.run(arguments).fails(&why);
    }
    assert!(!service.database().exists());
}

#[test]
fn what_is_no_database_is_named_and_left_alone() {
    let service = Service::uninitialised();
    let text = "no database at all, but long enough for the header of one. ".repeat(9);
    fs::write(service.database(), &text).unwrap();
    for arguments in EVERY_USE.into_iter().chain([&["--init"][..]]) {
        let run = service.run(arguments);
        run.fails("file is not a database");
        run.fails(&service.database().display().to_string());
    }
    assert_eq!(fs::read_to_string(service.database()).unwrap(), text);
}

#[test]
fn a_damaged_database_is_named() {
    let service = Service::new();
    let mut bytes = fs::read(service.database()).unwrap();
    bytes[100..].fill(0xaa);
    fs::write(service.database(), bytes).unwrap();
    for arguments in EVERY_USE {
        service
            .run(arguments)
            .fails(&service.database().display().to_string());
    }
}

#[test]
fn a_database_of_something_else_is_named() {
    let service = Service::uninitialised();
    fs::write(service.database(), "").unwrap();
    for arguments in EVERY_USE {
        service.run(arguments).fails("no such table: observations");
    }
}

#[test]
fn a_row_that_is_no_observation_is_named() {
    let service = Service::new();
    let other = rusqlite::Connection::open(service.database()).unwrap();
    other
        .execute("INSERT INTO observations VALUES (1.5, 'yesterday')", ())
        .unwrap();
    drop(other);
    service.run(&["--dump"]).fails("cannot read the database");
}

#[test]
fn a_folder_is_no_database() {
    let service = Service::uninitialised();
    fs::create_dir(service.database()).unwrap();
    for arguments in EVERY_USE.into_iter().chain([&["--init"][..]]) {
        service
            .run(arguments)
            .fails(&service.database().display().to_string());
    }
}

#[test]
fn a_database_that_may_not_be_written_is_read_only() {
    let service = Service::new();
    service.add(&[1.0]);
    fs::set_permissions(service.database(), PermissionsExt::from_mode(0o444)).unwrap();
    service
        .run_restricted(&["--add", "1"])
        .fails("cannot add to the database");
}

#[test]
fn a_folder_that_may_not_be_written_gets_no_database() {
    let service = Service::uninitialised();
    let folder = service.folder().join("closed");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, PermissionsExt::from_mode(0o555)).unwrap();
    symlink(folder.join("service.db"), service.database()).unwrap();
    service
        .run_restricted(&["--init"])
        .fails("cannot open the database");
}

#[test]
fn by_default_the_database_is_beside_the_program_itself() {
    let image = tempfile::tempdir().unwrap();
    let program = image.path().join("simple_service");
    let link = image.path().join("link/simple_service.py");
    copy(env!("CARGO_BIN_EXE_simple_service"), &program);
    fs::create_dir(image.path().join("link")).unwrap();
    symlink("../simple_service", &link).unwrap();

    let run = |argument| {
        Run::from(
            Command::new(&link)
                .arg(argument)
                .env_clear()
                .output()
                .unwrap(),
        )
    };
    run("--init").succeeds();
    assert_eq!(run("--dump").succeeds(), "[]");
    assert!(image.path().join("service.db").is_file());
}
