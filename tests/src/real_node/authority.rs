//! Certificates by which kubelets and API server know each other, and what the API server is told about them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use serde_json::json;

const CERTIFICATE: &str = "authority.crt";
const API_SERVER: &str = "api-server";
const EGRESS: &str = "egress.json";
const SOCKET: &str = "egress.sock";

/// Signs what a node's kubelet and the API server show to each other.
pub(super) struct Authority {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Makes the folder, only ours to read, and puts in what the API server reads when it starts.
    pub(super) fn write(folder: PathBuf) -> Result<Self> {
        let made = fs::DirBuilder::new().mode(0o700).create(&folder);
        made.with_context(|| format!("cannot create `{}`", folder.display()))?;
        let mut params = params("node-annotator-tests", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        write_private(&folder.join(CERTIFICATE), &issuer.pem())?;
        let authority = Self { folder, issuer };
        authority.sign(API_SERVER, "kube-apiserver", "system:masters")?;
        let egress = json!({
            "apiVersion": "apiserver.k8s.io/v1beta1",
            "kind": "EgressSelectorConfiguration",
            "egressSelections": [{
                "name": "cluster",
                "connection": {
                    "proxyProtocol": "HTTPConnect",
                    "transport": {"uds": {"udsName": authority.socket()}},
                },
            }],
        });
        write_private(&authority.folder.join(EGRESS), &egress.to_string())?;
        Ok(authority)
    }

    /// The certificate by which those that it signed are verified.
    pub(super) fn certificate(&self) -> PathBuf {
        self.folder.join(CERTIFICATE)
    }

    /// Where the API server asks to be connected with nodes and pods.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.join(SOCKET)
    }

    /// Paths of a certificate and its key, for a client of this name in this group.
    pub(super) fn sign(&self, file: &str, name: &str, group: &str) -> Result<(PathBuf, PathBuf)> {
        let key = KeyPair::generate().context("cannot make a key")?;
        let mut params = params(name, Some(group));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).context("cannot sign a certificate")?;
        let paths = (self.folder.join(format!("{file}.crt")), self.folder.join(format!("{file}.key")));
        write_private(&paths.0, &certificate.pem())?;
        write_private(&paths.1, &key.serialize_pem())?;
        Ok(paths)
    }

    pub(super) fn api_server_args(&self) -> Vec<String> {
        let file = |name: &str| self.folder.join(name).display().to_string();
        vec![
            format!("--client-ca-file={}", file(CERTIFICATE)),
            format!("--kubelet-client-certificate={}", file(&format!("{API_SERVER}.crt"))),
            format!("--kubelet-client-key={}", file(&format!("{API_SERVER}.key"))),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            format!("--egress-selector-config-file={}", file(EGRESS)),
        ]
    }
}

fn params(name: &str, group: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params
}

pub(super) fn write_private(path: &Path, text: &str) -> Result<()> {
    let file = fs::File::options().create(true).write(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write `{}`", path.display()))
}
