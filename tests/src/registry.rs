//! A real registry for images and charts on loopback, with its store in a folder of its own.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::binaries::{Binaries, Tool};
use crate::control_plane::component::Component;
use crate::guardian::Guardian;
use crate::ports::Port;

/// Far more than its start takes.
const START: Duration = Duration::from_secs(30);

/// A registry without TLS and without users. It ends, and its store is removed, when this is dropped.
#[derive(Debug)]
pub struct Registry {
    // In order of dropping: the server, and then its folder.
    _server: Component,
    _guardian: Guardian,
    port: Port,
}

impl Registry {
    /// Starts it. It is built when it never was.
    pub async fn start() -> Result<Self> {
        let obtain = || Binaries::obtain(None, &[Tool::Registry]);
        let binaries = tokio::task::spawn_blocking(obtain).await.context("the build panicked")??;
        let (guardian, port) = (Guardian::start()?, Port::reserve()?);
        let folder = guardian.folder();
        let configuration = serde_json::json!({
            "version": 0.1,
            "log": { "level": "warn", "accesslog": { "disabled": true } },
            "storage": { "filesystem": { "rootdirectory": folder.join("store") }, "delete": { "enabled": true } },
            "http": { "addr": format!("127.0.0.1:{}", port.number()) },
        });
        let file = folder.join("registry.json");
        // What is JSON is YAML.
        fs::write(&file, configuration.to_string()).context("cannot write the registry's configuration")?;
        let arguments = ["serve".to_owned(), file.display().to_string()];
        let (program, log) = (binaries.path(Tool::Registry), folder.join("registry.log"));
        let mut server = Component::start("registry", &program, arguments, guardian.group(), log)?;
        server.wait_for_port(port.number(), START).await?;
        Ok(Self { _server: server, _guardian: guardian, port })
    }

    /// The name of its server in references: `localhost:PORT`.
    pub fn name(&self) -> String {
        format!("localhost:{}", self.port.number())
    }
}
