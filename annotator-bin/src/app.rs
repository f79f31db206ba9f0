//! Who a binary is: its name, its version, and the image that it comes in.

/// A binary of this library: the stock one, or one with collectors of its own.
///
/// The crates of the collectors are named once, since a crate that nothing names is not linked:
///
/// ```no_run
/// # mod my_collectors {}
/// use my_collectors as _;
/// use node_annotator::App;
///
/// fn main() -> std::process::ExitCode {
///     App::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")).main()
/// }
/// ```
///
/// Without an [`image`](Self::image()) of its own the command `manifests` asks for one: the stock image
/// lacks the collectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct App {
    /// Its name, in help, in logs of the API server and in what is generated.
    pub(crate) name: &'static str,
    /// Its version.
    pub(crate) version: &'static str,
    /// What `--version` says of it.
    pub(crate) long_version: &'static str,
    /// The image that holds it, for its manifests.
    pub(crate) image: Option<&'static str>,
}

impl App {
    /// The binary that this crate builds.
    pub(crate) const STOCK: Self = Self {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        long_version: env!("NODE_ANNOTATOR_LONG_VERSION"),
        image: Some(concat!(env!("CARGO_PKG_NAME"), ":", env!("CARGO_PKG_VERSION"))),
    };

    /// A binary without an image. Name and version are those of its package.
    ///
    /// # Panics
    ///
    /// The name or the version is not one word of visible ASCII. In a constant the compiler says so.
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        assert!(is_word(name), "the name of an app is one word of visible ASCII");
        assert!(is_word(version), "the version of an app is one word of visible ASCII");
        Self { name, version, long_version: version, image: None }
    }

    /// Names the image that holds it, by which its manifests go unless `--image` says otherwise.
    #[must_use]
    pub const fn image(mut self, image: &'static str) -> Self {
        self.image = Some(image);
        self
    }

    /// Says what `--version` prints in place of the version alone, such as `0.3.0 (1a2b3c4d5e6f)` with a
    /// commit.
    #[must_use]
    pub const fn long_version(mut self, text: &'static str) -> Self {
        self.long_version = text;
        self
    }

    /// Who it is in the API server's audit log.
    pub(crate) fn user_agent(&self) -> String {
        format!("{}/{}", self.name, self.version)
    }
}

impl Default for App {
    fn default() -> Self {
        Self::STOCK
    }
}

const fn is_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_graphic() {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word() {
        for (text, is) in
            [("rack-annotator", true), ("0.3.0+build", true), ("", false), ("a b", false), ("ä", false)]
        {
            assert_eq!(is_word(text), is, "{text}");
        }
    }

    #[cfg(feature = "operator")]
    #[test]
    fn the_stock_image_is_the_one_that_the_generator_goes_by() {
        assert_eq!(App::STOCK.image, Some(node_annotator_deploy::DEFAULT_IMAGE));
    }
}
