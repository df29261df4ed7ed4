//! Calls of `ip` and `tc`.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs the lines as one batch of `ip` or `tc`, inside a network namespace if one is named: a lab takes some two
/// hundred of them, and a process for each would take longer than the transfer.
pub(super) fn batch(program: &str, namespace: Option<&str>, lines: &[String]) {
    let output = try_batch(program, namespace, lines);
    assert!(output.status.success(), "{program} in {namespace:?}: {lines:#?}\n{output:?}");
}

/// The same, where the caller looks at what came of it.
pub(super) fn try_batch(program: &str, namespace: Option<&str>, lines: &[String]) -> Output {
    let mut command = Command::new(program);
    if let Some(namespace) = namespace {
        command.args(["-n", namespace]);
    }
    command.args(["-force", "-batch", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = lines.join("\n") + "\n";
    // One that ends early says why on its standard error.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(text.as_bytes()));
    child.wait_with_output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// What a command prints, or nothing if it fails.
pub(super) fn printed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.ok().filter(|output| output.status.success());
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
