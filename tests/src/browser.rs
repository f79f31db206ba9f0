//! A browser without a window, where one is installed.

use std::path::Path;

use tokio::process::Command;

/// Browsers that can be asked for a picture of a page, or for what it has become.
pub const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// The first that is installed; it keeps its files in a folder.
pub fn command(folder: &Path) -> Option<Command> {
    let found = |browser: &&str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(browser).is_file())
    };
    let mut command = Command::new(BROWSERS.into_iter().find(found)?);
    command
        .args(["--headless", "--disable-gpu"])
        // It shows pages of ours that load nothing, and does not start as root otherwise.
        .arg("--no-sandbox")
        .arg(format!("--user-data-dir={}", folder.join("browser").display()))
        .kill_on_drop(true);
    Some(command)
}
