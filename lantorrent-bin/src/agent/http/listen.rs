//! Where the agent listens: TCP, and a Unix socket.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::net::{Shutdown, shutdown};

use super::guard::Access;
use super::stream::{Peer, Stream};
use crate::exit::Failure;

/// Who may open the socket's file may ask the agent for everything: its owner and its group.
const MODE: u32 = 0o660;

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    pub(super) access: Access,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: SocketFile },
}

impl Listener {
    /// On an address that others than this machine reach it takes a token.
    pub(crate) fn tcp(address: SocketAddr, token: Option<&str>) -> Result<Self, Failure> {
        let access = Access::of(address);
        if access == Access::Network && token.is_none() {
            return Err(no_token(address));
        }
        let socket = TcpListener::bind(address).map_err(|error| {
            Failure::local(
                format_args!("cannot listen on {address}: {error}"),
                "stop what listens there, or give another address with --listen",
            )
        })?;
        Ok(Self { socket: Socket::Tcp(socket), access })
    }

    /// Takes the place of a socket whose process is gone, and of nothing else.
    pub(crate) fn unix(path: &Path) -> Result<Self, Failure> {
        make_way(path)?;
        let (listener, file) = bind(path).map_err(|error| {
            Failure::local(
                format_args!("cannot make the socket {}: {error}", path.display()),
                "give another path with --socket, short and in a folder that may be written",
            )
        })?;
        Ok(Self { socket: Socket::Unix { listener, _file: file }, access: Access::File })
    }

    /// For TCP, the port that the system chose included.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix { .. } => None,
        }
    }

    pub(super) fn accept(&self) -> io::Result<(Stream, Peer)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                // Every answer is written as a whole, and none waits for the next.
                stream.set_nodelay(true)?;
                Ok((Stream::Tcp(stream), Peer::Network(address)))
            }
            Socket::Unix { listener, .. } => Ok((Stream::Unix(listener.accept()?.0), Peer::Process)),
        }
    }

    /// Wakes the thread that waits in `accept`, as Linux does when a socket is shut down that listens.
    pub(super) fn close(&self) {
        let _ = match &self.socket {
            Socket::Tcp(listener) => shutdown(listener, Shutdown::Both),
            Socket::Unix { listener, .. } => shutdown(listener, Shutdown::Both),
        };
    }

    #[cfg(test)]
    pub(super) fn with_access(self, access: Access) -> Self {
        Self { access, ..self }
    }
}

pub(super) fn no_token(address: SocketAddr) -> Failure {
    Failure::usage(
        format_args!(
            "{address} can be reached by others than this machine, and there is no token that keeps them out"
        ),
        "give `token` in [agent] 16 or more random letters and digits, or listen on 127.0.0.1",
    )
}

/// Finds out whether the path is free, or was left behind.
fn make_way(path: &Path) -> Result<(), Failure> {
    let advice = "stop it, or give another path with --socket";
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::local(format_args!("cannot look at {}: {error}", path.display()), advice)),
        Ok(there) if !there.file_type().is_socket() => Err(Failure::usage(
            format_args!("{} is there already, is no socket, and stays as it is", path.display()),
            "move it away, or give another path with --socket",
        )),
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => {
                Err(Failure::local(format_args!("cannot tell whose {} is: {error}", path.display()), advice))
            }
            Ok(_) => {
                Err(Failure::local(format_args!("another process listens on {}", path.display()), advice))
            }
        },
    }
}

/// Makes the socket under another name first, so that nobody finds it before it has its mode.
fn bind(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let _ = fs::remove_file(&new);
    let socket = UnixListener::bind(&new)?;
    let file = place(&new, path).inspect_err(|_| drop(fs::remove_file(&new)))?;
    Ok((socket, file))
}

fn place(new: &Path, path: &Path) -> io::Result<SocketFile> {
    if let Err(refused) = fs::set_permissions(new, Permissions::from_mode(MODE)) {
        accept_mode(new, fs::symlink_metadata(new)?.permissions().mode(), &refused)?;
    }
    let inode = inode(new)?;
    fs::rename(new, path)?;
    Ok(SocketFile { path: path.into(), inode })
}

/// The file system refuses modes. The socket is good enough if others may not write to it, as they would to connect.
fn accept_mode(path: &Path, mode: u32, refused: &io::Error) -> io::Result<()> {
    let mode = mode & 0o777;
    if mode & 0o002 != 0 {
        let why = format!("its mode cannot be changed ({refused}), and with {mode:o} everybody may use it");
        return Err(io::Error::new(refused.kind(), why));
    }
    log::warn!(
        "the socket {} keeps mode {mode:o}, as its file system refuses another ({refused}): its group may lack access",
        path.display()
    );
    Ok(())
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let there = fs::symlink_metadata(path)?;
    Ok((there.dev(), there.ino()))
}

/// Removed with this, unless another has taken its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    fn refused(path: &Path) -> String {
        Listener::unix(path).unwrap_err().to_string()
    }

    #[test]
    fn a_socket_comes_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        let listener = Listener::unix(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert!(refused(&path).contains("another process"), "it is in use");
        UnixStream::connect(&path).unwrap();
        drop(listener);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }

    #[test]
    fn a_socket_whose_mode_is_fixed_is_kept_from_others() {
        let refused = Errno::PERM.into();
        let accept = |mode| accept_mode(Path::new("agent.sock"), mode, &refused);
        for mode in [0o140_777, 0o666, 0o662] {
            assert!(accept(mode).unwrap_err().to_string().contains("everybody"), "{mode:o}");
        }
        for mode in [0o140_755, 0o660, 0o600] {
            accept(mode).unwrap();
        }
    }

    #[test]
    fn what_was_left_behind_gives_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        // A process that was killed leaves its socket.
        drop(UnixListener::bind(&path).unwrap());
        drop(UnixListener::bind(folder.path().join("agent.sock.new")).unwrap());
        let listener = Listener::unix(&path).unwrap();
        UnixStream::connect(&path).unwrap();

        // Who comes later and takes the place keeps it.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "other").unwrap();
        drop(listener);
        assert_eq!(fs::read(&path).unwrap(), b"other");
    }

    #[test]
    fn what_is_no_socket_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "data").unwrap();
        assert!(refused(&path).contains("no socket"));
        assert_eq!(fs::read(&path).unwrap(), b"data");
        std::os::unix::fs::symlink("agent.sock", folder.path().join("link")).unwrap();
        assert!(refused(&folder.path().join("link")).contains("no socket"));
        assert!(refused(&folder.path().join("none/agent.sock")).contains("--socket"));
        assert!(refused(&folder.path().join("x".repeat(108))).contains("short"));
    }

    #[test]
    fn others_need_a_token() {
        let any =
            |text: &str, token| Listener::tcp(text.parse().unwrap(), token).map(|listener| listener.access);
        let failure = any("0.0.0.0:0", None).unwrap_err();
        assert_eq!(failure.status, crate::exit::Status::Usage);
        assert!(any("[::]:0", None).is_err() && any("10.77.0.1:0", None).is_err());
        assert_eq!(any("127.0.0.1:0", None).unwrap(), Access::Loopback);
        assert_eq!(any("127.0.0.1:0", Some("0123456789abcdef")).unwrap(), Access::Loopback);
    }

    #[test]
    fn a_port_that_is_taken() {
        let first = Listener::tcp("127.0.0.1:0".parse().unwrap(), None).unwrap();
        let failure = Listener::tcp(first.address().unwrap(), None).unwrap_err();
        assert!(failure.to_string().contains("--listen"), "{failure}");
    }
}
