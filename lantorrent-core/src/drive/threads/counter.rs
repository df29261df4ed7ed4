//! Where other processes of the same node ask this one for its files, and what they are told.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use socket2::SockRef;

use super::doorbell::{Doorbell, Knock};
use crate::session::{Answer, Ask};

/// Bytes of a question, or of an answer.
const LINE_BYTES: u64 = 4096;
/// For a question to come, and for an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(1);

/// Only processes of the same user are believed: names without a file are anybody's to take.
pub(super) fn belongs_to(stream: &UnixStream, user: u32) -> bool {
    socket_peercred(stream).is_ok_and(|peer| peer.uid.as_raw() == user)
}

pub(super) fn read_line(stream: &UnixStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(io::Read::take(stream, LINE_BYTES)).read_line(&mut line)?;
    Ok(line)
}

/// The names under which this process can be asked. They are free again, and nobody is answered any more, soon after
/// this is dropped.
#[derive(Debug, Default)]
pub(super) struct Counter(Vec<Arc<Window>>);

#[derive(Debug)]
struct Window {
    listener: UnixListener,
    closed: AtomicBool,
}

impl Counter {
    /// From now on who asks there asks the session behind that doorbell.
    pub(super) fn open(&mut self, listener: UnixListener, user: u32, doorbell: &Arc<Doorbell>) {
        let window = Arc::new(Window { listener, closed: AtomicBool::new(false) });
        let (serving, doorbell) = (Arc::clone(&window), Arc::clone(doorbell));
        let serve = move || serving.serve(user, &doorbell);
        match thread::Builder::new().name("counter".into()).spawn(serve) {
            Ok(_) => self.0.push(window),
            Err(error) => log::error!("no thread to be asked by other processes: {error}"),
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        for window in &self.0 {
            window.closed.store(true, Ordering::Release);
            // Wakes the thread that waits in accept, which has the name for as long as it runs.
            let _ = SockRef::from(&window.listener).shutdown(Shutdown::Both);
        }
    }
}

impl Window {
    fn serve(&self, user: u32, doorbell: &Doorbell) {
        loop {
            let asked = self.listener.accept();
            if self.closed.load(Ordering::Acquire) {
                return;
            }
            match asked.and_then(|(stream, _)| Ok((read_question(&stream, user)?, stream))) {
                Ok((Some(ask), stream)) => doorbell.ring(Knock::Ask(ask, stream)),
                // It only wanted to know whether somebody is here.
                Ok((None, _)) => {}
                Err(error) => {
                    log::warn!("a process of this machine asked for nothing that makes sense: {error}");
                    // Where no descriptor is left, there will be.
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }
}

fn read_question(stream: &UnixStream, user: u32) -> io::Result<Option<Ask>> {
    if !belongs_to(stream, user) {
        return Err(io::Error::other("it belongs to another user"));
    }
    stream.set_read_timeout(Some(PATIENCE))?;
    let line = read_line(stream)?;
    if line.is_empty() { Ok(None) } else { Ok(serde_json::from_str(&line)?) }
}

/// Those who have asked the session. Who was not refused learns by the end of the connection, when this is dropped, that
/// the files are free, or the results known.
#[derive(Debug, Default)]
pub(super) struct Askers {
    /// Without an answer yet, in order.
    waiting: VecDeque<UnixStream>,
    patient: Vec<UnixStream>,
}

impl Askers {
    pub(super) fn add(&mut self, stream: UnixStream) {
        self.waiting.push_back(stream);
    }

    /// The session has answered the first of them.
    pub(super) fn answer(&mut self, answer: Answer) {
        let Some(stream) = self.waiting.pop_front() else { return };
        say(&stream, answer);
        if answer != Answer::No {
            self.patient.push(stream);
        }
    }
}

fn say(mut stream: &UnixStream, answer: Answer) {
    let Ok(mut line) = serde_json::to_vec(&answer) else { return };
    line.push(b'\n');
    // Who asked may have gone.
    let _ = stream.set_write_timeout(Some(PATIENCE));
    let _ = stream.write_all(&line);
}
