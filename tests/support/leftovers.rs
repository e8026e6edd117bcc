//! What an engine may leave on a machine: processes, cgroups, mounts, files. Found, named, and cleared away.

use std::fs;
use std::path::{Path, PathBuf};

/// Everything of the engine below `folders` and of the containers `ids` that is still there, in words.
pub fn find(folders: &[&Path], ids: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for pid in processes(folders, ids) {
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .unwrap_or_default()
            .replace('\0', " ");
        found.push(format!("process {pid}: {command}"));
    }
    found.extend(
        cgroups(ids)
            .iter()
            .map(|path| format!("cgroup {}", path.display())),
    );
    found.extend(
        mounts(folders)
            .iter()
            .map(|path| format!("mount {}", path.display())),
    );
    found
}

/// Kills, unmounts and removes all that [`find`] would name.
pub fn clear(folders: &[&Path], ids: &[String]) {
    for _ in 0..50 {
        let pids = processes(folders, ids);
        for pid in &pids {
            let _ = std::process::Command::new("kill")
                .args(["-9", &pid.to_string()])
                .output();
        }
        if pids.is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for path in mounts(folders).iter().rev() {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(path)
            .output();
    }
    for path in cgroups(ids).iter().rev() {
        let _ = fs::remove_dir(path);
    }
    for folder in folders {
        let _ = fs::remove_dir_all(folder);
    }
}

/// Processes that name one of the folders in their arguments, or are in the cgroup of one of the containers.
pub fn processes(folders: &[&Path], ids: &[String]) -> Vec<u32> {
    let own = std::process::id();
    let entries = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != own && belongs(*pid, folders, ids))
        .collect()
}

fn belongs(pid: u32, folders: &[&Path], ids: &[String]) -> bool {
    let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    folders
        .iter()
        .filter_map(|folder| folder.to_str())
        .any(|folder| arguments.contains(folder))
        || ids.iter().any(|id| cgroup.contains(id.as_str()))
}

/// Cgroups named after one of the containers, outermost first, in every hierarchy.
pub fn cgroups(ids: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if !ids.is_empty() {
        walk(Path::new("/sys/fs/cgroup"), 0, &mut |path| {
            let name = path.to_string_lossy();
            if ids.iter().any(|id| name.contains(id.as_str())) {
                found.push(path.to_owned());
            }
        });
    }
    found
}

fn walk(folder: &Path, depth: usize, visit: &mut impl FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && depth < 8 {
            visit(&entry.path());
            walk(&entry.path(), depth + 1, visit);
        }
    }
}

/// Mounts of this namespace below one of the folders, in the order they were made.
pub fn mounts(folders: &[&Path]) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    let points = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(PathBuf::from);
    points
        .filter(|point| folders.iter().any(|folder| point.starts_with(folder)))
        .collect()
}
