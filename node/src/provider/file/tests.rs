//! What a file can say, and what it cannot.

use super::*;

#[test]
fn what_is_left_out_is_as_usual() {
    let providers = parse("[[provider]]\nname = \"a\"\n[[provider]]\nname = \"b\"").unwrap();
    assert_eq!(providers, [Provider::new("a"), Provider::new("b")]);
}

#[test]
fn everything_can_be_said() {
    let text = r#"
        [[provider]]
        name = "all"
        cores = 8
        memory-gib = 16
        storage-gib = 0.5
        slots = 3
        subnet = "mine"
        runtime = "/opt/runtime"
        price = { start = 1, second = 0.25, cpu-second = 0 }
        properties = { "golem.runtime.name" = "own", "golem.x.list" = [1, 2] }
        [provider.rules]
        shortest-agreement = 1
        longest-agreement = 2
        longest-without-accept-timeout = 3
        longest-without-payment-timeout = 4
        shortest-interval = 5
        longest-interval = 6
        accept-timeout = 7
        note-interval = 8
        payment-timeout = 9
        idle-limit = 0.5
        [provider.faults]
        never-answers = "proposals"
        refuses = "agreements"
        approves-after = 8
        drops-agreement-after = 60
        exe-unit-dies-at-command = 3
        image-bytes-per-second = 100_000
        breaks-unaccepted-after = 5
        clock-skew = -30
    "#;
    let expected = Provider::new("all")
        .cores(8)
        .memory_gib(16.0)
        .storage_gib(0.5)
        .slots(3)
        .subnet("mine".to_owned())
        .runtime(Runtime::External("/opt/runtime".into()))
        .prices(Prices {
            start: 1.0,
            second: 0.25,
            cpu_second: 0.0,
        })
        .property("golem.runtime.name", "own")
        .property("golem.x.list", serde_json::json!([1, 2]))
        .rules(Rules {
            shortest_agreement: TimeDelta::seconds(1),
            longest_agreement: TimeDelta::seconds(2),
            longest_without_accept_timeout: TimeDelta::seconds(3),
            longest_without_payment_timeout: TimeDelta::seconds(4),
            shortest_interval: TimeDelta::seconds(5),
            longest_interval: TimeDelta::seconds(6),
            accept_timeout: TimeDelta::seconds(7),
            note_interval: TimeDelta::seconds(8),
            payment_timeout: TimeDelta::seconds(9),
            idle_limit: TimeDelta::milliseconds(500),
        })
        .faults(Faults {
            never_answers: Some(Stage::Proposals),
            refuses: Some(Stage::Agreements),
            approves_after: Some(TimeDelta::seconds(8)),
            drops_agreement_after: Some(TimeDelta::seconds(60)),
            exe_unit_dies_at_command: Some(3),
            image_bytes_per_second: Some(100_000),
            breaks_unaccepted_after: Some(TimeDelta::seconds(5)),
            clock_skew: TimeDelta::seconds(-30),
        });
    assert_eq!(parse(text).unwrap(), [expected]);
}

#[test]
fn nonsense_is_named_with_its_line() {
    for (text, parts) in [
        ("", vec!["names no provider"]),
        ("[[provider]]", vec!["line 1", "missing field `name`"]),
        (
            "[[provider]]\nname = \"a\"\ncoresx = 2",
            vec!["line 3", "unknown field `coresx`"],
        ),
        (
            "[[providers]]\nname = \"a\"",
            vec!["line 1", "unknown field `providers`"],
        ),
        (
            "[[provider]]\nname = \"a\"\ncores = 0",
            vec!["line 3", "cores = 0", "0 is not between 1"],
        ),
        (
            "[[provider]]\nname = \"a\"\ncores = \"2\"",
            vec!["line 3", "invalid type: string"],
        ),
        (
            "[[provider]]\nname = \"a\"\nmemory-gib = -1.5",
            vec!["line 3", "-1.5 is not more than 0"],
        ),
        (
            "[[provider]]\nname = \"a\"\nprice = { second = -1 }",
            vec!["line 3", "-1 is no price"],
        ),
        (
            "[[provider]]\nname = \"a\"\nsubnet = \"a)b\"",
            vec!["line 3", "`a)b` is no name"],
        ),
        ("[[provider]]\nname = \"\"", vec!["line 2", "is no name"]),
        (
            "[[provider]]\nname = \"a\"\nruntime = \"docker\"",
            vec!["line 3", "no runtime `docker`"],
        ),
        (
            "[[provider]]\nname = \"a\"\n[provider.faults]\nrefuses = \"all\"",
            vec!["line 4", "unknown variant `all`"],
        ),
        (
            "[[provider]]\nname = \"a\"\n[provider.rules]\nidle-limit = -1",
            vec!["line 4", "-1 seconds are no time"],
        ),
        (
            "[[provider]]\nname = \"a\"\n[[provider]]\nname = \"a\"",
            vec!["line 4", "`a` is taken by line 2"],
        ),
        ("[[provider]]\nname = ", vec!["line 2"]),
    ] {
        let reason = parse(text).unwrap_err();
        for part in parts {
            assert!(reason.contains(part), "{part} is not in: {reason}");
        }
    }
}

#[test]
fn a_file_is_named() {
    let error = Provider::read_file(Path::new("/nowhere/providers.toml")).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nowhere/providers.toml");
}

#[test]
fn the_documentation_has_all_of_it() {
    let page = include_str!("../../../../docs/node.md");
    let (_, example) = page.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let providers = parse(example).unwrap();
    assert_eq!(
        providers[0].rules,
        Rules::default(),
        "it says that they are"
    );
    let names = |text: &str| -> Vec<String> {
        let names = text
            .lines()
            .filter_map(|line| line.trim().split_once(" = "));
        let names = names.map(|(name, _)| name.to_owned());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names.dedup();
        names
    };
    // Everything that the test of everything says, which says it in another way.
    let everything = include_str!("tests.rs");
    let (_, everything) = everything.split_once("r#\"").unwrap();
    let (everything, _) = everything.split_once("\"#").unwrap();
    assert_eq!(names(example), names(everything));
}
