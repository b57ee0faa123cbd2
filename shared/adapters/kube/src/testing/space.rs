//! The namespaces of a cluster: its own network, mounts and processes. When the first process ends, all others do.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use super::cgroup::Cgroup;
use super::link::Link;
use super::programs::{Programs, STATE};

/// What the first process does before it waits: what the cluster writes outside its own folder comes to lie in memory.
/// The kernel's view of the other namespaces' links stays in `/sys`, with the control groups, which it must see.
const PREPARE: &str = r#"
set -e
mount --make-rshared /
mount -t tmpfs -o mode=755 longshore /run
mkdir "$HOME"
for folder in /var/lib /var/log; do
  mkdir -p "$HOME/over$folder/upper" "$HOME/over$folder/work"
  mount -t overlay longshore \
    -o "lowerdir=$folder,upperdir=$HOME/over$folder/upper,workdir=$HOME/over$folder/work" "$folder"
done
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
echo ready
exec "$0" pause -
"#;

/// Namespaces with nothing in them yet but a first process. It waits for the end of its input, and so for ours.
pub(super) struct Space {
    first: Child,
    /// Whose end is the end of all.
    input: Option<ChildStdin>,
    programs: Programs,
    // In the order in which they go: the link's name is free for the next when all else of its name is gone.
    cgroup: Cgroup,
    link: Link,
    /// Keeps the link until it is our turn to remove it.
    _network: File,
}

impl Space {
    /// Opens them.
    pub(super) fn open(programs: Programs) -> Self {
        let mut unshare = Command::new("unshare");
        unshare.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        unshare.args(["--propagation", "private", "sh", "-c", PREPARE]).arg(&programs.service);
        unshare.env_clear().envs(programs.environment()).current_dir("/");
        let mut first = unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = first.stdin.take();
        let said = BufReader::new(first.stdout.take().unwrap()).lines().next();
        if !matches!(&said, Some(Ok(line)) if line == "ready") {
            let _ = (first.kill(), first.wait());
            panic!("the namespaces of a cluster cannot be prepared: what their shell says is above");
        }
        let network = File::open(format!("/proc/{}/ns/net", first.id())).unwrap();
        let link = Link::make(first.id());
        let cgroup = Cgroup::make(link.name());
        let space = Self { first, input, programs, cgroup, link, _network: network };
        let mut shell = space.command("sh");
        let said = shell.args(["-c", &space.link.other_side()]).output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        space
    }

    /// A program within all of the namespaces.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let pid = self.first.id();
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={pid}")).args(["--net", "--mount"]);
        // The namespace of its children: its own is the machine's.
        command.arg(format!("--pid=/proc/{pid}/ns/pid_for_children")).arg("--wd=/").arg("--").arg(program);
        command.env_clear().envs(self.programs.environment()).stdin(Stdio::null());
        command
    }

    /// A program that sees the machine's files and processes, and the cluster's network.
    pub(super) fn in_network(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.first.id())).arg("--").arg(program);
        command
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    pub(super) fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    pub(super) fn programs(&self) -> &Programs {
        &self.programs
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // The kernel ends all others before the first process is gone, and `unshare` waits for that.
        drop(self.input.take());
        let _ = self.first.wait();
    }
}

/// A path in [`STATE`].
pub(super) fn state(name: &str) -> String {
    format!("{STATE}/{name}")
}
