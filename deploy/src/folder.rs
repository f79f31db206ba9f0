//! A folder of generated files: written as a whole or not at all, and compared with what would be written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use crate::render::is_generated;
use crate::{Error, Manifests};

/// Where files are put until all are written. The same file system, so that moving them cannot fail half-way
/// for want of room.
const STAGING: &str = ".generating";

/// How a folder differs from what would be written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// The file has other contents.
    Changed(String),
    /// The file does not exist.
    Missing(String),
    /// The file was generated once, and would not be now.
    Stale(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(name) => write!(f, "{name}: differs"),
            Self::Missing(name) => write!(f, "{name}: missing"),
            Self::Stale(name) => write!(f, "{name}: not generated any more"),
        }
    }
}

impl Manifests {
    /// Writes all files into a folder, and removes those generated earlier that are no longer among them.
    ///
    /// Files that do not carry our first line are never touched; one of them under a name of ours is an
    /// error. Until all files are written, under other names, the folder stays as it was.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        let texts = self.render()?;
        for (name, _) in &texts {
            let path = folder.join(name);
            if read(&path)?.is_some_and(|text| !is_generated(&text)) {
                return Err(Error::NotGenerated(path));
            }
        }
        let stale = stale(folder, &texts)?;

        let staging = folder.join(STAGING);
        remove_staging(&staging)?;
        fs::create_dir_all(&staging).map_err(failed("create", &staging))?;
        let staged = texts.iter().try_for_each(|(name, text)| {
            let path = staging.join(name);
            fs::write(&path, text).map_err(failed("write", &path))
        });
        if let Err(error) = staged {
            // The first error is the one that matters.
            let _ = remove_staging(&staging);
            return Err(error);
        }

        for (name, _) in &texts {
            let path = folder.join(name);
            fs::rename(staging.join(name), &path).map_err(failed("replace", &path))?;
        }
        for name in stale {
            let path = folder.join(name);
            fs::remove_file(&path).map_err(failed("remove", &path))?;
        }
        remove_staging(&staging)
    }

    /// How a folder differs from what [`write`](Self::write) would leave there, in order of name. Files that
    /// were not generated do not count.
    pub fn check(&self, folder: &Path) -> Result<Vec<Difference>, Error> {
        let texts = self.render()?;
        let mut differences: Vec<_> = stale(folder, &texts)?.into_iter().map(Difference::Stale).collect();
        for (name, text) in texts {
            match read(&folder.join(&name))? {
                None => differences.push(Difference::Missing(name)),
                Some(found) if found != text => differences.push(Difference::Changed(name)),
                Some(_) => {}
            }
        }
        differences.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(differences)
    }
}

impl Difference {
    /// The file's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Changed(name) | Self::Missing(name) | Self::Stale(name) => name,
        }
    }
}

/// Names of generated files in the folder that are not among the given ones.
fn stale(folder: &Path, texts: &[(String, String)]) -> Result<Vec<String>, Error> {
    let kept: BTreeSet<&str> = texts.iter().map(|(name, _)| name.as_str()).collect();
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("list", folder)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("list", folder))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let candidate = Path::new(&name).extension().is_some_and(|extension| extension == "yaml");
        if candidate
            && !kept.contains(name.as_str())
            && read(&entry.path())?.is_some_and(|text| is_generated(&text))
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The text of a file, invalid UTF-8 replaced, or `None` if there is no such file.
fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

fn remove_staging(staging: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(staging) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", staging)(error)),
        _ => Ok(()),
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path: PathBuf = path.to_owned();
    move |source| Error::Io { action, path, source }
}
