//! The `nft` program in a network namespace of its own: what the real kernel says.

use std::process::Command;

/// What came of a script.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Whether the last command was accepted.
    pub(crate) accepted: bool,
    /// What the commands wrote to their standard output.
    pub(crate) output: String,
    /// What they wrote to their standard error.
    pub(crate) errors: String,
}

/// Runs a shell script with its arguments in a fresh network namespace.
///
/// # Panics
///
/// If namespaces are not permitted here: the test could not say anything.
#[expect(clippy::disallowed_methods, reason = "the oracle is another program")]
pub(crate) fn in_fresh_namespace(script: &str, arguments: &[&str]) -> Outcome {
    let output = Command::new("timeout")
        .args([
            "180",
            "unshare",
            "--map-root-user",
            "--net",
            "sh",
            "-c",
            script,
            "sh",
        ])
        .args(arguments)
        .output()
        .expect("`timeout` and `unshare` are installed");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !errors.contains("unshare:"),
        "no namespace for the test: {errors}"
    );
    Outcome {
        accepted: output.status.success(),
        output: String::from_utf8_lossy(&output.stdout).into_owned(),
        errors,
    }
}

/// Gives `text` to `nft` and lists the ruleset that it makes.
pub(crate) fn load(text: &str) -> Outcome {
    in_fresh_namespace(r#"printf %s "$1" | nft -f - && nft list ruleset"#, &[text])
}
