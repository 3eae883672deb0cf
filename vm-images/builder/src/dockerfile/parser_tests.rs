//! How instructions are understood.

use super::{stages::Stages, *};

/// The steps of all stages, each of which begins with nothing.
fn steps(text: &str) -> Result<Vec<Step>, Problem> {
    let stages = Stages::parse(text)?;
    let given = stages.global_arguments(&Given::default())?;
    let mut all = Vec::new();
    for stage in &stages.all {
        stages.base(stage, &given)?;
        let scope = Scope::of(&gvmi::Configuration::default());
        all.extend(stages.steps(stage, scope, &given)?.0);
    }
    Ok(all)
}

#[track_caller]
fn instructions(text: &str) -> Vec<Instruction> {
    let steps = steps(&format!("FROM scratch\n{text}")).unwrap();
    steps.into_iter().map(|step| step.instruction).collect()
}

fn run(command: &[&str], arguments: &[(&str, &str)]) -> Instruction {
    Instruction::Run(Run {
        command: texts(command),
        arguments: pairs(arguments),
    })
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn copy(sources: &[&str], destination: &str) -> Copy {
    Copy {
        from: None,
        mode: None,
        owner: None,
        unpacks: false,
        sources: texts(sources),
        destination: destination.to_owned(),
    }
}

#[test]
fn instructions_are_understood() {
    let cases = [
        ("RUN [\"/a\", \"b c\"]", run(&["/a", "b c"], &[])),
        ("run [\"/a\"]", run(&["/a"], &[])),
        (
            "RUN echo \"$x\" \\\n  && b",
            run(&["/bin/sh", "-c", "echo \"$x\"   && b"], &[]),
        ),
        (
            "RUN [ -e x ] || y",
            run(&["/bin/sh", "-c", "[ -e x ] || y"], &[]),
        ),
        ("USER 1000:0", Instruction::User("1000:0".into())),
        (
            "EXPOSE 80 53/udp 8000-8010",
            Instruction::Expose(texts(&["80/tcp", "53/udp", "8000-8010/tcp"])),
        ),
        (
            "STOPSIGNAL SIGINT",
            Instruction::StopSignal("SIGINT".into()),
        ),
        (
            "ADD --chown=me:us a.tar /b/",
            Instruction::Copy(Copy {
                owner: Some("me:us".into()),
                unpacks: true,
                ..copy(&["a.tar"], "/b/")
            }),
        ),
        ("COPY --link a /b", Instruction::Copy(copy(&["a"], "/b"))),
        (
            "ENV a=1 b=\"2 3\"",
            Instruction::Env(pairs(&[("a", "1"), ("b", "2 3")])),
        ),
        ("ENV a 1  2=3", Instruction::Env(pairs(&[("a", "1  2=3")]))),
        (
            "LABEL \"a b\"=c d=",
            Instruction::Label(pairs(&[("a b", "c"), ("d", "")])),
        ),
        (
            "WORKDIR /a/./b/../c/",
            Instruction::WorkingDir("/a/c".into()),
        ),
        ("WORKDIR ../../x", Instruction::WorkingDir("/x".into())),
        ("VOLUME /a /b/", Instruction::Volume(texts(&["/a", "/b"]))),
        ("VOLUME [\"/a b\"]", Instruction::Volume(texts(&["/a b"]))),
        (
            "ENTRYPOINT [\"/a\"]",
            Instruction::Entrypoint(texts(&["/a"])),
        ),
        (
            "ENTRYPOINT a b",
            Instruction::Entrypoint(texts(&["/bin/sh", "-c", "a b"])),
        ),
        ("CMD []", Instruction::Cmd(vec![])),
        ("COPY a b /c/", Instruction::Copy(copy(&["a", "b"], "/c/"))),
        ("COPY [a-c] /d", Instruction::Copy(copy(&["[a-c]"], "/d"))),
        ("COPY a .", Instruction::Copy(copy(&["a"], "/"))),
        ("COPY a b/.", Instruction::Copy(copy(&["a"], "/b/"))),
        (
            "COPY [\"a b\", \"c\"]",
            Instruction::Copy(copy(&["a b"], "/c")),
        ),
        (
            "COPY --from=other --chmod=0750 a /b",
            Instruction::Copy(Copy {
                from: Some("other".into()),
                mode: Some(0o750),
                ..copy(&["a"], "/b")
            }),
        ),
    ];
    for (text, instruction) in cases {
        assert_eq!(instructions(text), [instruction], "{text}");
    }
}

#[test]
fn instructions_use_what_came_before() {
    let text = "WORKDIR /a\nWORKDIR b\nENV x=1\nENV x=2 y=$x\nCOPY $y.txt ./$x/\nVOLUME [\"/$x\"]";
    let all = instructions(text);
    assert_eq!(all[1], Instruction::WorkingDir("/a/b".into()));
    assert_eq!(all[3], Instruction::Env(pairs(&[("x", "2"), ("y", "1")])));
    assert_eq!(all[4], Instruction::Copy(copy(&["1.txt"], "/a/b/2/")));
    assert_eq!(all[5], Instruction::Volume(texts(&["/2"])));
}

#[test]
fn a_step_knows_its_line_and_text() {
    let steps = steps("# first\nFROM scratch\n\nRUN [ \\\n  \"/a\" ]\n").unwrap();
    assert_eq!(
        (steps[0].line, steps[0].text.as_str()),
        (4, "RUN [ \"/a\" ]")
    );
}

#[test]
fn what_is_not_understood_is_an_error_in_its_line() {
    let cases = [
        ("", 1, "no instruction"),
        ("# FROM scratch", 1, "no instruction"),
        ("COPY a b", 1, "begins with FROM, not with COPY"),
        ("FROM", 1, "FROM takes an image"),
        ("FROM scratch AS", 1, "FROM takes an image"),
        ("FROM scratch AS 1", 1, "1 is no name for a stage"),
        ("FROM a AS x\nFROM b AS X", 2, "two stages with the name x"),
        ("FROM --flag=1 a", 1, "FROM does not know --flag=1"),
        ("FROM --platform=linux/mips a", 1, "this machine is linux/"),
        ("FROM $none", 1, "FROM names no image: $none is empty"),
        ("ARG a=1", 1, "there is no FROM"),
        ("ARG 1=2\nFROM a", 1, "\"1\" is no name of a variable"),
        ("ENV a=1\nFROM a", 1, "begins with FROM, not with ENV"),
        (
            "FROM a\nFROM b\nADD http://c /d",
            3,
            "from elsewhere is not built in",
        ),
        (
            "FROM a\nADD --checksum=x b c",
            2,
            "ADD --checksum=x is not built in",
        ),
        ("FROM a\nADD --from=x b c", 2, "ADD does not know --from=x"),
        ("FROM a\nONBUILD RUN x", 2, "ONBUILD is not built in"),
        (
            "FROM a\nRUN <<EOF\nx\nEOF",
            2,
            "here-document <<EOF is not built in",
        ),
        ("FROM a\nRUN --what x", 2, "RUN does not know --what"),
        ("FROM a\nSHELL /bin/sh", 2, "SHELL takes a JSON array"),
        ("FROM a\nSHELL []", 2, "SHELL takes a JSON array"),
        ("FROM a\nUSER a:b:c", 2, "\"a:b:c\" is no user"),
        ("FROM a\nEXPOSE 99999", 2, "99999 is no port"),
        ("FROM a\nEXPOSE 80/icmp", 2, "80/icmp is no port"),
        (
            "FROM a\nCOPY --from=$x a b",
            2,
            "there are no variables here",
        ),
        (
            "FROM scratch\nCPOY a b",
            2,
            "the instruction CPOY is not known",
        ),
        ("FROM scratch\nCMD", 2, "CMD has no arguments"),
        (
            "FROM scratch\nCOPY a",
            2,
            "COPY takes a source and a destination",
        ),
        ("FROM scratch\nCOPY a b c", 2, "must end with /"),
        (
            "FROM scratch\nCOPY --chown= a b",
            2,
            "COPY does not know --chown=",
        ),
        (
            "FROM scratch\nCOPY --from= a b",
            2,
            "COPY does not know --from=",
        ),
        (
            "FROM scratch\nCOPY --parents a b",
            2,
            "COPY --parents is not built in",
        ),
        ("FROM scratch\nCOPY --chmod=u+x a b", 2, "must be octal"),
        ("FROM scratch\nCOPY --chmod=77777 a b", 2, "must be octal"),
        (
            "FROM scratch\nCOPY <<EOF /a",
            2,
            "the here-document <<EOF is not built in",
        ),
        ("FROM scratch\nCOPY a \"b", 2, "\" is missing in"),
        ("FROM scratch\nRUN ['/a']", 2, "no JSON array"),
        ("FROM scratch\nRUN []", 2, "RUN names no program"),
        (
            "FROM scratch\nRUN --mount=type=bind [\"/a\"]",
            2,
            "RUN --mount=type=bind is not built in",
        ),
        ("FROM scratch\nCMD [\"a\",]", 2, "no JSON array"),
        ("FROM scratch\nENV a", 2, "a has no value; write a=value"),
        (
            "FROM scratch\nENV a=1 b",
            2,
            "b is not of the form name=value",
        ),
        (
            "FROM scratch\nENV =1",
            2,
            "=1 is not of the form name=value",
        ),
        ("FROM scratch\nVOLUME a", 2, "no absolute path"),
        ("FROM scratch\nVOLUME []", 2, "VOLUME names no folder"),
        ("FROM scratch\nLABEL a=1 \\\n b=${x", 2, "is not understood"),
    ];
    for (text, line, problem) in cases {
        let found = steps(text).unwrap_err();
        assert_eq!(found.line, line, "{text:?}: {found:?}");
        assert!(found.wrong.text().contains(problem), "{text:?}: {found:?}");
    }
}

#[test]
fn arguments_are_known_where_docker_knows_them() {
    let text = "ARG tag=12\nARG base=debian:$tag\nFROM $base AS one\nARG tag\nARG own=1\nENV own=2\nRUN a\n\
                FROM one\nRUN b\nLABEL x=$tag y=${own:-none}";
    let stages = Stages::parse(text).unwrap();
    assert_eq!(stages.arguments(), ["tag", "base", "tag", "own"]);
    let given = |by_user: &[(&str, &str)]| {
        let given = Given {
            by_user: pairs(by_user).into_iter().collect(),
            ..Given::default()
        };
        stages.global_arguments(&given).unwrap()
    };
    for (by_user, base, arguments) in [
        (&[][..], "debian:12", [("own", "1"), ("tag", "12")]),
        (
            &[("tag", "13"), ("own", "3")],
            "debian:13",
            [("own", "3"), ("tag", "13")],
        ),
    ] {
        let given = given(by_user);
        assert_eq!(stages.base(&stages.all[0], &given).unwrap(), base);
        let scope = || Scope::of(&gvmi::Configuration::default());
        let (steps, after) = stages.steps(&stages.all[0], scope(), &given).unwrap();
        let shell = ["/bin/sh", "-c", "a"];
        assert_eq!(steps[3].instruction, run(&shell, &arguments));
        assert_eq!(after.variables["own"], "2");
        let (steps, _) = stages.steps(&stages.all[1], scope(), &given).unwrap();
        let labels = pairs(&[("x", ""), ("y", "none")]);
        assert_eq!(steps[1].instruction, Instruction::Label(labels));
    }
}

#[test]
fn what_the_base_says_is_known() {
    let mut configuration = gvmi::Configuration::default();
    configuration.env.push("PATH=/base".into());
    configuration.working_dir = "/base".into();
    let shell = serde_json::json!(["/bin/bash", "-c"]);
    configuration.other.insert("Shell".into(), shell);
    let stages = Stages::parse("FROM x\nENV PATH=$PATH:/new\nWORKDIR sub\nRUN x").unwrap();
    let scope = Scope::of(&configuration);
    let (steps, _) = stages
        .steps(&stages.all[0], scope, &Given::default())
        .unwrap();
    assert_eq!(
        steps[0].instruction,
        Instruction::Env(pairs(&[("PATH", "/base:/new")]))
    );
    assert_eq!(
        steps[1].instruction,
        Instruction::WorkingDir("/base/sub".into())
    );
    assert_eq!(steps[2].instruction, run(&["/bin/bash", "-c", "x"], &[]));
}

#[test]
fn the_platform_is_known() {
    let text =
        "FROM --platform=$BUILDPLATFORM scratch\nARG TARGETARCH\nLABEL a=$TARGETARCH b=$TARGETOS";
    let stages = Stages::parse(text).unwrap();
    let given = stages.global_arguments(&Given::default()).unwrap();
    stages.base(&stages.all[0], &given).unwrap();
    let scope = Scope::of(&gvmi::Configuration::default());
    let (steps, _) = stages.steps(&stages.all[0], scope, &given).unwrap();
    let labels = pairs(&[("a", oci::this_architecture()), ("b", "")]);
    assert_eq!(steps[1].instruction, Instruction::Label(labels));
}

#[test]
fn variables_that_are_not_known_yet_are_no_mistake() {
    let text = "ARG A\nFROM $A\nARG B\nCOPY --chmod=$B --chown=$B $B/x $B\nWORKDIR $B\nVOLUME $B\nEXPOSE $B\nUSER $B";
    Stages::parse(text).unwrap();
}
