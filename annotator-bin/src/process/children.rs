//! What this process has started: credential plugins of a kubeconfig, for which the client library waits
//! without a bound.

use std::fs;

use rustix::process::{Pid, Signal, getpid, kill_process};

/// Ends all processes below this one. A plugin that hangs, and what it has started itself, would stay for
/// ever.
pub(crate) fn end() {
    let all = parents();
    let mut ended = vec![getpid()];
    let mut next = 0;
    while let Some(&parent) = ended.get(next) {
        ended.extend(all.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        next += 1;
    }
    for child in ended.into_iter().skip(1) {
        // One that ends by itself meanwhile is as good.
        let _ = kill_process(child, Signal::KILL);
    }
}

/// All processes of this machine with their parents, as far as `/proc` tells.
fn parents() -> Vec<(Pid, Pid)> {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pid = |text: &str| Pid::from_raw(text.parse().ok()?);
    folders
        .filter_map(|folder| {
            let process = pid(folder.file_name().to_str()?)?;
            let text = fs::read(folder.path().join("stat")).ok()?;
            // `4711 (any name) S 4710 …`: the name may have spaces and parentheses.
            let text = String::from_utf8_lossy(&text);
            let parent = text.rsplit_once(") ")?.1.split(' ').nth(1)?;
            Some((process, pid(parent)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::process::id;

    use super::*;

    #[test]
    fn this_process_has_the_parent_that_the_kernel_tells() {
        let own = parents().into_iter().find(|(process, _)| *process == getpid()).unwrap();
        assert_eq!(own.0.as_raw_nonzero().get().unsigned_abs(), id());
        assert_eq!(Some(own.1), rustix::process::getppid());
    }
}
