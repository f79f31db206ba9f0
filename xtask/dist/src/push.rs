//! Into a registry: blobs before manifests, manifests before the index, and then what is said of them.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use docker_credential::{CredentialRetrievalError, DockerCredential};
use node_annotator_image::{Attachment, Blob};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::manifest::ImageIndexEntry;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};

use crate::image::Made;

/// A registry that says nothing for so long is not there.
const PATIENCE: Duration = Duration::from_mins(1);

/// Pushes an image with what is attached to it.
pub(crate) fn push(reference: &str, plain_http: bool, made: &Made) -> Result<()> {
    let reference: Reference = reference.parse().with_context(|| format!("`{reference}` is no image"))?;
    if reference.digest().is_some() {
        bail!("`{reference}` has a digest, and a push sets a tag\nhint: REGISTRY/NAME:TAG");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let registry = Registry::open(reference.clone(), plain_http).await?;
        registry.push(made).await
    })
}

/// A repository in a registry.
struct Registry {
    client: Client,
    reference: Reference,
}

impl Registry {
    async fn open(reference: Reference, plain_http: bool) -> Result<Self> {
        // Another may have been chosen already, by a test beside this one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let protocol = if plain_http { ClientProtocol::Http } else { ClientProtocol::Https };
        let client = Client::new(ClientConfig {
            protocol,
            connect_timeout: Some(PATIENCE),
            read_timeout: Some(PATIENCE),
            user_agent: concat!("node-annotator/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        });
        let registry = reference.resolve_registry();
        let authenticated = client.auth(&reference, &credentials(registry)?, RegistryOperation::Push).await;
        authenticated.map_err(|error| hint(&error, registry, plain_http))?;
        Ok(Self { client, reference })
    }

    async fn push(&self, made: &Made) -> Result<()> {
        for blob in made.image.blobs() {
            self.push_blob(blob).await?;
        }
        for manifest in made.image.manifests() {
            self.push_manifest(&self.by_digest(manifest), manifest).await?;
        }
        self.push_manifest(&self.reference, made.image.index()).await?;
        eprintln!("pushed: {}", self.reference);
        for (what, attachment) in &made.attachments {
            self.attach(attachment).await.with_context(|| format!("cannot attach the {what}"))?;
            eprintln!("attached: {what}, {}", attachment.manifest().digest());
        }
        Ok(())
    }

    async fn attach(&self, attachment: &Attachment) -> Result<()> {
        for blob in attachment.blobs() {
            self.push_blob(blob).await?;
        }
        let (manifest, subject) = (attachment.manifest(), attachment.subject());
        self.push_manifest(&self.by_digest(manifest), manifest).await?;
        let listed =
            self.client.pull_referrers(&self.reference.clone_with_digest(subject.to_owned()), None).await;
        let mut list = listed.context("cannot see what is attached")?;
        if list.manifests.iter().any(|entry| entry.digest == manifest.digest()) {
            return Ok(());
        }
        // A registry that keeps no such list: clients look under this tag, and others may be on it.
        list.manifests.push(ImageIndexEntry {
            media_type: manifest.media_type(),
            digest: manifest.digest(),
            size: i64::try_from(manifest.bytes().len())?,
            platform: None,
            artifact_type: Some(attachment.artifact_type().to_owned()),
            annotations: None,
        });
        let tag = Reference::with_tag(
            self.reference.resolve_registry().to_owned(),
            self.reference.repository().to_owned(),
            subject.replace(':', "-"),
        );
        let auth = credentials(self.reference.resolve_registry())?;
        self.client.push_manifest_list(&tag, &auth, list).await.context("cannot list what is attached")?;
        Ok(())
    }

    async fn push_blob(&self, blob: &Blob) -> Result<()> {
        let digest = blob.digest();
        if self.client.blob_exists(&self.reference, &digest).await? {
            return Ok(());
        }
        let pushed = self.client.push_blob(&self.reference, blob.bytes().to_vec(), &digest).await;
        pushed.with_context(|| format!("cannot push {digest}"))?;
        Ok(())
    }

    async fn push_manifest(&self, reference: &Reference, manifest: &Blob) -> Result<()> {
        let media_type = manifest.media_type().parse().context("not a media type")?;
        let pushed = self.client.push_manifest_raw(reference, manifest.bytes().to_vec(), media_type).await;
        pushed.with_context(|| format!("cannot push `{reference}`"))?;
        Ok(())
    }

    fn by_digest(&self, blob: &Blob) -> Reference {
        self.reference.clone_with_digest(blob.digest())
    }
}

/// As `docker login`, `podman login` or a helper has them; nobody's where there are none.
fn credentials(registry: &str) -> Result<RegistryAuth> {
    match docker_credential::get_credential(registry) {
        Ok(DockerCredential::UsernamePassword(user, password)) => Ok(RegistryAuth::Basic(user, password)),
        Ok(DockerCredential::IdentityToken(token)) => Ok(RegistryAuth::Bearer(token)),
        Err(
            CredentialRetrievalError::ConfigNotFound
            | CredentialRetrievalError::NoCredentialConfigured
            | CredentialRetrievalError::ConfigReadError,
        ) => Ok(RegistryAuth::Anonymous),
        Err(error) => Err(anyhow!("cannot read the credentials for `{registry}`: {error}")),
    }
}

fn hint(error: &OciDistributionError, registry: &str, plain_http: bool) -> anyhow::Error {
    let hint = match error {
        OciDistributionError::AuthenticationFailure(_) | OciDistributionError::UnauthorizedError { .. } => {
            format!("\nhint: docker login {registry}")
        }
        _ if !plain_http && registry.starts_with("localhost") => {
            "\nhint: a registry without TLS wants --plain-http".to_owned()
        }
        _ => String::new(),
    };
    anyhow!("`{registry}` cannot be used: {error}{hint}")
}
