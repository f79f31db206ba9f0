//! A pseudo-terminal of a width, and what a program that it shows has left on it.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use node_annotator_tests::wait;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// A program on a terminal of its own.
pub(super) struct OnTerminal {
    pub(super) child: Child,
    written: Arc<Mutex<Vec<u8>>>,
    reading: JoinHandle<()>,
}

impl OnTerminal {
    /// Starts it with stdout and stderr on the terminal.
    pub(super) fn start(mut command: Command, columns: u16) -> Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).context("no pseudo-terminal")?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size)?;
        let name = ptsname(&master, Vec::new())?;
        let slave = || -> Result<OwnedFd> {
            Ok(rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?)
        };
        command.stdin(Stdio::null()).stdout(Stdio::from(slave()?)).stderr(Stdio::from(slave()?));
        let child = command.spawn()?;
        // The command keeps its ends until it is dropped: the terminal would never be at its end.
        drop(command);
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let reading = tokio::task::spawn_blocking({
            let written = Arc::clone(&written);
            move || {
                let (mut master, mut buffer) = (File::from(master), [0; 4096]);
                // A terminal that nobody has open any more answers with an error.
                while let Ok(length @ 1..) = master.read(&mut buffer) {
                    let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
                    written.extend_from_slice(&buffer[..length]);
                }
            }
        });
        Ok(Self { child, written, reading })
    }

    /// Waits until it has shown a text.
    pub(super) async fn wait_for(&self, text: &str) -> Result<()> {
        wait::until(&format!("`{text}` on the terminal"), async || {
            let written = self.written();
            ensure!(written.contains(text), "{:#?}", shown(&written));
            Ok(())
        })
        .await
    }

    fn written(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits for its end; returns its exit code and all that it has written.
    pub(super) async fn ended(mut self) -> Result<(Option<i32>, String)> {
        let code = self.child.wait().await?.code();
        (&mut self.reading).await?;
        Ok((code, self.written()))
    }
}

/// The lines that are left on the screen: a carriage return and the sequence that clears a line are what
/// moves there.
pub(super) fn screen(written: &str) -> Vec<String> {
    let lines = written.split("\r\n").map(|line| line.rsplit("\r\u{1b}[K").next().unwrap_or(line).to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

/// The texts that one line has shown, one after the other.
pub(super) fn shown(written: &str) -> Vec<&str> {
    written.split("\r\u{1b}[K").filter(|text| !text.is_empty()).collect()
}
