//! What the kernel says about a process: CPU time and memory.

use std::{fs, path::Path};

/// The ticks of a second in `/proc/PID/stat`. Linux shows this number to programs on every machine that we know.
const TICKS: f64 = 100.0;

/// The CPU time of a process and of its children that have ended.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cpu {
    parent: u32,
    own: f64,
    of_ended_children: f64,
}

/// Reads `/proc/PID/stat`. The name of the program, in parentheses, may contain blanks and parentheses.
fn parse_stat(stat: &str) -> Option<Cpu> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let seconds = |field: usize| Some(fields.get(field)?.parse::<f64>().ok()? / TICKS);
    Some(Cpu {
        parent: fields.get(1)?.parse().ok()?,
        own: seconds(11)? + seconds(12)?,
        of_ended_children: seconds(13)? + seconds(14)?,
    })
}

/// Reads the proportional set size, in MiB, from `/proc/PID/smaps_rollup`: memory that several processes share counts in parts.
fn parse_rollup(rollup: &str) -> Option<f64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes / 1024.0)
}

fn cpu_of(process: u32) -> Option<Cpu> {
    parse_stat(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// The CPU seconds of a process. `None` where there is no `/proc`.
#[must_use]
pub fn cpu(process: u32) -> Option<f64> {
    cpu_of(process).map(|cpu| cpu.own)
}

/// The CPU seconds of a process and all its children, also of those that have ended: of PostgreSQL with its backends.
#[must_use]
pub fn cpu_with_children(process: u32) -> Option<f64> {
    let parent = cpu_of(process)?;
    let numbers = fs::read_dir("/proc").ok()?.flatten();
    let others = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(cpu_of);
    let children: f64 = others.filter(|cpu| cpu.parent == process).map(|cpu| cpu.own).sum();
    Some(parent.own + parent.of_ended_children + children)
}

/// The memory of a process in MiB.
#[must_use]
pub fn memory(process: u32) -> Option<f64> {
    parse_rollup(&fs::read_to_string(Path::new("/proc").join(process.to_string()).join("smaps_rollup")).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_times_come_after_the_name() {
        let stat =
            "4711 (a (strange) name) S 17 4711 4711 0 -1 4194560 1024 0 0 0 250 50 1000 20 20 0 4 0 99 7 8";
        assert_eq!(parse_stat(stat), Some(Cpu { parent: 17, own: 3.0, of_ended_children: 10.2 }));
        assert_eq!(parse_stat("4711 (name) S 17"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn memory_is_the_line_pss() {
        let rollup = "55d8-7ffc ---p 00000000 00:00 0    [rollup]\nRss:  20480 kB\nPss:      16384 kB\nPss_Dirty:  1 kB\n";
        assert_eq!(parse_rollup(rollup), Some(16.0));
        assert_eq!(parse_rollup("Rss: 5 kB\n"), None);
        assert_eq!(parse_rollup("Pss: many kB\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_uses_something() {
        let own = std::process::id();
        assert!(memory(own).unwrap() > 0.1);
        assert!(cpu_with_children(own).unwrap() >= 0.0 && cpu(own).unwrap() >= 0.0);
    }
}
