//! Hosts on one switch, as network namespaces of this machine.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Hosts 0, 1, ... of 10.77.0.0/16 without a route to anywhere else. Gone when dropped.
pub(crate) struct Lab {
    name: String,
    hosts: usize,
}

impl Lab {
    /// None after saying that the test is skipped, where network namespaces cannot be made.
    pub(crate) fn new(hosts: usize) -> Option<Self> {
        static LABS: AtomicUsize = AtomicUsize::new(0);
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let lab = Self { name: format!("lts{}-{number}", std::process::id()), hosts };
        if !batch(None, &[format!("netns add {}", lab.switch())]) {
            assert!(std::env::var_os("CI").is_none(), "network namespaces take root and iproute2");
            println!("skipped: network namespaces take root and iproute2");
            return None;
        }
        let mut lines: Vec<String> = (0..hosts).map(|host| format!("netns add {}", lab.host(host))).collect();
        assert!(batch(None, &lines));
        lines = vec!["link add br0 type bridge mcast_snooping 0".into(), "link set br0 up".into()];
        for host in 0..hosts {
            lines.push(format!("link add p{host} type veth peer name eth0 netns {}", lab.host(host)));
            lines.push(format!("link set p{host} master br0 up"));
        }
        assert!(batch(Some(&lab.switch()), &lines));
        for host in 0..hosts {
            let lines = [
                "link set lo up".to_owned(),
                format!("address add 10.77.0.{}/16 dev eth0", host + 1),
                "link set eth0 up".to_owned(),
            ];
            assert!(batch(Some(&lab.host(host)), &lines));
        }
        Some(lab)
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.name)
    }

    fn host(&self, host: usize) -> String {
        format!("{}-{host}", self.name)
    }

    /// Leaves a host with the addresses of IPv6 that it has given itself.
    pub(crate) fn without_v4(&self, host: usize) {
        assert!(batch(Some(&self.host(host)), &[format!("address delete 10.77.0.{}/16 dev eth0", host + 1)]));
    }

    /// Does something on a host: sockets and threads that are made there belong to it.
    pub(crate) fn inside<T: Send>(&self, host: usize, work: impl FnOnce() -> T + Send) -> T {
        let path = format!("/var/run/netns/{}", self.host(host));
        let there = || {
            let file = File::open(path).expect("the network namespace");
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("entering the network namespace");
            work()
        };
        thread::scope(|scope| scope.spawn(there).join()).unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let mut names: Vec<String> = (0..self.hosts).map(|host| self.host(host)).collect();
        names.push(self.switch());
        batch(None, &names.iter().map(|name| format!("netns delete {name}")).collect::<Vec<_>>());
    }
}

/// Runs the lines as one batch of `ip`, in a namespace if one is named. Whether all went well.
fn batch(namespace: Option<&str>, lines: &[String]) -> bool {
    let mut command = Command::new("ip");
    if let Some(namespace) = namespace {
        command.args(["-n", namespace]);
    }
    command.args(["-force", "-batch", "-"]).stdin(Stdio::piped());
    let Ok(mut child) = command.spawn() else { return false };
    let text = lines.join("\n") + "\n";
    // One that ends early says why on its standard error.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(text.as_bytes()));
    child.wait().is_ok_and(|status| status.success())
}
