//! What an operator sees: help, catalogue, and what is wrong with a command line.

use std::path::Path;
use std::process::{Command, Stdio};

use insta::assert_snapshot;

use crate::process::{faulty, run, stderr, stdout};

#[path = "../../build.rs"]
#[expect(dead_code, reason = "cargo starts it")]
mod build_script;

/// Exit code, stdout and stderr of a command.
fn session(command: &mut Command) -> String {
    let output = run(command);
    let parts = [
        format!("exit: {}", output.status.code().expect("an exit code")),
        format!("stdout:\n{}", stdout(&output)),
        format!("stderr:\n{}", stderr(&output)),
    ];
    parts.join("\n").trim_end().replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

/// Its wording is in the generated reference, docs/command-line.md.
#[test]
fn help_and_version_are_printed_on_stdout() {
    for (arguments, words) in [
        (&["-h"][..], "doctor"),
        (&["--help"], "doctor"),
        (&["help", "run"], "--publish-budget"),
        (&["run", "--help"], "--publish-budget"),
        (&["--dry-run", "--help"], "--publish-budget"),
        (&["doctor", "-h"], "something does not hold"),
    ] {
        let output = run(&mut faulty(arguments));
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{arguments:?}");
        assert!(stdout(&output).contains(words), "{arguments:?}: {}", stdout(&output));
    }
    assert_snapshot!(session(&mut faulty(&["--version"])), @r"
    exit: 0
    stdout:
    node-annotator VERSION

    stderr:
    ");
}

#[test]
fn catalogue() {
    assert_snapshot!("list", session(&mut faulty(&["list"])));
    assert_snapshot!("list-json", session(&mut faulty(&["list", "-o", "json"])));
    assert_snapshot!("explain-good", session(&mut faulty(&["explain", "good"])));
    assert_snapshot!(
        "explain-absent",
        session(&mut faulty(&["explain", "absent", "--prefix", "example.com"]))
    );
    let one = run(&mut faulty(&["explain", "good", "-o", "json"]));
    let all = run(&mut faulty(&["list", "-o", "json"]));
    let (one, all): (serde_json::Value, Vec<serde_json::Value>) =
        (serde_json::from_slice(&one.stdout).unwrap(), serde_json::from_slice(&all.stdout).unwrap());
    assert!(all.contains(&one));
}

#[test]
fn the_prefix_in_the_environment_reaches_the_catalogue() {
    for command in [&["list", "-o", "json"][..], &["explain", "good"]] {
        let text = stdout(&run(faulty(command).env("NODE_ANNOTATOR_PREFIX", "facts.example")));
        assert!(text.contains("facts.example/good.boots"), "{text}");
    }
}

#[test]
fn without_a_command_it_runs() {
    let named = session(&mut faulty(&["run", "--dry-run", "--collectors", "good"]));
    assert_eq!(session(&mut faulty(&["--dry-run", "--collectors", "good"])), named);
    assert_eq!(
        session(faulty(&[]).env("NODE_ANNOTATOR_DRY_RUN", "1").env("NODE_ANNOTATOR_COLLECTORS", "good")),
        named
    );
}

#[test]
fn usage_errors() {
    let dry = |arguments: &[&str]| session(faulty(arguments).arg("--dry-run"));
    let cases = [
        ("unknown-collector", dry(&["--collectors", "god"])),
        ("unknown-taken-away", dry(&["--collectors=-god"])),
        ("nothing-selected", dry(&["--collectors", "good,-good"])),
        ("reserved-prefix", dry(&["--prefix", "node.kubernetes.io"])),
        ("bad-prefix", dry(&["--prefix", "Example.com/"])),
        ("generation-saved", dry(&["--generation", "saved"])),
        ("bad-generation", dry(&["--generation", "a b"])),
        ("bad-duration", dry(&["--deadline", "90"])),
        ("zero-deadline", dry(&["--deadline", "0s"])),
        ("endless-deadline", dry(&["--deadline", "1000000h"])),
        ("budget-eats-deadline", dry(&["--deadline", "10s", "--publish-budget", "10s"])),
        ("no-host-root", dry(&["--host-root", "/nowhere"])),
        ("unknown-flag", dry(&["--colectors", "good"])),
        ("node-name-missing", session(&mut faulty(&[]))),
        ("node-name-bad", session(&mut faulty(&["--node-name", "Worker_1"]))),
        ("explain-unknown", session(&mut faulty(&["explain", "god"]))),
        ("explain-keyword", session(&mut faulty(&["explain", "all"]))),
        ("flag-and-command", session(&mut faulty(&["--prefix", "example.com", "list"]))),
        ("unknown-command", session(&mut faulty(&["lst"]))),
        ("command-and-flag", session(&mut faulty(&["list", "--dry-run"]))),
    ];
    for (name, session) in &cases {
        assert!(session.starts_with("exit: 2\nstdout:\n\nstderr:\nerror: "), "{name}: {session}");
    }
    let all = cases
        .map(|(name, session)| format!("# {name}\n{}", &session["exit: 2\nstdout:\n\nstderr:\n".len()..]));
    assert_snapshot!("usage-errors", all.join("\n\n"));
}

#[test]
fn completions_name_the_binary_that_was_called() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = run(&mut faulty(&["completions", shell]));
        assert!(output.status.success());
        let script = stdout(&output);
        assert!(
            script.contains("faulty_collectors") && script.contains("publish-budget"),
            "{shell}: {script}"
        );
    }
}

/// Commands that are typed up to a word, and what completes that word. `faulty-collectors` has a dash, which
/// the generator of scripts minds.
const COMPLETED: [(&[&str], &str); 5] = [
    (&["sta"], "status"),
    (&["status", "--max-a"], "--max-age"),
    (&["status", "-o", "ya"], "yaml"),
    (&["completions", "kub"], "kubectl"),
    (&["once-step", "--ti"], "--timeout"),
];

#[test]
fn bash_completes_commands_options_and_values() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("faulty-collectors");
    std::os::unix::fs::symlink(faulty(&[]).get_program(), program).unwrap();
    for (words, expected) in COMPLETED {
        let script = r#"
            source <(faulty-collectors completions bash)
            COMP_WORDS=(faulty-collectors "$@")
            COMP_CWORD=$#
            [[ $(complete -p faulty-collectors) =~ -F\ ([^ ]+) ]]
            "${BASH_REMATCH[1]}" faulty-collectors "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            printf '%s\n' "${COMPREPLY[@]}""#;
        let mut bash = Command::new("bash");
        bash.args(["-c", script, "bash"]).args(words).env("PATH", path_with(folder.path()));
        assert_eq!(stdout(&run(&mut bash)).trim(), expected, "{words:?}");
    }
}

#[test]
fn kubectl_gets_completions_of_its_plugin() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-node_annotator");
    std::os::unix::fs::symlink(faulty(&[]).get_program(), plugin).unwrap();
    let program = folder.path().join("kubectl_complete-node_annotator");
    std::fs::write(&program, run(&mut faulty(&["completions", "kubectl"])).stdout).unwrap();
    let complete = |words: &[&str]| {
        let mut bash = Command::new("bash");
        stdout(&run(bash.arg(&program).args(words).env("PATH", path_with(folder.path()))))
    };
    for (words, expected) in COMPLETED {
        assert_eq!(complete(words), format!("{expected}\n:4\n"), "{words:?}");
    }
    assert!(complete(&[""]).lines().any(|line| line == "run"));
    // Nothing of ours: files.
    assert_eq!(complete(&["status", "no-such-word"]), ":0\n");
}

fn path_with(folder: &Path) -> String {
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default())
}

#[test]
fn a_packaged_crate_knows_its_commit() {
    let packaged =
        r#"{"git": {"sha1": "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d"}, "path_in_vcs": "annotator-bin"}"#;
    assert_eq!(build_script::commit_in(packaged).as_deref(), Some("1a2b3c4d5e6f"));
    for nothing in ["", "{}", r#"{"git": {"sha1": ""}}"#] {
        assert_eq!(build_script::commit_in(nothing), None, "{nothing}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for arguments in [&["list"][..], &["completions", "bash"], &["--dry-run", "--log-level", "error"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = faulty(arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn a_full_disk_is_an_unexpected_error() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = faulty(&["list"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "error: cannot write to stdout: No space left on device (os error 28)\n");
}

#[test]
fn what_is_not_a_terminal_gets_no_color() {
    let mut command = faulty(&["--dry-run", "--collectors", "failing"]);
    for output in [run(&mut command), run(command.env("NO_COLOR", "1"))] {
        assert!(stderr(&output).contains("collector is not done"));
        assert!(!output.stderr.contains(&0x1b) && !output.stdout.contains(&0x1b));
    }
}
