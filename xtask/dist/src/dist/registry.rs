//! Pushes the image to a real registry on loopback, and looks at it as a client does.

use anyhow::{Context, Result, ensure};
use node_annotator_tests::Registry;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};

use crate::image::Made;
use crate::push;

/// What is attached is found from what it is about, and a second push changes nothing.
pub(super) fn check(made: &Made) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let registry = runtime.block_on(Registry::start())?;
    let reference = format!("{}/team/node-annotator:1", registry.name());
    for _ in 0..2 {
        push::push(&reference, true, made)?;
    }
    runtime.block_on(pull(&reference.parse()?, made))
}

async fn pull(reference: &Reference, made: &Made) -> Result<()> {
    let client = Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() });
    let anonymous = RegistryAuth::Anonymous;
    let digest = client.fetch_manifest_digest(reference, &anonymous).await.context("the tag is not there")?;
    ensure!(digest == made.image.digest(), "the tag is not what was pushed");
    for manifest in made.image.manifests() {
        let by_digest = reference.clone_with_digest(manifest.digest());
        let (manifest, _) =
            client.pull_manifest_raw(&by_digest, &anonymous, &[&manifest.media_type()]).await?;
        ensure!(!manifest.is_empty(), "{by_digest} is empty");
    }
    for (what, attachment) in &made.attachments {
        let subject = reference.clone_with_digest(attachment.subject().to_owned());
        let listed = client.pull_referrers(&subject, Some(attachment.artifact_type())).await?;
        let digests: Vec<_> = listed.manifests.iter().map(|entry| entry.digest.as_str()).collect();
        ensure!(digests == [attachment.manifest().digest()], "the {what} is not attached once: {digests:?}");
    }
    Ok(())
}
