//! Servers and proxies, on free ports of this machine.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Lab, wait_until};

/// How often another port is tried, if somebody else was faster.
const TRIES: usize = 5;

/// How long a server may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Killed and reaped when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// Of it as a proxy.
    pub(crate) fn proxy(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it on a port that is free, with what it says going to a file.
    fn start(lab: &Lab, make: impl Fn(u16) -> Command) -> Self {
        for _ in 0..TRIES {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let log = File::create(lab.path().join(format!("log-{port}"))).unwrap();
            let mut command = make(port);
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
            let mut this = Self { child: command.spawn().unwrap(), port };
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let mut has_ended = false;
            wait_until("a server takes connections, or has ended", || {
                has_ended = this.child.try_wait().unwrap().is_some();
                has_ended || TcpStream::connect(address).is_ok()
            });
            if !has_ended {
                return this;
            }
            println!("{}", fs::read_to_string(lab.path().join(format!("log-{port}"))).unwrap_or_default());
        }
        panic!("a server does not start");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // In good order: some have children of their own.
        let is_there = |child: &mut Child| child.try_wait().is_ok_and(|ended| ended.is_none());
        if is_there(&mut self.child) {
            crate::common::kill("TERM", self.child.id());
        }
        let asked = Instant::now();
        while is_there(&mut self.child) && asked.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether it is installed.
pub(crate) fn is_there(program: &str) -> bool {
    let there = path_of(program).is_some();
    assert!(there || std::env::var_os("CI").is_none(), "{program} must be installed in CI");
    if !there {
        println!("skipped: {program} is not installed");
    }
    there
}

fn path_of(program: &str) -> Option<PathBuf> {
    let folders = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/bin";
    folders.split(':').map(|folder| Path::new(folder).join(program)).find(|path| path.exists())
}

fn command(program: &str) -> Command {
    let mut command = Command::new(path_of(program).expect("it is installed"));
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
    command
}

/// The configuration that came with it, changed where it has to be: each line that begins so is what follows instead.
fn configuration(lab: &Lab, of: &str, port: u16, changes: &[(&str, String)]) -> PathBuf {
    let text = fs::read_to_string(of).unwrap();
    let change = |line: &str| {
        let found = changes.iter().find(|(begin, _)| line.trim_start().starts_with(begin));
        found.map_or_else(|| line.to_owned(), |(_, new)| new.clone())
    };
    let lines: Vec<String> = text.lines().map(change).collect();
    let path = lab.path().join(format!("configuration-{port}"));
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    path
}

pub(crate) fn nginx(lab: &Lab, folder: &Path) -> Server {
    Server::start(lab, |port| {
        let site = format!("server {{ listen 127.0.0.1:{port}; root {}; }}", folder.display());
        let state = lab.path().display();
        let changes = [
            ("user ", String::new()),
            ("pid ", format!("pid {state}/nginx-{port}.pid;")),
            ("error_log ", "error_log stderr;".into()),
            ("access_log ", "access_log off;".into()),
            ("include /etc/nginx/sites-enabled", site),
        ];
        let path = configuration(lab, "/etc/nginx/nginx.conf", port, &changes);
        let mut command = command("nginx");
        // Of several options only the last would count.
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        command.arg("-c").arg(path).arg("-g").arg(format!("daemon off; {user}")).current_dir(lab.path());
        command
    })
}

pub(crate) fn apache(lab: &Lab, folder: &Path) -> Server {
    Server::start(lab, |port| {
        let folder = folder.display();
        let site = format!(
            "DocumentRoot {folder}\n<Directory {folder}>\nOptions Indexes FollowSymLinks\nRequire all granted\n</Directory>"
        );
        let changes = [
            ("Include ports.conf", format!("ServerName localhost\nListen 127.0.0.1:{port}")),
            ("IncludeOptional sites-enabled", site),
            ("ErrorLog ", "ErrorLog /dev/stderr".into()),
        ];
        let path = configuration(lab, "/etc/apache2/apache2.conf", port, &changes);
        let mut command = command("apache2");
        command.args(["-d", "/etc/apache2", "-f"]).arg(path).arg("-DFOREGROUND");
        let state = lab.path().join(format!("apache-{port}"));
        fs::create_dir_all(&state).unwrap();
        for name in ["APACHE_RUN_DIR", "APACHE_LOCK_DIR", "APACHE_LOG_DIR"] {
            command.env(name, &state);
        }
        command.env("APACHE_PID_FILE", state.join("pid"));
        command.env("APACHE_RUN_USER", "www-data").env("APACHE_RUN_GROUP", "www-data");
        command
    })
}

pub(crate) fn lighttpd(lab: &Lab, folder: &Path) -> Server {
    Server::start(lab, |port| {
        let state = lab.path().display();
        let changes = [
            ("server.document-root", format!("server.document-root = \"{}\"", folder.display())),
            ("server.upload-dirs", format!("server.upload-dirs = ( \"{state}\" )")),
            ("server.errorlog", String::new()),
            ("server.pid-file", format!("server.pid-file = \"{state}/lighttpd-{port}.pid\"")),
            ("server.port", format!("server.port = {port}\nserver.bind = \"127.0.0.1\"")),
            ("include_shell \"/usr/share/lighttpd/use-ipv6.pl", String::new()),
        ];
        let path = configuration(lab, "/etc/lighttpd/lighttpd.conf", port, &changes);
        let mut command = command("lighttpd");
        command.args(["-D", "-f"]).arg(path);
        command
    })
}

pub(crate) fn python(lab: &Lab, folder: &Path) -> Server {
    Server::start(lab, |port| {
        let mut command = command("python3");
        command.args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"]).arg(folder);
        command.arg(port.to_string());
        command
    })
}

/// `more` stands before the rules that came with it.
pub(crate) fn squid(lab: &Lab, more: &str) -> Server {
    Server::start(lab, |port| {
        let own = format!(
            "http_port 127.0.0.1:{port}\npid_filename none\naccess_log none\ncache_log /dev/null\ncache_store_log none\n\
             shutdown_lifetime 0 seconds\npinger_enable off\nnetdb_filename none\n{more}"
        );
        let changes =
            [("http_port ", own), ("coredump_dir ", format!("coredump_dir {}", lab.path().display()))];
        let path = configuration(lab, "/etc/squid/squid.conf", port, &changes);
        let mut command = command("squid");
        command.args(["-N", "-n", &format!("lt{port}"), "-f"]).arg(path);
        command
    })
}

/// With a process of `lantorrent serve --inetd` for each connection to the node of that name.
pub(crate) fn xinetd(lab: &Lab, name: &str) -> Server {
    Server::start(lab, |port| {
        let (path, id) = (lab.path().join(format!("xinetd-{port}")), rustix::process::geteuid().as_raw());
        let state = path.display();
        let (home, root) = (lab.path().join(format!("{name}-home")), lab.path().join(name));
        let service = format!(
            "service lantorrent\n{{\ntype = UNLISTED\nsocket_type = stream\nprotocol = tcp\nwait = no\nuser = {id}\n\
             bind = 127.0.0.1\nport = {port}\nserver = {}\nserver_args = serve --inetd --root {}\n\
             env = LANTORRENT_HOME={}\nlog_type = FILE {state}-services\n}}\n",
            env!("CARGO_BIN_EXE_lantorrent"),
            root.display(),
            home.display(),
        );
        fs::write(&path, service).unwrap();
        let mut command = command("xinetd");
        command.args(["-dontfork", "-f"]).arg(&path).args(["-pidfile", &format!("{state}-pid")]);
        command.args(["-filelog", &format!("{state}-log")]);
        command
    })
}

/// The same under socat, as the README has it.
pub(crate) fn socat(lab: &Lab, name: &str) -> Server {
    Server::start(lab, |port| {
        let mut command = command("socat");
        command.env("LANTORRENT_HOME", lab.path().join(format!("{name}-home")));
        let program = env!("CARGO_BIN_EXE_lantorrent");
        let root = lab.path().join(name);
        command.arg(format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork"));
        command.arg(format!("EXEC:\"{program} serve --inetd --root {}\",nofork", root.display()));
        command
    })
}

/// `more` stands before the rules that came with it.
pub(crate) fn tinyproxy(lab: &Lab, more: &str) -> Server {
    Server::start(lab, |port| {
        let changes = [
            ("User ", String::new()),
            ("Group ", String::new()),
            ("Port ", format!("Port {port}\nListen 127.0.0.1\n{more}")),
            ("LogFile ", String::new()),
            ("PidFile ", String::new()),
        ];
        let path = configuration(lab, "/etc/tinyproxy/tinyproxy.conf", port, &changes);
        let mut command = command("tinyproxy");
        command.args(["-d", "-c"]).arg(path);
        command
    })
}

/// For the torrent of that hash, as Debian builds it.
pub(crate) fn opentracker(lab: &Lab, hash: &str) -> Server {
    fs::write(lab.path().join("list"), format!("{hash}\n")).unwrap();
    Server::start(lab, |port| {
        let port = port.to_string();
        let mut command = command("opentracker");
        command.args(["-i", "127.0.0.1", "-p", &port, "-P", &port, "-w", "list", "-d"]).arg(lab.path());
        command.current_dir(lab.path());
        command
    })
}
