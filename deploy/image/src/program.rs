//! The program of an image: an executable that needs no other file.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use object::elf::{ET_DYN, ET_EXEC};
use object::read::elf::{ElfFile, FileHeader, ProgramHeader as _};
use object::{Architecture, Endianness, File, Object as _};
use oci_spec::image::Arch;

/// An executable that was linked statically: nothing else is in the image, neither a dynamic loader nor a C
/// library.
#[derive(Clone, Debug)]
pub struct Program {
    name: String,
    architecture: Arch,
    bytes: Vec<u8>,
}

impl Program {
    /// Reads an executable; it keeps its file name.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let shown = path.display();
        let bytes = fs::read(path).with_context(|| format!("cannot read `{shown}`"))?;
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("`{shown}` has no name in UTF-8"))?;
        Self::new(name, bytes).with_context(|| format!("`{shown}` cannot be the program of an image"))
    }

    /// An executable with the name that it gets in the root folder of the image.
    pub fn new(name: &str, bytes: Vec<u8>) -> Result<Self> {
        ensure!(!name.is_empty() && !name.contains(['/', '\0']), "`{name}` is not a file name");
        let architecture = match File::parse(&bytes[..]) {
            Ok(File::Elf32(file)) => static_architecture(&file)?,
            Ok(File::Elf64(file)) => static_architecture(&file)?,
            Ok(_) => bail!("it is not an executable of Linux (ELF)"),
            Err(error) => bail!("it is not an executable of Linux (ELF): {error}"),
        };
        Ok(Self { name: name.to_owned(), architecture, bytes })
    }

    /// The name of its file in the root folder of the image.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The executable itself.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it was built for.
    pub(crate) fn architecture(&self) -> Arch {
        self.architecture.clone()
    }
}

fn static_architecture<Header>(file: &ElfFile<'_, Header>) -> Result<Arch>
where
    Header: FileHeader<Endian = Endianness>,
{
    let endian = file.endian();
    let kind = file.elf_header().e_type(endian);
    // A library and an executable that may lie anywhere have the same type: the library has no first
    // instruction.
    let is_executable = [ET_EXEC, ET_DYN].contains(&kind) && file.entry() != 0;
    ensure!(is_executable, "it is not an executable: a library or an object file has no place to start");
    for header in file.elf_program_headers() {
        let loader =
            header.interpreter(endian, file.data()).map_err(|error| anyhow!("a broken ELF file: {error}"))?;
        if let Some(loader) = loader {
            bail!(
                "it is not static: it asks for the dynamic loader `{}`, and the image holds no other file\n\
                 hint: build it with RUSTFLAGS=-Ctarget-feature=+crt-static cargo build --release --target <triple>",
                String::from_utf8_lossy(loader)
            );
        }
    }
    architecture(file.architecture(), file.endianness())
}

fn architecture(architecture: Architecture, endianness: Endianness) -> Result<Arch> {
    Ok(match (architecture, endianness) {
        (Architecture::X86_64, _) => Arch::Amd64,
        (Architecture::I386, _) => Arch::i386,
        (Architecture::Aarch64, Endianness::Little) => Arch::ARM64,
        (Architecture::Arm, Endianness::Little) => Arch::ARM,
        (Architecture::PowerPc64, Endianness::Little) => Arch::PowerPC64le,
        (Architecture::Riscv64, _) => Arch::RISCV64,
        (Architecture::LoongArch64, _) => Arch::LoongArch64,
        (Architecture::S390x, _) => Arch::s390x,
        (other, _) => bail!("no node of Kubernetes has its architecture, {other:?}"),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Where the header has the type, the machine and the first address; 64 bits, little-endian.
    const TYPE: usize = 16;
    const MACHINE: usize = 18;
    const ENTRY: usize = 24;

    /// The smallest file that is an executable: a header and nothing to load.
    pub(crate) fn executable() -> Vec<u8> {
        let mut bytes = vec![0; 64];
        // Magic, 64 bits, little-endian, version 1.
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        bytes[TYPE] = 2;
        bytes[MACHINE] = 62;
        bytes[20] = 1;
        bytes[ENTRY] = 1;
        // Sizes of this header, of a program header, of a section header.
        (bytes[52], bytes[54], bytes[58]) = (64, 56, 64);
        bytes
    }

    pub(crate) fn executable_for_arm64() -> Vec<u8> {
        let mut bytes = executable();
        bytes[MACHINE] = 183;
        bytes
    }

    fn message(bytes: Vec<u8>) -> String {
        format!("{:#}", Program::new("mine", bytes).unwrap_err())
    }

    #[test]
    fn a_static_executable_is_a_program() {
        let program = Program::new("mine", executable()).unwrap();
        assert_eq!((program.name(), program.architecture()), ("mine", Arch::Amd64));
        assert_eq!(Program::new("mine", executable_for_arm64()).unwrap().architecture(), Arch::ARM64);
    }

    #[test]
    #[cfg(all(target_os = "linux", not(target_feature = "crt-static")))]
    fn an_executable_that_needs_a_loader_is_refused() {
        // This one does.
        let error = format!("{:#}", Program::read(std::env::current_exe().unwrap()).unwrap_err());
        assert!(error.contains("it is not static: it asks for the dynamic loader `/"), "{error}");
        assert!(error.contains("hint: build it with RUSTFLAGS=-Ctarget-feature=+crt-static"), "{error}");
    }

    #[test]
    fn what_is_no_executable_is_refused() {
        for text in [&b"#!/bin/sh\n"[..], b"", b"\x7fELF"] {
            assert!(message(text.to_vec()).starts_with("it is not an executable of Linux (ELF)"), "{text:?}");
        }
        let mut library = executable();
        (library[TYPE], library[ENTRY]) = (3, 0);
        assert!(message(library).starts_with("it is not an executable: a library"));
        let mut unknown = executable();
        (unknown[MACHINE], unknown[MACHINE + 1]) = (0xf7, 0);
        assert!(message(unknown).starts_with("no node of Kubernetes has its architecture"));
    }

    #[test]
    fn a_path_is_no_name() {
        for name in ["", "bin/mine", "/mine"] {
            let error = Program::new(name, executable()).unwrap_err().to_string();
            assert_eq!(error, format!("`{name}` is not a file name"));
        }
    }
}
