//! Kubeconfig files: read as the client library reads them, but decoded in two steps.
//!
//! The library has its YAML parser decode every type of a kubeconfig by itself, and each of them is a copy of
//! that parser's code: a twentieth of the program. Here the parser makes one plain value, and JSON's much
//! smaller code makes the types of it, as kubectl does it.

use std::env;
use std::fs;
use std::io;
use std::path::{MAIN_SEPARATOR, Path};

use kube::config::{AuthInfo, Kubeconfig, KubeconfigError};
use serde::de::Error as _;
use serde_json::Value;

/// The files that `KUBECONFIG` lists, merged; without it the one in the user's home.
pub(super) fn read() -> Result<Kubeconfig, KubeconfigError> {
    let listed = env::var_os("KUBECONFIG").unwrap_or_default();
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
    let wrong = |error| KubeconfigError::Parse(Box::new(error));
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(wrong)?;
    documents.into_iter().try_fold(Kubeconfig::default(), |merged, document| {
        let next = serde_json::from_value(document);
        merged.merge(next.map_err(|error| wrong(serde_saphyr::Error::custom(error)))?)
    })
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
