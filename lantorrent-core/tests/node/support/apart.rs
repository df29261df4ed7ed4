//! A node whose every connection is served apart from the others, as by the processes of inetd.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lantorrent_core::{Node, NodeConfig, NodeHandle};
use socket2::SockRef;

pub(super) struct Apart {
    listener: Arc<TcpListener>,
    handles: Arc<Mutex<Vec<NodeHandle>>>,
    thread: Option<JoinHandle<()>>,
}

impl Apart {
    pub(super) fn start(listen: SocketAddr, config: NodeConfig) -> Self {
        let listener = Arc::new(TcpListener::bind(listen).unwrap());
        let handles = Arc::new(Mutex::default());
        let (accepting, keeping) = (Arc::clone(&listener), Arc::clone(&handles));
        let thread = Some(thread::spawn(move || {
            let serve = |socket| serve(socket, config.clone(), &keeping);
            // Those that were not served yet when it ended are waited for as well.
            let served: Vec<_> = accepting.incoming().map_while(Result::ok).map(serve).collect();
            for thread in served {
                thread.join().unwrap();
            }
        }));
        Self { listener, handles, thread }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub(super) fn stop(&mut self) {
        // Wakes the thread that waits in accept.
        let _ = SockRef::from(self.listener.as_ref()).shutdown(Shutdown::Both);
        let Some(thread) = self.thread.take() else { return };
        while !thread.is_finished() {
            self.handles.lock().unwrap().iter().for_each(|handle: &NodeHandle| handle.stop(Duration::ZERO));
            thread::sleep(Duration::from_millis(1));
        }
        thread.join().unwrap();
    }
}

fn serve(socket: TcpStream, config: NodeConfig, handles: &Mutex<Vec<NodeHandle>>) -> JoinHandle<()> {
    let node = Node::for_connection(socket, config).unwrap();
    handles.lock().unwrap().push(node.handle().unwrap());
    thread::spawn(|| node.run().unwrap())
}
