//! The other programs: what they are asked, and the package that has them.

use std::fs;
use std::io::ErrorKind;
use std::process::{Command, Stdio};

use crate::said::{self, Fields};

/// Another program.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// The package of Debian, or what is to be said where there is none.
    package: &'static str,
    /// The questions, each with what reads the answer.
    questions: &'static [Question],
}

#[derive(Debug)]
struct Question {
    arguments: &'static [&'static str],
    /// Whether it is asked for each network interface that has a device.
    each_interface: bool,
    read: fn(&str) -> Option<Fields>,
}

/// What came of asking.
#[derive(Debug)]
pub(crate) enum Reply {
    Said(Fields),
    Silent(String),
}

const fn ask(arguments: &'static [&'static str], read: fn(&str) -> Option<Fields>) -> Question {
    Question { arguments, each_interface: false, read }
}

/// The order is that of the table.
pub(crate) const PROGRAMS: [Program; 16] = [
    Program { name: "lscpu", package: "util-linux", questions: &[ask(&["-J", "-B"], said::lscpu)] },
    Program {
        name: "uname",
        package: "coreutils",
        questions: &[
            ask(&["-r"], |text| said::line("release", text)),
            ask(&["-v"], |text| said::line("version", text)),
        ],
    },
    Program {
        name: "getconf",
        package: "libc-bin",
        questions: &[ask(&["PAGESIZE"], |text| said::line("PAGESIZE", text))],
    },
    Program { name: "numactl", package: "numactl", questions: &[ask(&["--hardware"], said::numactl)] },
    Program {
        name: "lsmem",
        package: "util-linux",
        questions: &[ask(&["-b", "--summary=only"], said::colons)],
    },
    Program {
        name: "swapon",
        package: "mount",
        questions: &[ask(&["--show=NAME,TYPE", "--noheadings", "--raw"], said::swapon)],
    },
    Program {
        name: "lsblk",
        package: "util-linux",
        questions: &[ask(
            &["-J", "-b", "-d", "-o", "NAME,TYPE,SIZE,RM,RO,MODEL,TRAN,SCHED,LOG-SEC"],
            said::lsblk,
        )],
    },
    Program { name: "lspci", package: "pciutils", questions: &[ask(&["-vmm", "-n", "-k"], said::lspci)] },
    Program { name: "lsusb", package: "usbutils", questions: &[ask(&[], said::lsusb)] },
    Program {
        name: "ethtool",
        package: "ethtool",
        questions: &[Question { arguments: &["-i"], each_interface: true, read: said::colons }],
    },
    Program {
        name: "systemd-detect-virt",
        package: "systemd",
        questions: &[ask(&["--vm"], |text| said::line("vm", text))],
    },
    Program {
        name: "dmidecode",
        package: "dmidecode",
        questions: &[ask(&["-q", "-t", "0,1,2,3"], said::dmidecode)],
    },
    Program {
        name: "sysctl",
        package: "procps",
        questions: &[ask(
            &[
                "-e",
                "vm.max_map_count",
                "kernel.threads-max",
                "kernel.pid_max",
                "fs.inotify.max_user_instances",
                "fs.inotify.max_user_watches",
                "crypto.fips_enabled",
            ],
            said::equals,
        )],
    },
    Program {
        name: "facter",
        package: "facter",
        // By name: among all facts are those of clouds, which come from a network.
        questions: &[ask(
            &["-j", "kernelrelease", "processors", "os", "dmi", "disks", "virtual", "fips_enabled"],
            said::json,
        )],
    },
    Program {
        name: "ohai",
        package: "ohai",
        questions: &[ask(&["cpu"], said::json), ask(&["kernel/release"], said::ohai_text)],
    },
    Program {
        name: "osqueryi",
        package: "none in Debian; osquery.io has one",
        questions: &[ask(
            &[
                "--json",
                "select cpu_brand, cpu_sockets, cpu_physical_cores, cpu_microcode, hardware_vendor, hardware_model, \
                 board_vendor, board_model from system_info",
            ],
            said::json,
        )],
    },
];

impl Program {
    /// Asks all questions. A question that is not answered leaves its fields out.
    pub(crate) fn ask(&self) -> Reply {
        let mut fields = Fields::new();
        let mut reason = None;
        for question in self.questions {
            let interfaces = if question.each_interface { interfaces() } else { vec![String::new()] };
            for interface in interfaces {
                match self.answer(question, &interface) {
                    Ok(answer) => fields.extend(answer),
                    Err(why) => reason = Some(why),
                }
            }
        }
        match (fields.is_empty(), reason) {
            (true, reason) => {
                Reply::Silent(reason.unwrap_or_else(|| "has nothing to ask about here".to_owned()))
            }
            (false, _) => Reply::Said(fields),
        }
    }

    fn answer(&self, question: &Question, interface: &str) -> Result<Fields, String> {
        let mut command = Command::new(self.name);
        command.args(question.arguments).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        if question.each_interface {
            command.arg(interface);
        }
        let output = command.output().map_err(|error| match error.kind() {
            ErrorKind::NotFound => format!("not installed (Debian package: {})", self.package),
            _ => format!("cannot be started: {error}"),
        })?;
        let answer = (question.read)(&String::from_utf8_lossy(&output.stdout));
        let fields = answer.ok_or_else(|| {
            let said = String::from_utf8_lossy(&output.stderr);
            match said.lines().next() {
                Some(why) => format!("has no answer here: {}", why.trim()),
                None => "has nothing to say here".to_owned(),
            }
        })?;
        Ok(if question.each_interface {
            fields.into_iter().map(|(name, value)| (format!("{interface}.{name}"), value)).collect()
        } else {
            fields
        })
    }
}

/// Network interfaces that have a device behind them.
fn interfaces() -> Vec<String> {
    let entries = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .filter(|entry| entry.path().join("device").exists())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_says_which_package_has_it() {
        const ABSENT: Program = Program {
            name: "no-such-program",
            package: "no-such-package",
            questions: &[ask(&[], |text| said::line("it", text))],
        };
        let Reply::Silent(reason) = ABSENT.ask() else { panic!("it said something") };
        assert_eq!(reason, "not installed (Debian package: no-such-package)");
    }
}
