//! Kubeconfig files, as kubectl takes them.
//!
//! The types and what is made of them are the client library's. Its reading is not: an error of its parser
//! shows the lines around it, tokens and keys among them, and a value that is set to nothing counts as set.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{MAIN_SEPARATOR, Path};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::Config;
use kube::config::{AuthInfo, Cluster, ExecInteractiveMode, KubeConfigOptions, Kubeconfig, KubeconfigError};
use secrecy::ExposeSecret;
use serde::de::Error as _;
use serde_json::Value;

use super::{ClusterError, Reason, authority, proxy};

/// What a kubeconfig says, as kubectl understands it, of its current context or of another one.
pub(super) async fn configuration(
    read: Result<Kubeconfig, KubeconfigError>,
    context: Option<&str>,
) -> Result<Config, ClusterError> {
    let unusable = |error: &dyn std::error::Error| ClusterError::without_answer(Reason::Kubeconfig, error);
    let mut kubeconfig = read.map_err(|error| unusable(&error))?;
    if let Some(context) = context {
        kubeconfig.current_context = Some(context.to_owned());
    }
    // The client library takes a bundle with one bad entry for none, and knows no exceptions from a proxy.
    let (bundle, proxy_url) = match current_cluster(&mut kubeconfig) {
        Some(cluster) => (take_bundle(cluster).map_err(|error| unusable(&*error))?, cluster.proxy_url.take()),
        None => (None, None),
    };
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(|error| unusable(&error))?;
    if config.cluster_url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        // The layers of the client would log it.
        let what = "there is a user name or a password in the address of the API server";
        return Err(
            ClusterError::told(Reason::Kubeconfig, what).with_hint("it belongs to the kubeconfig's user")
        );
    }
    let certificates = bundle.as_deref().map(authority::certificates).transpose();
    config.root_cert = certificates.map_err(|error| unusable(&error))?;
    let needed =
        proxy_url.or_else(|| proxy::from_environment(&config.cluster_url, |name| env::var(name).ok()));
    if needed.is_some() {
        return Err(ClusterError::told(
            Reason::Setup,
            "it would take a proxy, and proxies are not supported",
        )
        .with_hint(
            "unset `proxy-url` in the kubeconfig, or HTTPS_PROXY, or name the API server in NO_PROXY",
        ));
    }
    config.proxy_url = None;
    let user = &mut config.auth_info;
    if user.token.take_if(|token| token.expose_secret().trim().is_empty()).is_some() && is_nobody(user) {
        return Err(ClusterError::told(Reason::NoCredentials, "the token in the kubeconfig is empty"));
    }
    if let Some(plugin) = &mut user.exec {
        if let Some(cluster) = &mut plugin.cluster {
            cluster.certificate_authority_data = bundle;
        }
        // Nobody is there to be asked, and what it prints may be a credential.
        if plugin.interactive_mode != Some(ExecInteractiveMode::Always) && !io::stdin().is_terminal() {
            plugin.interactive_mode = Some(ExecInteractiveMode::Never);
        }
    }
    Ok(config)
}

fn current_cluster(kubeconfig: &mut Kubeconfig) -> Option<&mut Cluster> {
    let current = kubeconfig.current_context.as_ref()?;
    let context = kubeconfig.contexts.iter().find(|context| context.name == *current)?.context.as_ref()?;
    kubeconfig.clusters.iter_mut().find(|cluster| cluster.name == context.cluster)?.cluster.as_mut()
}

/// The authority's certificates: those in the kubeconfig before those in a file.
fn take_bundle(cluster: &mut Cluster) -> Result<Option<Vec<u8>>, Box<dyn std::error::Error>> {
    let file = cluster.certificate_authority.take();
    match (cluster.certificate_authority_data.take(), file) {
        (Some(data), _) => {
            let decoded = STANDARD.decode(data.trim());
            Ok(Some(decoded.map_err(|error| format!("`certificate-authority-data` is no base64: {error}"))?))
        }
        (None, Some(file)) => {
            let read = fs::read(&file);
            Ok(Some(read.map_err(|error| format!("cannot read `certificate-authority` `{file}`: {error}"))?))
        }
        (None, None) => Ok(None),
    }
}

/// Whether there is nothing else that tells who it is.
fn is_nobody(user: &AuthInfo) -> bool {
    let AuthInfo {
        username,
        token_file,
        client_certificate,
        client_certificate_data,
        exec,
        auth_provider,
        ..
    } = user;
    username.is_none()
        && token_file.is_none()
        && client_certificate.is_none()
        && client_certificate_data.is_none()
        && exec.is_none()
        && auth_provider.is_none()
}

/// The files that `KUBECONFIG` lists, merged; without it the one in the user's home.
pub(super) fn read(listed: Option<OsString>) -> Result<Kubeconfig, KubeconfigError> {
    let listed = listed.unwrap_or_default();
    let mut paths = env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty()).peekable();
    if paths.peek().is_none() {
        let home = env::home_dir().ok_or(KubeconfigError::FindPath)?;
        return read_from(&home.join(".kube").join("config"));
    }
    paths.try_fold(Kubeconfig::default(), |merged, path| merged.merge(read_from(&path)?))
}

/// All documents of one file, merged. What it says of other files is relative to itself.
pub(super) fn read_from(path: &Path) -> Result<Kubeconfig, KubeconfigError> {
    let text = fs::read(path)
        .and_then(decode)
        .map_err(|source| KubeconfigError::ReadConfig(source, path.to_owned()))?;
    let mut merged = parse(&text)?;
    if let Some(folder) = path.parent() {
        make_absolute(&mut merged, folder);
    }
    Ok(merged)
}

fn parse(text: &str) -> Result<Kubeconfig, KubeconfigError> {
    let wrong = |what: String| KubeconfigError::Parse(Box::new(serde_saphyr::Error::custom(what)));
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| wrong(place(&error)))?;
    documents.into_iter().try_fold(Kubeconfig::default(), |merged, mut document| {
        drop_empty(&mut document);
        let next = serde_json::from_value(document).map_err(|error| wrong(expectation(&error)))?;
        merged.merge(next)
    })
}

/// Where the YAML is wrong. The parser's own words show a picture of the lines around it, tokens and keys
/// included.
fn place(error: &serde_saphyr::Error) -> String {
    error.location().map_or_else(
        || "it is no YAML".to_owned(),
        |place| format!("it is no YAML at line {}, column {}", place.line(), place.column()),
    )
}

/// What was expected. What was found instead may be a credential.
fn expectation(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("something in it is not {expected}"),
        None if text.starts_with("missing field") => text,
        None => "it is not shaped as a kubeconfig".to_owned(),
    }
}

/// What is set to nothing counts as unset, as for kubectl. An empty token remains, to be told.
fn drop_empty(document: &mut Value) {
    for (list, item) in [("clusters", "cluster"), ("users", "user")] {
        let entries = document.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        for settings in entries.filter_map(|entry| entry.get_mut(item)?.as_object_mut()) {
            settings.retain(|name, value| name == "token" || value.as_str() != Some(""));
        }
    }
}

/// Text with any of the byte order marks that editors put before it.
fn decode(bytes: Vec<u8>) -> io::Result<String> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<_> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16(&units).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "Invalid UTF-16"))
    };
    match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => narrow(rest.to_vec()),
        _ => narrow(bytes),
    }
}

fn narrow(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "Invalid UTF-8"))
}

fn make_absolute(kubeconfig: &mut Kubeconfig, folder: &Path) {
    let absolute = |path: &mut Option<String>| {
        // An absolute path takes the folder's place by itself.
        let joined = path.as_ref().and_then(|path| folder.join(path).to_str().map(str::to_owned));
        if joined.is_some() {
            *path = joined;
        }
    };
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        absolute(&mut cluster.certificate_authority);
    }
    for user in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        let AuthInfo { client_certificate, client_key, token_file, exec, .. } = user;
        [client_certificate, client_key, token_file].into_iter().for_each(absolute);
        // A bare name is looked up in `PATH`.
        let command = exec.as_mut().map(|exec| &mut exec.command);
        if let Some(command) =
            command.filter(|name| name.as_ref().is_some_and(|name| name.contains(MAIN_SEPARATOR)))
        {
            absolute(command);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
apiVersion: v1
kind: Config
current-context: here
clusters: [{ name: here, cluster: { server: 'https://a', certificate-authority: ca.pem } }]
contexts: [{ name: here, context: { cluster: here, user: me } }]
---
users:
- name: me
  user: { client-key: /keys/me, tokenFile: token, exec: { command: bin/login, args: [] } }
- name: other
  user: { exec: { command: login } }
";

    #[test]
    fn documents_are_merged_and_paths_made_absolute() {
        let mut read = parse(TEXT).unwrap();
        make_absolute(&mut read, Path::new("/home/me"));
        let cluster = read.clusters[0].cluster.as_ref().unwrap();
        assert_eq!(cluster.certificate_authority.as_deref(), Some("/home/me/ca.pem"));
        let user = |index: usize| read.auth_infos[index].auth_info.as_ref().unwrap();
        assert_eq!(user(0).client_key.as_deref(), Some("/keys/me"));
        assert_eq!(user(0).token_file.as_deref(), Some("/home/me/token"));
        let command = |index| user(index).exec.as_ref().unwrap().command.as_deref();
        assert_eq!((command(0), command(1)), (Some("/home/me/bin/login"), Some("login")));
    }

    #[test]
    fn it_reads_what_the_library_reads() {
        for text in [TEXT, ""] {
            let [ours, theirs] = [parse(text), Kubeconfig::from_yaml(text)].map(Result::unwrap);
            assert_eq!(serde_json::to_value(ours).unwrap(), serde_json::to_value(theirs).unwrap());
        }
        assert!(parse("clusters: 1").is_err() && parse("a: [").is_err());
    }

    #[test]
    fn no_error_quotes_what_was_read() {
        let canary = "CANARY7f3a";
        let texts = [
            format!("users: [{{name: me, user: {{token: {canary}"),
            format!("users:\n- name: me\n  user:\n    token: {canary}\n   token: {canary}: {canary}\n"),
            format!("users: {canary}"),
            format!("users: [{{name: me, user: {canary}}}]"),
            format!("users: [{{name: me, user: {{exec: {canary}}}}}]"),
            format!("users: [{{name: me, user: {{exec: {{command: x, interactiveMode: {canary}}}}}}}]"),
            format!("users: [{{name: me, user: {{token: [{canary}]}}}}]"),
            format!("token: &a *{canary}"),
            format!("{canary}: {canary}\n{canary}: [}}"),
        ];
        for text in texts {
            let error = parse(&text).unwrap_err();
            let told = format!("{error} {error:?} {}", node_annotator_core::error::chain(&error));
            assert!(!told.contains("CANARY"), "{told}");
        }
    }

    #[test]
    fn nothing_is_unset_and_an_empty_token_is_told() {
        let text = "users: [{name: me, user: {token: '', tokenFile: '', client-key: ''}}]\n\
                    clusters: [{name: here, cluster: {server: x, certificate-authority: '', proxy-url: ''}}]";
        let read = parse(text).unwrap();
        let user = read.auth_infos[0].auth_info.as_ref().unwrap();
        assert!(user.token.is_some() && is_nobody(user) && user.client_key.is_none());
        let cluster = read.clusters[0].cluster.as_ref().unwrap();
        assert!(cluster.certificate_authority.is_none() && cluster.proxy_url.is_none());
    }

    #[test]
    fn marks_of_editors_are_no_text() {
        let wide =
            |unit: fn(u16) -> [u8; 2]| "\u{feff}a: ä".encode_utf16().flat_map(unit).collect::<Vec<_>>();
        for bytes in [wide(u16::to_le_bytes), wide(u16::to_be_bytes), "\u{feff}a: ä".into(), "a: ä".into()]
        {
            assert_eq!(decode(bytes).unwrap(), "a: ä");
        }
        assert!(decode(vec![0xc0]).is_err());
    }
}
