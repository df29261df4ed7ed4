//! An agent out of a script: it gives one answer on each connection, and is gone after the last.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What the agent does with one question.
pub(crate) enum Reply {
    /// Status, more lines of the head, and the body.
    Http(u16, &'static str, String),
    /// These bytes, whatever they are.
    Bytes(&'static str),
    /// It never answers.
    Hold,
}

/// An answer of JSON.
#[allow(clippy::needless_pass_by_value)] // Scripts are easier to read without borrows.
pub(crate) fn json(status: u16, body: impl ToString) -> Reply {
    Reply::Http(status, "Content-Type: application/json\r\n", body.to_string())
}

/// A problem, as in RFC 9457.
pub(crate) fn problem(status: u16, detail: &str) -> Reply {
    let body = serde_json::json!({ "title": "no", "status": status, "detail": detail });
    Reply::Http(status, "Content-Type: application/problem+json\r\n", body.to_string())
}

/// A request as the agent tells of it, with some keys other than usual.
pub(crate) fn request(id: &str, more: &serde_json::Value) -> serde_json::Value {
    let mut request = serde_json::json!({
        "id": id, "source": "/srv/s", "destination": "/srv/d", "host": "10.0.0.7", "port": 2893,
        "state": "waiting", "submitted": "2026-11-22T03:04:05.678Z", "ended": null, "retry_at": null,
        "cancelled_at": null, "attempts": [], "progress": null, "outcome": null,
    });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

/// A request whose file is in place.
pub(crate) fn done(id: &str) -> serde_json::Value {
    request(id, &serde_json::json!({ "state": "done", "outcome": { "code": 0, "reason": "success" } }))
}

/// A question as it came.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// Method, path and query.
    pub(crate) line: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: String,
}

pub(crate) struct FakeAgent {
    address: Option<SocketAddr>,
    heard: Arc<Mutex<Vec<Question>>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeAgent {
    pub(crate) fn tcp(script: Vec<Reply>) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), script)
    }

    pub(crate) fn at(address: SocketAddr, script: Vec<Reply>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        Self::start(Some(address), script, move || listener.accept().unwrap().0)
    }

    pub(crate) fn socket(path: &Path, script: Vec<Reply>) -> Self {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).unwrap();
        Self::start(None, script, move || listener.accept().unwrap().0)
    }

    fn start<S: Read + Write>(
        address: Option<SocketAddr>,
        script: Vec<Reply>,
        accept: impl Fn() -> S + Send + 'static,
    ) -> Self {
        let heard = Arc::<Mutex<Vec<Question>>>::default();
        let hearing = Arc::clone(&heard);
        let thread = std::thread::spawn(move || {
            for reply in script {
                let mut stream = accept();
                let question = read(&mut stream);
                hearing.lock().unwrap().push(question);
                let text = match reply {
                    Reply::Http(status, head, body) => {
                        let length = body.len();
                        format!("HTTP/1.1 {status} x\r\n{head}Content-Length: {length}\r\n\r\n{body}")
                    }
                    Reply::Bytes(text) => text.into(),
                    Reply::Hold => {
                        let _ = stream.read(&mut [0]);
                        continue;
                    }
                };
                // Who asked may be gone.
                let _ = stream.write_all(text.as_bytes());
            }
        });
        Self { address, heard, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address.expect("it listens on TCP")
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// What has been asked so far.
    pub(crate) fn heard(&self) -> Vec<Question> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits for the end of the script, and returns what was asked.
    pub(crate) fn finish(mut self) -> Vec<Question> {
        self.thread.take().unwrap().join().unwrap();
        self.heard()
    }

    /// The same, as method, path and query only.
    pub(crate) fn lines(self) -> Vec<String> {
        self.finish().into_iter().map(|question| question.line).collect()
    }
}

fn read(stream: &mut impl Read) -> Question {
    let mut stream = BufReader::new(stream);
    let (mut first, mut authorization, mut length) = (None, None, 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        match line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value)) {
            Some((name, value)) if name == "authorization" => authorization = Some(value.to_owned()),
            Some((name, value)) if name == "content-length" => length = value.parse().unwrap(),
            _ => first = first.or_else(|| line.strip_suffix(" HTTP/1.1").map(str::to_owned)),
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    Question { line: first.unwrap_or_default(), authorization, body: String::from_utf8(body).unwrap() }
}
