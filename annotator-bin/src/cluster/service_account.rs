//! The cluster as a pod finds it: its address in the environment, token and authority in files.

use std::fs;
use std::path::Path;

use kube::Config;

use super::{ClusterError, Reason, authority};

/// Where the token is mounted.
pub(super) const FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

const HOST: &str = "KUBERNETES_SERVICE_HOST";
const PORT: &str = "KUBERNETES_SERVICE_PORT";

/// The configuration, unless nothing says that this is a pod.
pub(super) fn find(
    folder: &Path,
    variable: impl Fn(&str) -> Option<String>,
) -> Option<Result<Config, ClusterError>> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    match set(HOST) {
        Some(host) => Some(configuration(folder, &host, set(PORT).as_deref())),
        None if folder.join("token").exists() => Some(Err(ClusterError::told(
            Reason::ServiceAccount,
            format!("there is a token in `{}`, but {HOST} is not set", folder.display()),
        )
        .with_hint(
            "the kubelet of this node tells its pods no API server, as KubeEdge's does: set KUBERNETES_SERVICE_HOST and \
             KUBERNETES_SERVICE_PORT in the pod, to where the node reaches one",
        ))),
        None => None,
    }
}

fn configuration(folder: &Path, host: &str, port: Option<&str>) -> Result<Config, ClusterError> {
    let unusable = |what: String| ClusterError::told(Reason::ServiceAccount, what);
    let port = port.ok_or_else(|| unusable(format!("{PORT} is not set")))?;
    let port: u16 = port.parse().map_err(|_| unusable(format!("{PORT} is no port: `{port}`")))?;
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let address = format!("https://{host}:{port}");
    let address = address.parse().map_err(|_| unusable(format!("{HOST} is no host: `{host}`")))?;
    let mut config = Config::new(address);
    let bundle = folder.join("ca.crt");
    let read = fs::read(&bundle)
        .map_err(|error| unusable(format!("cannot read `{}`: {error}", bundle.display())))?;
    config.root_cert = Some(
        authority::certificates(&read)
            .map_err(|error| unusable(format!("`{}`: {error}", bundle.display())))?,
    );
    let token = folder.join("token");
    // Without one, this says so before anything is asked.
    fs::metadata(&token).map_err(|error| unusable(format!("cannot read `{}`: {error}", token.display())))?;
    config.auth_info.token_file = Some(token.to_string_lossy().into_owned());
    Ok(config)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use tempfile::TempDir;

    use super::*;

    fn told(found: Option<Result<Config, ClusterError>>) -> String {
        crate::trouble::Trouble::from(found.unwrap().unwrap_err()).to_string()
    }

    #[test]
    fn token_and_authority_are_enough() {
        let folder = TempDir::new().unwrap();
        let set = |host: &'static str, port: &'static str| {
            move |name: &str| Some(if name == HOST { host } else { port }.to_owned())
        };
        let find = |host, port| find(folder.path(), set(host, port));
        assert!(find("", "").is_none());
        let no_bundle = told(find("10.0.0.1", "443"));
        assert!(no_bundle.contains("ca.crt`: No such file"), "{no_bundle}");
        let authority = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.path().join("ca.crt"), authority.pem()).unwrap();
        assert!(told(find("10.0.0.1", "443")).contains("token`: No such file"));
        fs::write(folder.path().join("token"), "secret").unwrap();
        for (host, address) in [("10.0.0.1", "https://10.0.0.1:443/"), ("fd00::1", "https://[fd00::1]:443/")]
        {
            let config = find(host, "443").unwrap().unwrap();
            assert_eq!(
                (config.cluster_url.to_string().as_str(), config.root_cert.unwrap().len()),
                (address, 1)
            );
        }
        assert!(told(find("10.0.0.1", "tcp://10.0.0.1:443")).contains("is no port"));
        // Pods of KubeEdge's nodes have the token alone.
        let told = told(find("", ""));
        assert!(
            told.contains("but KUBERNETES_SERVICE_HOST is not set") && told.contains("KubeEdge"),
            "{told}"
        );
    }
}
