//! Whether this machine can load a program: its processor, and its loader or interpreter.
//!
//! After elf(5) and execve(2); only what is needed to refuse by name.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::image::platform::Unfit;

/// The most that is read of a loader's path, and the longest `#!` line that the kernel looks at, in bytes.
const LONGEST: u64 = 256;
/// The program header that names the loader.
const PT_INTERP: u32 = 3;
/// The processors' numbers in ELF.
const MACHINES: [(&str, u16); 4] = [("x86_64", 62), ("aarch64", 183), ("riscv64", 243), ("arm", 40)];

/// Refuses a program that this machine cannot load; `name` is how the image calls it.
pub(crate) fn check(name: &str, program: &Path) -> Result<(), Unfit> {
    let read = || -> io::Result<Needs> { needs(&mut File::open(program)?) };
    let needs = read().map_err(|source| Unfit::Io { path: name.to_owned(), source })?;
    if needs.machine.is_some_and(|machine| !is_ours(machine)) {
        return Err(Unfit::Machine(name.to_owned()));
    }
    match needs.loader {
        Some(loader) if !Path::new(&loader).exists() => {
            Err(Unfit::Loader { program: name.to_owned(), loader })
        }
        _ => Ok(()),
    }
}

fn is_ours(machine: u16) -> bool {
    let ours = MACHINES.iter().find(|(arch, _)| *arch == std::env::consts::ARCH);
    ours.is_none_or(|(_, number)| *number == machine)
}

/// What a program needs of the machine.
#[derive(Debug, Default, PartialEq)]
struct Needs {
    machine: Option<u16>,
    loader: Option<String>,
}

fn needs(file: &mut (impl Read + Seek)) -> io::Result<Needs> {
    let mut head = Vec::new();
    file.by_ref().take(LONGEST).read_to_end(&mut head)?;
    if let Some(line) = head.strip_prefix(b"#!") {
        return Ok(Needs { machine: None, loader: interpreter(line) });
    }
    let is_elf64_little = head.starts_with(b"\x7fELF\x02\x01") && head.len() >= 64;
    if !is_elf64_little {
        return Ok(Needs::default());
    }
    let machine = Some(u16_at(&head, 18));
    Ok(Needs { machine, loader: loader(file, &head)? })
}

/// The interpreter of a `#!` line.
fn interpreter(line: &[u8]) -> Option<String> {
    let line = line.split(|byte| *byte == b'\n').next()?;
    String::from_utf8_lossy(line).split_whitespace().next().map(str::to_owned)
}

/// The loader that an ELF program names, if it is not static.
fn loader(file: &mut (impl Read + Seek), head: &[u8]) -> io::Result<Option<String>> {
    let (offset, size, count) = (u64_at(head, 32), u16_at(head, 54), u16_at(head, 56));
    for index in 0..u64::from(count) {
        let mut header = [0; 56];
        file.seek(SeekFrom::Start(offset.saturating_add(index * u64::from(size))))?;
        file.read_exact(&mut header)?;
        if u32_at(&header, 0) == PT_INTERP {
            file.seek(SeekFrom::Start(u64_at(&header, 8)))?;
            let mut path = Vec::new();
            file.take(u64_at(&header, 32).min(LONGEST)).read_to_end(&mut path)?;
            return Ok(Some(String::from_utf8_lossy(&path).trim_end_matches('\0').to_owned()));
        }
    }
    Ok(None)
}

fn bytes<const N: usize>(from: &[u8], at: usize) -> [u8; N] {
    from.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
}

fn u16_at(from: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes(from, at))
}

fn u32_at(from: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes(from, at))
}

fn u64_at(from: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes(from, at))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// An ELF file with one program header, which names `loader`.
    fn elf(machine: u16, loader: &str) -> Vec<u8> {
        let mut elf = vec![0; 64 + 56];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[18..20].copy_from_slice(&machine.to_le_bytes());
        elf[32..40].copy_from_slice(&64u64.to_le_bytes());
        elf[54..56].copy_from_slice(&56u16.to_le_bytes());
        elf[56..58].copy_from_slice(&1u16.to_le_bytes());
        elf[64..68].copy_from_slice(&PT_INTERP.to_le_bytes());
        elf[72..80].copy_from_slice(&120u64.to_le_bytes());
        elf[96..104].copy_from_slice(&(loader.len() as u64 + 1).to_le_bytes());
        elf.extend(loader.bytes().chain([0]));
        elf
    }

    fn fault(content: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        check("/app", file.path()).unwrap_err().to_string()
    }

    #[test]
    fn a_missing_loader_is_named() {
        let (_, machine) = MACHINES.iter().find(|(arch, _)| *arch == std::env::consts::ARCH).unwrap();
        let loader = "/lib/ld-musl-none.so.1";
        assert_eq!(
            fault(&elf(*machine, loader)),
            format!("/app needs {loader}, which this machine does not have")
        );
        assert_eq!(fault(b"#! /opt/none -x\n"), "/app needs /opt/none, which this machine does not have");
    }

    #[test]
    fn a_program_for_another_processor_is_refused() {
        assert_eq!(fault(&elf(2, "/lib/ld.so")), "/app is a program for another processor");
    }

    #[test]
    fn this_program_can_be_loaded() {
        check("/app", Path::new("/proc/self/exe")).unwrap();
        check("/app", Path::new("/bin/sh")).unwrap();
    }

    #[test]
    fn a_damaged_head_is_an_error_and_no_panic() {
        let mut damaged = elf(62, "/lib/ld.so");
        damaged[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(needs(&mut Cursor::new(damaged)).is_err());
        assert_eq!(needs(&mut Cursor::new(b"\x7fELF\x02\x01")).unwrap(), Needs::default());
    }
}
