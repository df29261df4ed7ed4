//! What signals do, to daemons and to commands.

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::{Finished, INI, Lab, Node, can_signal, content, kill, names, signal, wait_until};
use crate::swarms::{ALONE, Running, make};

const BYTES: usize = 8 << 20;

/// A node with a log, and with `more` in its lt.ini.
struct Daemon {
    lab: Lab,
    node: Node,
}

impl Daemon {
    fn start(more: &str, args: &[&str]) -> Self {
        let lab = Lab::new();
        let root = lab.path().join("root");
        fs::create_dir(&root).unwrap();
        configure(&lab, more);
        let mut command = lab.command(["serve", "--listen", "127.0.0.1:0"]);
        command.args(args);
        let node = Node::start(command, root);
        Self { lab, node }
    }

    fn log(&self) -> PathBuf {
        self.lab.path().join("lt.log")
    }

    /// Waits until the log says so.
    fn says(&self, words: &str) {
        wait_until(words, || fs::read_to_string(self.log()).is_ok_and(|log| log.contains(words)));
    }

    /// A `send` of a file that takes about two seconds.
    fn send(&self, name: &str) -> Child {
        let source = self.lab.source(BYTES);
        let mut command = self.lab.command(["send", "--json", "--limit", "4M"]);
        command.arg(source).arg(self.node.destination(name));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let partial = self.node.file(&format!("{name}.lantorrent"));
        wait_until("a part is there", || fs::metadata(&partial).is_ok_and(|found| found.len() > 0));
        child
    }
}

fn configure(lab: &Lab, more: &str) {
    let (root, log) = (lab.path().join("root"), lab.path().join("lt.log"));
    let (root, log) = (root.display(), log.display());
    lab.write_ini(&format!("{INI}[log]\nfile = {log}\nlevel = debug\n[node]\nroots = {root}\n{more}"));
}

#[test]
fn a_node_that_hears_of_a_hangup_goes_on_with_its_transfers_in_a_new_log() {
    if !can_signal("HUP") {
        return;
    }
    for args in [&[][..], &["--event-loop"]] {
        let mut daemon = Daemon::start("", args);
        let sending = daemon.send("a");
        let old = daemon.lab.path().join("lt.log.1");
        fs::rename(daemon.log(), &old).unwrap();
        signal("HUP", daemon.node.pid());
        daemon.says("was read again");
        assert_eq!(Finished::of(sending).expect(0).codes(), [0]);
        assert!(fs::read(daemon.node.file("a")).unwrap() == content(BYTES));
        assert!(!fs::read_to_string(old).unwrap().contains("was read again"));
        assert!(daemon.node.stop("TERM").success());
        daemon.says("stopped");
    }
}

#[test]
fn a_log_is_where_its_path_leads_whether_or_not_anybody_says_so() {
    let daemon = Daemon::start("", &[]);
    for way in ["rename", "remove", "folder"] {
        match way {
            "rename" => fs::rename(daemon.log(), daemon.lab.path().join("lt.log.1")).unwrap(),
            "remove" => fs::remove_file(daemon.log()).unwrap(),
            _ => {
                // Another folder has the name of the one that the log is in.
                let folder = daemon.lab.path().join("logs");
                fs::create_dir(&folder).unwrap();
                fs::remove_file(daemon.log()).unwrap();
                std::os::unix::fs::symlink("logs/lt.log", daemon.log()).unwrap();
            }
        }
        signal("USR1", daemon.node.pid());
        daemon.says("means nothing");
    }
    assert_eq!(names(&daemon.lab.path().join("logs")), ["lt.log"]);
}

#[test]
fn a_node_changes_its_limit_at_a_hangup_and_names_what_takes_a_restart() {
    if !can_signal("HUP") {
        return;
    }
    let daemon = Daemon::start("limit = 1K\nconnections = 7\n", &[]);
    let source = daemon.lab.source(BYTES);
    let mut command = daemon.lab.command(["send", "--json", "--no-check"]);
    command.arg(source).arg(daemon.node.destination("a"));
    let sending = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it has begun", || daemon.node.file("a.lantorrent").exists());

    let ini = fs::read_to_string(daemon.lab.ini()).unwrap();
    daemon.lab.write_ini(&ini.replace("limit = 1K", "limit = soon"));
    signal("HUP", daemon.node.pid());
    daemon.says("everything stays as it was: ");
    daemon.says("[node] limit");
    daemon.lab.write_ini(&ini.replace("limit = 1K", "limit = none").replace("connections = 7", "sync = no"));
    signal("HUP", daemon.node.pid());
    daemon.says("limit: none");
    daemon.says("[node] sync, [node] connections changed; that takes a restart");
    // At 1 KiB a second it would take hours.
    assert_eq!(Finished::of(sending).expect(0).codes(), [0]);
    let log = fs::read_to_string(daemon.log()).unwrap();
    assert!(!log.contains(crate::common::PASSWORD), "{log}");
}

#[test]
fn one_connection_of_inetd_survives_a_hangup() {
    if !can_signal("HUP") {
        return;
    }
    let lab = Lab::new();
    let inetd = crate::common::Inetd::start(&lab, "node");
    let source = lab.source(32 << 20);
    let mut command = lab.command(["send", "--json", "--no-check"]);
    command.arg(source).arg(inetd.destination("a"));
    let sending = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("a part is there", || {
        fs::metadata(inetd.file("a.lantorrent")).is_ok_and(|found| found.len() > 1 << 20)
    });
    inetd.signal("HUP");
    inetd.signal("USR2");
    assert_eq!(Finished::of(sending).expect(0).codes(), [0]);
}

#[test]
fn what_means_nothing_ends_nothing_and_a_time_limit_ends_in_good_order() {
    let all = [("ALRM", Some(0)), ("XCPU", Some(0)), ("QUIT", None)];
    for (name, status) in all.into_iter().filter(|(name, _)| can_signal(name)) {
        let mut daemon = Daemon::start("", &[]);
        for idle in ["USR1", "USR2", "XFSZ", "PIPE"] {
            signal(idle, daemon.node.pid());
        }
        daemon.lab.send(&daemon.lab.source(1000), &[daemon.node.destination("a")], &[]).expect(0);
        assert_eq!(daemon.node.stop(name).code(), status, "{name}");
    }
}

#[test]
fn a_node_that_was_stopped_by_the_shell_goes_on() {
    let daemon = Daemon::start("", &[]);
    let sending = daemon.send("a");
    signal("TSTP", daemon.node.pid());
    std::thread::sleep(Duration::from_millis(500));
    signal("CONT", daemon.node.pid());
    assert_eq!(Finished::of(sending).expect(0).codes(), [0]);
}

/// Starts a daemon for which these signals are ignored, as `nohup` and shells do it.
fn ignoring(signals: &str, mut command: Command) -> Command {
    let program = command.get_program().to_owned();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("trap '' {signals}; exec \"$@\"")).arg("sh").arg(program);
    shell.args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap());
    }
    shell.current_dir(command.get_current_dir().unwrap());
    command.stdin(Stdio::null());
    shell
}

#[test]
fn what_was_ignored_at_the_start_stays_ignored() {
    let lab = Lab::new();
    let root = lab.path().join("root");
    fs::create_dir(&root).unwrap();
    configure(&lab, "");
    let command = ignoring("HUP INT USR1 XFSZ", lab.command(["serve", "--listen", "127.0.0.1:0"]));
    let mut node = Node::start(command, root);
    for name in ["HUP", "INT", "INT", "USR1", "XFSZ"] {
        kill(name, node.pid());
    }
    lab.send(&lab.source(1000), &[node.destination("a")], &[]).expect(0);
    let log = fs::read_to_string(lab.path().join("lt.log")).unwrap();
    assert!(!log.contains("was read again") && !log.contains("means nothing"), "{log}");
    assert!(node.stop("TERM").success());

    // A command too: what is said to a whole group of processes is not for one in the background.
    let node = lab.node("node");
    lab.source(BYTES);
    let mut command = lab.command(["send", "--json", "--limit", "4M", "source"]);
    command.arg(node.destination("b"));
    let mut sending = ignoring("HUP INT", command);
    let sending = sending.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("a part is there", || node.file("b.lantorrent").exists());
    kill("HUP", sending.id());
    kill("INT", sending.id());
    assert_eq!(Finished::of(sending).expect(0).codes(), [0]);
}

#[test]
fn an_interrupted_send_is_resumed_by_the_same_command() {
    if !can_signal("HUP") {
        return;
    }
    for name in ["INT", "TERM", "HUP", "XCPU"] {
        let daemon = Daemon::start("", &[]);
        let sending = daemon.send("a");
        let partial = daemon.node.file("a.lantorrent");
        wait_until("the journal speaks of a part", || {
            fs::metadata(&partial).is_ok_and(|found| found.len() > 2 << 20)
        });
        signal(name, sending.id());
        let finished = Finished::of(sending).expect(1);
        assert_eq!(finished.codes(), [521], "{name}: {}", finished.stdout);
        assert!(finished.stderr.contains("the same command resumes"), "{}", finished.stderr);
        assert!(partial.exists(), "{name}: {:?}", names(daemon.node.root()));
        let again = daemon.lab.send(&daemon.lab.path().join("source"), &[daemon.node.destination("a")], &[]);
        again.expect(0);
        assert!(fs::read(daemon.node.file("a")).unwrap() == content(BYTES));
        assert_eq!(names(daemon.node.root()), ["a"]);
    }
}

#[test]
fn nothing_is_left_of_what_cannot_be_resumed() {
    for more in [&["--wire", "1"][..], &["--wire=1", "--quiet"]] {
        let daemon = Daemon::start("", &[]);
        let source = daemon.lab.source(BYTES);
        let mut command = daemon.lab.command(["send", "--limit", "4M"]);
        command.args(more).arg(source).arg(daemon.node.destination("a"));
        let sending = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("a part is there", || daemon.node.file("a.lantorrent").exists());
        signal("INT", sending.id());
        let finished = Finished::of(sending).expect(1);
        assert!(finished.stderr.contains("cannot be resumed"), "{}", finished.stderr);
        wait_until("the node has cleaned up", || names(daemon.node.root()).is_empty());
    }
}

#[test]
fn what_is_written_in_place_is_not_called_resumable() {
    let daemon = Daemon::start("", &[]);
    let source = daemon.lab.source(BYTES);
    let mut command = daemon.lab.command(["send", "--json", "--in-place", "--limit", "4M"]);
    command.arg(source).arg(daemon.node.destination("a"));
    let sending = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("a part is there", || fs::metadata(daemon.node.file("a")).is_ok_and(|found| found.len() > 0));
    signal("TERM", sending.id());
    let finished = Finished::of(sending).expect(1);
    assert_ne!(finished.codes(), [0]);
    assert!(finished.stderr.contains("cannot be resumed"), "{}", finished.stderr);
}

#[test]
fn the_second_signal_ends_a_send_at_once() {
    let lab = Lab::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let node = lab.node("node");
    lab.source(BYTES);
    let mut command = lab.command(["send", "--no-check", "--limit", "1M", "source", &node.destination("a")]);
    command.arg(format!("{}/b", silent.local_addr().unwrap()));
    let sending = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("a part is there", || node.file("a.lantorrent").exists());
    signal("TERM", sending.id());
    signal("TERM", sending.id());
    Finished::of(sending).expect(1);
    assert!(node.file("a.lantorrent").exists());
}

#[test]
fn the_names_of_version_0_2_interrupt_as_send_does() {
    let daemon = Daemon::start("", &[]);
    let source = daemon.lab.source(64 << 20);
    let link = daemon.lab.path().join("ltclient");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_lantorrent"), &link).unwrap();
    let mut command = daemon.lab.command_at(&link, [source.to_str().unwrap()]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The node is held up, so that it cannot be done before.
    let mut list = child.stdin.take().unwrap();
    writeln!(list, "{}", daemon.node.destination("a")).unwrap();
    drop(list);
    let partial = daemon.node.file("a.lantorrent");
    wait_until("a part is there", || fs::metadata(&partial).is_ok_and(|found| found.len() > 0));
    signal("STOP", daemon.node.pid());
    signal("INT", child.id());
    let finished = Finished::of(child);
    signal("CONT", daemon.node.pid());
    assert!(finished.stderr.contains("resumes"), "{finished:?}");
    assert!(partial.exists() || daemon.node.file("a").exists(), "{:?}", names(daemon.node.root()));
}

#[test]
fn a_tracker_reads_its_list_again_at_a_hangup() {
    if !can_signal("HUP") {
        return;
    }
    let lab = Lab::empty();
    let list = lab.path().join("list");
    fs::write(&list, "61".repeat(20)).unwrap();
    let mut command = lab.command(["tracker", "--listen", "127.0.0.1:0", "--json", "--whitelist", "list"]);
    command.stderr(fs::File::create(lab.path().join("said")).unwrap()).stdout(Stdio::piped());
    let mut tracker = Killed(command.spawn().unwrap());
    let address = first_line(&mut tracker.0);
    let address =
        serde_json::from_str::<serde_json::Value>(&address).unwrap()["address"].as_str().unwrap().to_owned();
    let is_served = |letter: &str| {
        let url = format!(
            "http://{address}/announce?info_hash={}&peer_id=-XX0000-000000000001&port=1&compact=1&left=1",
            letter.repeat(20)
        );
        let answer = ureq::get(url).call().unwrap().into_body().read_to_string().unwrap();
        !answer.contains("failure reason")
    };
    let says =
        |words: &str| fs::read_to_string(lab.path().join("said")).is_ok_and(|said| said.contains(words));
    assert!(is_served("a") && !is_served("b"));
    fs::write(&list, "62").unwrap();
    signal("HUP", tracker.0.id());
    wait_until("a bad list is named", || says("list, line 1") && says("everything stays as it was"));
    assert!(is_served("a") && !is_served("b"));
    fs::write(&list, "62".repeat(20)).unwrap();
    signal("HUP", tracker.0.id());
    wait_until("the new list holds", || is_served("b") && !is_served("a"));
    for name in ["USR1", "USR2", "XFSZ"] {
        signal(name, tracker.0.id());
    }
    signal("ALRM", tracker.0.id());
    assert_eq!(tracker.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_seed_looks_again_at_a_hangup() {
    if !can_signal("HUP") {
        return;
    }
    let lab = Lab::empty();
    make(&lab, "here", "a.img", 300_000);
    make(&lab, "here", "b.img", 300_000);
    fs::rename(lab.path().join("here/b.img"), lab.path().join("b.img")).unwrap();
    let mut command = lab.command(["seed", "--dir", "here", "a.img.torrent", "b.img.torrent"]);
    command.args(ALONE);
    let mut seed = Running::start(command);
    let address = seed.address();
    assert_eq!(seed.expect("ready")["serving"], 1);
    let get = |name: &str, more: &[&str]| {
        let torrent = format!("{name}.torrent");
        let args = ["get", &torrent, "-o", "there", "--peer", &address];
        lab.run(args.iter().chain(more).chain(&ALONE))
    };
    get("a.img", &[]).expect(0);
    // What was not there has come by now.
    fs::rename(lab.path().join("b.img"), lab.path().join("here/b.img")).unwrap();
    signal("HUP", seed.id());
    assert_eq!(seed.expect("serving")["torrent"], "b.img.torrent");
    get("b.img", &[]).expect(0);
    // Another folder has the name by now, with other files.
    fs::rename(lab.path().join("here"), lab.path().join("away")).unwrap();
    fs::create_dir(lab.path().join("here")).unwrap();
    fs::write(lab.path().join("here/a.img"), vec![0; 300_000]).unwrap();
    signal("HUP", seed.id());
    let failed = [seed.expect("failed"), seed.expect("failed")];
    assert!(failed.iter().all(|failed| failed["message"].as_str().unwrap().contains("here")), "{failed:?}");
    drop(seed);
}

#[test]
fn a_get_that_loses_its_terminal_keeps_what_it_has() {
    if !can_signal("HUP") {
        return;
    }
    let lab = Lab::empty();
    make(&lab, "here", "a.img", 4_000_000);
    let (_seed, address) = Running::seed(&lab, "here", &["a.img.torrent"]);
    for name in ["HUP", "XCPU"] {
        let mut command = lab.command(["get", "a.img.torrent", "--peer", &address, "--download", "500K"]);
        command.args(ALONE).args(["-o", "there"]);
        let mut running = Running::start(command);
        while running.expect("progress")["have"].as_u64().unwrap() == 0 {}
        running.stop(name).expect(1);
        assert!(lab.path().join("there/a.img.lantorrent").exists());
    }
}

/// Ended with its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn first_line(child: &mut Child) -> String {
    use std::io::Read;
    let mut line = String::new();
    let stdout = child.stdout.as_mut().unwrap();
    while !line.ends_with('\n') {
        let mut byte = [0];
        stdout.read_exact(&mut byte).expect("a line");
        line.push(char::from(byte[0]));
    }
    line
}

#[test]
fn a_command_that_holds_nothing_ends_as_any_other() {
    if !can_signal("HUP") {
        return;
    }
    let lab = Lab::new();
    // It connects, and hears nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for (name, number) in [("HUP", 1), ("TERM", 15), ("ALRM", 14)] {
        let mut command = lab.command(["check"]);
        command.arg(format!("{}/a", silent.local_addr().unwrap()));
        let mut child = Killed(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let _connection = silent.accept().unwrap();
        signal(name, child.0.id());
        assert_eq!(child.0.wait().unwrap().signal(), Some(number), "{name}");
    }
}
