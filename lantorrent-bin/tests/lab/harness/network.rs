//! Hosts on one switch, as network namespaces of this machine.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::panic::resume_unwind;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::commands::{batch, try_batch};
use super::{leftovers, system};

/// Large enough for a tick of the kernel's timer, small against the file.
const SHAPE: &str = "burst 256kb latency 100ms";

/// What this process has made so far, so that every lab has a name of its own.
static LABS: AtomicUsize = AtomicUsize::new(0);

/// Hosts 0, 1, ... on one switch, each with a link of its own. Ends with all that runs on them when dropped.
pub(crate) struct Lab {
    name: String,
    hosts: usize,
}

impl Lab {
    /// With that many hosts, on links of `rate` (as `tc` has it) in both directions. None after saying that the test
    /// is skipped, where network namespaces cannot be made.
    pub(crate) fn new(hosts: usize, rate: &str) -> Option<Self> {
        leftovers::remove();
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let lab = Self { name: format!("{}{number}", leftovers::prefix()), hosts };
        // Of all that is to come this is the first that takes root and iproute2.
        system::run("ip", &["netns", "add", &lab.switch()])?;
        lab.make_hosts();
        for host in 0..hosts {
            lab.rate(host, rate);
        }
        Some(lab)
    }

    fn make_hosts(&self) {
        let hosts = || 0..self.hosts;
        batch("ip", None, &hosts().map(|host| format!("netns add {}", self.host(host))).collect::<Vec<_>>());
        let mut lines = vec!["link add br0 type bridge".to_owned(), "link set br0 up".to_owned()];
        for host in hosts() {
            lines.push(format!("link add p{host} type veth peer name eth0 netns {}", self.host(host)));
            lines.push(format!("link set p{host} master br0 up"));
        }
        batch("ip", Some(&self.switch()), &lines);
        for host in hosts() {
            let address = format!("address add {}/16 dev eth0", address(host));
            let lines = ["link set lo up".to_owned(), address, "link set eth0 up".to_owned()];
            batch("ip", Some(&self.host(host)), &lines);
        }
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.name)
    }

    fn host(&self, host: usize) -> String {
        format!("{}-{host}", self.name)
    }

    /// Takes a host's link down: the others see silence, and no reset.
    pub(crate) fn cut(&self, host: usize) {
        batch("ip", Some(&self.switch()), &[format!("link set p{host} down")]);
    }

    /// Takes it up again.
    pub(crate) fn mend(&self, host: usize) {
        batch("ip", Some(&self.switch()), &[format!("link set p{host} up")]);
    }

    /// Gives a host's link another rate, in both directions.
    pub(crate) fn rate(&self, host: usize, rate: &str) {
        let shape = |device: &str| vec![format!("qdisc replace dev {device} root tbf rate {rate} {SHAPE}")];
        batch("tc", Some(&self.host(host)), &shape("eth0"));
        batch("tc", Some(&self.switch()), &shape(&format!("p{host}")));
    }

    /// From now on a host drops what comes by TCP unless the packet has this type of service.
    pub(crate) fn take_only(&self, host: usize, type_of_service: u8) {
        // Otherwise only the first packet of a connection is looked at.
        let look_at_all = || fs::write("/proc/sys/net/ipv4/tcp_early_demux", "0");
        self.inside(host, look_at_all).expect("a setting of the host's network");
        let lines = [
            format!("rule add pref 10 tos {type_of_service:#x} iif eth0 lookup local"),
            "rule add pref 20 ipproto tcp iif eth0 blackhole".to_owned(),
            "rule add pref 30 lookup local".to_owned(),
            "rule del pref 0".to_owned(),
        ];
        batch("ip", Some(&self.host(host)), &lines);
    }

    /// Has `ip` do that on a host.
    #[allow(dead_code)] // The benchmark has no use for it.
    pub(crate) fn configure(&self, host: usize, lines: &[String]) {
        batch("ip", Some(&self.host(host)), lines);
    }

    /// Starts a program on a host.
    pub(crate) fn spawn(&self, host: usize, command: &mut Command) -> Child {
        self.inside(host, || command.spawn()).expect("starting a program on a host")
    }

    /// Does something on a host: sockets and processes made there belong to it.
    pub(crate) fn inside<T: Send>(&self, host: usize, work: impl FnOnce() -> T + Send) -> T {
        inside(&self.host(host), work)
    }

    /// The bytes that every host has got from the switch so far.
    pub(crate) fn received(&self) -> Vec<u64> {
        let text = inside(&self.switch(), || fs::read_to_string("/proc/thread-self/net/dev"));
        let text = text.expect("the counters of the switch");
        let sent = |host: usize| text.lines().find_map(|line| sent(line, &format!("p{host}")));
        (0..self.hosts).map(|host| sent(host).expect("a counter for every host")).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let mut names: Vec<String> = (0..self.hosts).map(|host| self.host(host)).collect();
        names.push(self.switch());
        // Whatever is wrong with it, there is nobody who could do more.
        let lines: Vec<String> = names.iter().map(|name| format!("netns delete {name}")).collect();
        let _ = try_batch("ip", None, &lines);
    }
}

/// Reachable inside the lab only.
pub(crate) fn address(host: usize) -> Ipv4Addr {
    let host = u8::try_from(host + 1).expect("at most 254 hosts");
    Ipv4Addr::new(10, 77, 0, host)
}

/// A namespace holds for one thread and for what it starts, so a thread of its own goes there.
fn inside<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    let there = || {
        let file = File::open(format!("/var/run/netns/{namespace}")).expect("the network namespace");
        move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), Some(LinkNameSpaceType::Network))
            .expect("entering the network namespace");
        work()
    };
    thread::scope(|scope| scope.spawn(there).join()).unwrap_or_else(|panic| resume_unwind(panic))
}

/// The bytes that `device` has sent, out of its line of /proc/net/dev.
fn sent(line: &str, device: &str) -> Option<u64> {
    let (name, counters) = line.split_once(':')?;
    (name.trim() == device).then(|| counters.split_whitespace().nth(8)?.parse().ok())?
}
