//! A small inetd: it listens, and starts `lantorrent serve --inetd` anew for each connection.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::lab::write_ini;
use super::{INI, Lab, signal};

/// Bytes a second that a connection takes in: so that half-way is half-way.
const RATE: u64 = 16 << 20;

/// A node whose every connection has a process of its own. All are killed and reaped when it is dropped.
pub(crate) struct Inetd {
    address: SocketAddr,
    root: PathBuf,
    home: PathBuf,
    service: Arc<Service>,
}

struct Service {
    root: PathBuf,
    home: PathBuf,
    out_of_order: AtomicBool,
    received: AtomicU64,
    processes: Mutex<Vec<Child>>,
}

impl Inetd {
    /// A node with a home and a root of its own.
    pub(crate) fn start(lab: &Lab, name: &str) -> Self {
        let (root, home) = (lab.path().join(name), lab.path().join(format!("{name}-home")));
        std::fs::create_dir_all(&root).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        write_ini(&home.join("etc/lt.ini"), &format!("{INI}[node]\nalso = {address}\n"));
        let service = Arc::new(Service {
            root: root.clone(),
            home: home.clone(),
            out_of_order: AtomicBool::new(false),
            received: AtomicU64::new(0),
            processes: Mutex::default(),
        });
        let serving = Arc::clone(&service);
        thread::spawn(move || listener.incoming().flatten().for_each(|peer| serving.serve(peer)));
        Self { address, root, home, service }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How its processes are configured.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where `name` is to be written.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The destination that makes it so.
    pub(crate) fn destination(&self, name: &str) -> String {
        format!("{}{}", self.address, self.file(name).display())
    }

    /// Bytes that have come in, all connections together.
    pub(crate) fn received(&self) -> u64 {
        self.service.received.load(Ordering::Relaxed)
    }

    /// How many processes there have been.
    pub(crate) fn processes(&self) -> usize {
        self.service.processes().len()
    }

    /// How many of them have not ended.
    pub(crate) fn running(&self) -> usize {
        let mut processes = self.service.processes();
        processes.iter_mut().filter_map(|process| process.try_wait().unwrap().is_none().then_some(())).count()
    }

    /// Kills those that run. Others may come.
    pub(crate) fn kill(&self) {
        self.service.processes().iter_mut().for_each(|process| process.kill().unwrap());
    }

    /// Kills those that run, and starts no others.
    pub(crate) fn break_down(&self) {
        self.service.out_of_order.store(true, Ordering::Relaxed);
        self.kill();
    }

    /// Starts others again.
    pub(crate) fn mend(&self) {
        self.service.out_of_order.store(false, Ordering::Relaxed);
    }

    /// Sends the signal to those that run.
    pub(crate) fn signal(&self, name: &str) {
        for process in self.service.processes().iter_mut() {
            if process.try_wait().unwrap().is_none() {
                signal(name, process.id());
            }
        }
    }
}

impl Drop for Inetd {
    fn drop(&mut self) {
        self.break_down();
        for process in self.service.processes().iter_mut() {
            let _ = process.wait();
        }
        if thread::panicking() {
            let log = std::fs::read_to_string(self.home.join("log")).unwrap_or_default();
            eprintln!("{}:\n{log}", self.root.display());
        }
    }
}

impl Service {
    fn processes(&self) -> MutexGuard<'_, Vec<Child>> {
        self.processes.lock().unwrap()
    }

    /// Between the peer and the process there is another connection, of known speed.
    fn serve(self: &Arc<Self>, peer: TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let onward = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        if !self.spawn(listener.accept().unwrap().0) {
            return;
        }
        let back = (onward.try_clone().unwrap(), peer.try_clone().unwrap());
        let this = Arc::clone(self);
        thread::spawn(move || this.take_in(&peer, &onward));
        thread::spawn(move || pump(&back.0, &back.1, |_| ()));
    }

    /// As xinetd does it: the connection is all there is. False if it is out of order.
    fn spawn(&self, connection: TcpStream) -> bool {
        let mut processes = self.processes();
        if self.out_of_order.load(Ordering::Relaxed) {
            return false;
        }
        let connection = OwnedFd::from(connection);
        let log = std::fs::File::options().create(true).append(true).open(self.home.join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_lantorrent"));
        command.args(["-v", "-v", "serve", "--inetd", "--root"]).arg(&self.root);
        command.env("LANTORRENT_HOME", &self.home).stderr(log);
        command.stdout(Stdio::from(connection.try_clone().unwrap())).stdin(connection);
        processes.push(command.spawn().unwrap());
        true
    }

    fn take_in(&self, from: &TcpStream, to: &TcpStream) {
        let (start, mut sum) = (Instant::now(), 0);
        pump(from, to, |count| {
            sum += count;
            self.received.fetch_add(count, Ordering::Relaxed);
            let due = start + Duration::from_nanos(sum * 1_000_000_000 / RATE);
            thread::sleep(due.saturating_duration_since(Instant::now()));
        });
    }
}

/// Passes on what comes, and its end.
fn pump(mut from: &TcpStream, mut to: &TcpStream, mut passed: impl FnMut(u64)) {
    let mut bytes = vec![0; 64 << 10];
    loop {
        match from.read(&mut bytes) {
            Ok(0) => break drop(to.shutdown(Shutdown::Write)),
            Ok(count) => {
                if to.write_all(&bytes[..count]).is_err() {
                    break drop(from.shutdown(Shutdown::Both));
                }
                passed(count as u64);
            }
            Err(_) => break drop(to.shutdown(Shutdown::Both)),
        }
    }
}
