//! What a program gets that is linked with the SDK.

#[test]
fn the_requestor_has_nothing_of_a_provider() {
    let mut tree = tests::cargo();
    tree.args(["tree", "--package", "requestor", "--offline", "--locked"])
        .args(["--edges", "normal,build", "--prefix", "none"]);
    let tree = tree.output().expect("cargo");
    let told = String::from_utf8_lossy(&tree.stderr);
    assert!(tree.status.success(), "{told}");
    let tree = String::from_utf8(tree.stdout).expect("text");
    let crates: Vec<_> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(crates.contains(&"ya-client"), "{tree}");
    for other in ["axum", "exeunit", "gvmi", "node", "builder"] {
        assert!(!crates.contains(&other), "{other} in\n{tree}");
    }
}
