//! Hosts that are known by names with several addresses, of which the first is of no use, and by addresses of a single link.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::folder::Folder;
use crate::harness::network::{Lab, address};
use crate::harness::node::PORT;
use crate::harness::program::Program;
use crate::harness::stage::make_source;
use crate::harness::turn::Turn;
use crate::harness::{SCALE, Scale};

const SMALL: Scale = Scale { nodes: 4, size: 8 << 20, ..SCALE };
const LIMIT: Duration = Duration::from_secs(120);

/// Killed and reaped when dropped.
struct Process(Child);

impl Process {
    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// What stands on the hosts. The fields are in the order in which they have to go.
struct Stage {
    nodes: Vec<Process>,
    lab: Lab,
    folder: Folder,
}

impl Stage {
    /// None after saying that the test is skipped.
    fn set() -> Option<Self> {
        let lab = Lab::new(SMALL.nodes + 1, SMALL.rate)?;
        let folder = Folder::new(SMALL)?;
        make_source(folder.path(), SMALL.size);
        Some(Self { nodes: Vec::new(), lab, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where a node has the file.
    fn file(&self, host: usize) -> PathBuf {
        self.path(&format!("node-{host}")).join("image")
    }

    /// The program on a host whose names are those of the file `hosts`.
    fn command(&self, name: &str) -> Command {
        let hosts = self.path("hosts");
        if !hosts.exists() {
            fs::write(&hosts, "127.0.0.1 localhost\n").expect("names of hosts");
        }
        let mut command = Command::new("unshare");
        // Others see the names that they had.
        command.args(["--mount", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\""]).arg(hosts);
        let program = Program::new(self.folder.path(), name, "").command();
        command.arg(program.get_program()).args(program.get_args());
        command
    }

    /// Starts a node on each host, the odd ones on an event loop, and waits until they listen.
    fn start_nodes(&mut self) {
        for host in 1..=SMALL.nodes {
            let name = format!("node-{host}");
            fs::create_dir_all(self.path(&name)).expect("a folder for a node");
            let mut command = self.command(&name);
            command.args(["serve", "--until-eof", "--listen", &format!("[::]:{PORT}"), "--root"]);
            command.arg(self.path(&name)).args((host % 2 == 1).then_some("--event-loop"));
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = self.lab.spawn(host, &mut command);
            let mut line = String::new();
            let output = child.stdout.take().expect("its standard output");
            BufReader::new(output).read_line(&mut line).expect("what a node says");
            self.nodes.push(Process(child));
            assert!(line.starts_with("listening on "), "node {host} says {line:?}");
        }
    }

    fn sender(&self, options: &[&str], hosts: &[String]) -> Command {
        let mut command = self.command("sender");
        command.args(["send", "--json"]).args(options).arg(self.path("source"));
        for (place, host) in hosts.iter().enumerate() {
            command.arg(format!("{host}:{PORT}{}", self.file(place + 1).display()));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    /// Sends the file to all hosts, under these names. Returns whether all have it, and what was printed.
    fn send(&self, options: &[&str], hosts: &[String]) -> (bool, String) {
        finish(self.lab.spawn(0, &mut self.sender(options, hosts)))
    }

    fn assert_has(&self, host: usize) {
        let same =
            fs::read(self.file(host)).is_ok_and(|found| found == fs::read(self.path("source")).unwrap());
        assert!(same, "node {host} has not got the file");
    }

    fn inside<T: Send>(&self, host: usize, work: impl FnOnce() -> T + Send) -> T {
        self.lab.inside(host, work)
    }
}

fn finish(child: Child) -> (bool, String) {
    let begun = Instant::now();
    let output = child.wait_with_output().expect("a sender");
    assert!(begun.elapsed() < LIMIT, "it takes too long");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let limit = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < limit, "still waiting until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The name of each node has an address of IPv6 at which nothing answers, and then its own.
fn with_dead_addresses(stage: &Stage) -> Vec<String> {
    let names: Vec<String> = (1..=SMALL.nodes).map(|host| format!("n{host}")).collect();
    let lines = names
        .iter()
        .enumerate()
        .map(|(place, name)| format!("2001:db8:77::99 {name}\n{} {name}\n", address(place + 1)));
    fs::write(stage.path("hosts"), lines.collect::<String>()).expect("names of hosts");
    for host in 0..=SMALL.nodes {
        let lines = [
            format!("address add 2001:db8:77::{host}/64 dev eth0 nodad"),
            "neighbor replace 2001:db8:77::99 lladdr 02:00:00:00:00:99 nud permanent dev eth0".to_owned(),
        ];
        stage.lab.configure(host, &lines);
    }
    names
}

#[test]
fn a_first_address_that_is_dead_costs_nobody_the_file() {
    let _turn = Turn::take();
    let Some(mut stage) = Stage::set() else { return };
    let names = with_dead_addresses(&stage);
    stage.start_nodes();
    for options in [&[][..], &["--no-check"], &["--degree", "2"]] {
        let (is_good, output) = stage.send(options, &names);
        assert!(is_good, "{options:?}: {output}");
        for host in 1..=SMALL.nodes {
            stage.assert_has(host);
            fs::remove_file(stage.file(host)).expect("the file of a node");
        }
    }
}

#[test]
fn a_chain_is_repaired_over_names_whose_first_address_is_dead() {
    let _turn = Turn::take();
    let Some(mut stage) = Stage::set() else { return };
    let names = with_dead_addresses(&stage);
    stage.start_nodes();
    let sending = stage.lab.spawn(0, &mut stage.sender(&["--limit", "2M"], &names));
    let partial = stage.path("node-4").join("image.lantorrent");
    wait_until("the last node has begun", || fs::metadata(&partial).is_ok_and(|found| found.len() > 1 << 20));
    stage.nodes[1].end();
    let (is_good, output) = finish(sending);
    assert!(!is_good, "the second node is gone: {output}");
    for host in [1, 3, 4] {
        stage.assert_has(host);
    }
}

/// The link-local address of each host, and the number of the interface that the source has it behind.
fn link_local(stage: &Stage) -> (Vec<Ipv6Addr>, u32) {
    for host in 0..=SMALL.nodes {
        // Or it would take a while until the address may be used.
        let setting = "/proc/sys/net/ipv6/conf/eth0/accept_dad";
        stage.inside(host, || fs::write(setting, "0")).expect("a setting of the host's network");
        let mut lines = vec!["link set eth0 down".to_owned()];
        if host % 2 == 1 {
            // These hosts call it otherwise, and have another one too, behind which there is nobody.
            lines.push("link set eth0 name ens3".to_owned());
            lines.push("link add ens8 type veth peer name ens9".to_owned());
            lines.push("link set ens8 up".to_owned());
            lines.push("link set ens9 up".to_owned());
        }
        let name = if host % 2 == 1 { "ens3" } else { "eth0" };
        lines.push(format!("link set {name} up"));
        stage.lab.configure(host, &lines);
    }
    let found = |host: usize| {
        let read = || fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default();
        let text = stage.inside(host, read);
        text.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let address = Ipv6Addr::from(u128::from_str_radix(fields[0], 16).ok()?);
            let index = u32::from_str_radix(fields[1], 16).ok()?;
            let is_it = address.is_unicast_link_local() && ["eth0", "ens3"].contains(&fields[5]);
            is_it.then_some((address, index))
        })
    };
    wait_until("all have a link-local address", || (0..=SMALL.nodes).all(|host| found(host).is_some()));
    let addresses = (1..=SMALL.nodes).filter_map(|host| Some(found(host)?.0)).collect();
    (addresses, found(0).expect("that of the source").1)
}

#[test]
fn hosts_without_any_other_address_are_reached_over_their_link() {
    let _turn = Turn::take();
    let Some(mut stage) = Stage::set() else { return };
    let (addresses, index) = link_local(&stage);
    stage.start_nodes();
    for zone in ["eth0".to_owned(), index.to_string()] {
        let hosts: Vec<String> = addresses.iter().map(|address| format!("[{address}%{zone}]")).collect();
        let (is_good, output) = stage.send(&[], &hosts);
        assert!(is_good, "{output}");
        // As it was given.
        assert!(output.contains(&format!("\"{}%{zone}\"", addresses[0])), "{output}");
        for host in 1..=SMALL.nodes {
            stage.assert_has(host);
            fs::remove_file(stage.file(host)).expect("the file of a node");
        }
    }
    for (zone, why) in [("%eth7", "no interface eth7"), ("", "%eth0")] {
        let (is_good, output) = stage.send(&[], &[format!("[{}{zone}]", addresses[0])]);
        assert!(!is_good && output.contains(why), "{output}");
    }
}

#[test]
fn a_first_address_at_which_nothing_listens_is_passed_over_quietly() {
    let _turn = Turn::take();
    let Some(mut stage) = Stage::set() else { return };
    fs::write(stage.path("hosts"), "::1 localhost\n127.0.0.1 localhost\n").expect("names of hosts");
    let root: &Path = &stage.path("node-1");
    fs::create_dir_all(root).expect("a folder for a node");
    let mut command = stage.command("node-1");
    command.args(["serve", "--until-eof", "--listen", &format!("127.0.0.1:{PORT}"), "--root"]).arg(root);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = stage.lab.spawn(0, &mut command);
    let output = child.stdout.take().expect("its standard output");
    BufReader::new(output).read_line(&mut String::new()).expect("what a node says");
    stage.nodes.push(Process(child));
    let (is_good, output) = stage.send(&[], &["localhost".to_owned()]);
    assert!(is_good, "{output}");
    let log = fs::read_to_string(stage.path("sender.log")).unwrap_or_default();
    let loud = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).count();
    assert_eq!(loud, 0, "{log}");
}
