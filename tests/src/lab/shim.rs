//! The library that lets linux.uml start on processors with AMX, compiled when it is first needed.
//!
//! Why it is needed is told in its source, `tests/setup/uml-xsave-shim.c`.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The library to preload, or nothing on a processor that does not need it.
///
/// # Errors
/// It is needed and cannot be compiled.
pub(super) fn shim_for_this_processor() -> Result<Option<PathBuf>, String> {
    let cpuinfo =
        std::fs::read_to_string("/proc/cpuinfo").map_err(|e| format!("cannot read /proc/cpuinfo: {e}"))?;
    is_needed(&cpuinfo).then(compile_shim).transpose()
}

/// Compiles the library into the build directory, once for each version of its source.
///
/// # Errors
/// There is no C compiler, or it refuses the source.
pub(super) fn compile_shim() -> Result<PathBuf, String> {
    let directory = super::machine::build_directory()?;
    let library = directory.join(format!("uml-xsave-shim-{:016x}.so", fingerprint(SOURCE)));
    if library.exists() {
        return Ok(library);
    }
    // Written aside and renamed: two tests may get here at once.
    let aside = directory.join(format!("uml-xsave-shim.{}.so", std::process::id()));
    run_compiler(&aside)?;
    std::fs::rename(&aside, &library)
        .map_err(|e| format!("cannot rename {} to {}: {e}", aside.display(), library.display()))?;
    Ok(library)
}

fn is_needed(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .any(|line| line.starts_with("flags") && line.split_whitespace().any(|flag| flag == "amx_tile"))
}

fn run_compiler(library: &Path) -> Result<(), String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("setup/uml-xsave-shim.c");
    let output = Command::new("cc")
        .args(["-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-o"])
        .arg(library)
        .arg(&source)
        .output()
        .map_err(|e| format!("cannot run cc, which linux.uml needs on this processor: {e}; install gcc"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("cc refused {}: {}", source.display(), String::from_utf8_lossy(&output.stderr)))
}

fn fingerprint(source: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    source.hash(&mut hasher);
    hasher.finish()
}

const SOURCE: &str = include_str!("../../setup/uml-xsave-shim.c");

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    // ptrace itself is what is tested here.
    #![allow(unsafe_code)]

    use super::*;

    use std::io::Error;
    use std::process::Child;

    use nix::sys::wait::waitpid;
    use nix::unistd::Pid;

    /// Without the library the host refuses a write that is too short, with it the write lands and nothing behind it changes.
    #[test]
    fn a_write_that_is_too_short_succeeds_with_the_library_only() {
        let trace = |preloaded: Option<PathBuf>| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "lab::shim::tests::traces", "--ignored", "--nocapture"]);
            preloaded.map(|library| command.env("LD_PRELOAD", library));
            let output = command.output().unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let with = trace(Some(compile_shim().unwrap()));
        assert!(with.contains("short write: landed"), "{with}");
        let without = trace(None);
        assert!(without.contains("short write: refused"), "{without}");
    }

    #[test]
    #[ignore = "run by the test above, with and without the library"]
    fn traces() {
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        let outcome = std::panic::catch_unwind(|| write_short(&child));
        child.kill().unwrap();
        child.wait().unwrap();
        println!("short write: {}", outcome.unwrap());
    }

    fn write_short(child: &Child) -> &'static str {
        let pid = child.id() as i32;
        // SAFETY: attaching touches no memory of ours.
        assert_eq!(unsafe { libc::ptrace(libc::PTRACE_ATTACH, pid, 0, 0) }, 0, "{}", Error::last_os_error());
        waitpid(Pid::from_raw(pid), None).unwrap();
        let mut before = vec![0; 65_536];
        let length = transfer(libc::PTRACE_GETREGSET, pid, &mut before).unwrap();
        before.truncate(length);
        assert!(length > SHORT, "this processor has no state behind the first {SHORT} bytes");
        let mut given = before[..SHORT].to_vec();
        given[XMM15..XMM15 + 16].fill(0x5a);
        given[XSTATE_BV] |= 0b10;
        if transfer(libc::PTRACE_SETREGSET, pid, &mut given).is_err() {
            return "refused";
        }
        let mut after = vec![0; length];
        transfer(libc::PTRACE_GETREGSET, pid, &mut after).unwrap();
        assert_eq!(after[XMM15..XMM15 + 16], [0x5a; 16]);
        assert_eq!(after[SHORT..], before[SHORT..], "what lies behind the write changed");
        "landed"
    }

    fn transfer(request: libc::c_uint, pid: i32, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: the kernel reads or writes at most `iov_len` bytes of `buffer`, and updates `part`.
        match unsafe { libc::ptrace(request, pid, NT_X86_XSTATE, &raw mut part) } {
            0 => Ok(part.iov_len),
            _ => Err(Error::last_os_error()),
        }
    }

    /// elf.h.
    const NT_X86_XSTATE: libc::c_long = 0x202;

    /// Legacy area and header of an XSAVE area (Intel SDM vol. 1, 13.4): no component behind them.
    const SHORT: usize = 576;
    const XSTATE_BV: usize = 512;
    const XMM15: usize = 400;

    #[test]
    fn it_is_needed_only_where_the_processor_has_amx() {
        assert!(is_needed("processor: 0\nflags\t\t: fpu amx_bf16 amx_tile avx\n"));
        assert!(!is_needed("model name: amx_tile\nflags\t\t: fpu amx_tiles avx\n"));
    }
}
