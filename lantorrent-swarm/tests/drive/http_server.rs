//! A web server for tests, which does what it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// How many came before it.
    pub(crate) number: usize,
    /// With its escapes.
    pub(crate) path: String,
    /// From which byte to which, if there is a range.
    pub(crate) range: Option<(usize, Option<usize>)>,
    pub(crate) if_range: Option<String>,
    /// How the answer may be packed.
    pub(crate) encoding: Option<String>,
    pub(crate) authorization: Option<String>,
}

/// What is answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// More lines of the head, each with its line end.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) how: How,
}

/// How the body goes out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum How {
    #[default]
    Plain,
    /// The connection ends after so many bytes.
    Cut(usize),
    /// So many bytes every 10 ms.
    Slow(usize),
    Chunked,
    /// Nothing more after so many bytes.
    Stalled(usize),
    /// The body is all that is sent, head and everything.
    Raw,
}

impl Request {
    /// The answer of an honest server that has this.
    pub(crate) fn part(&self, data: &[u8]) -> Reply {
        let Some((first, last)) = self.range else { return Reply::all(data) };
        let end = last.map_or(data.len(), |last| last + 1).min(data.len());
        let head = format!("Content-Range: bytes {first}-{}/{}\r\n", end - 1, data.len());
        Reply { status: 206, head, body: data[first..end].to_vec(), ..Reply::default() }
    }
}

impl Reply {
    pub(crate) fn all(data: &[u8]) -> Self {
        Self { status: 200, body: data.to_vec(), ..Self::default() }
    }

    /// These bytes, and the end.
    #[allow(dead_code)] // Not where it is used by others.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { body: bytes.into(), how: How::Raw, ..Self::default() }
    }

    pub(crate) fn status(status: u16, head: &str) -> Self {
        Self { status, head: head.into(), ..Self::default() }
    }

    pub(crate) fn how(self, how: How) -> Self {
        Self { how, ..self }
    }

    /// With a line more in its head.
    pub(crate) fn with(mut self, line: &str) -> Self {
        self.head.push_str(line);
        self.head.push_str("\r\n");
        self
    }
}

/// Serves until the end of the process.
#[derive(Clone)]
pub(crate) struct HttpServer {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Request>>>,
}

impl HttpServer {
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::wrapped(answer, |stream| stream)
    }

    /// The same with something between it and the connection.
    pub(crate) fn wrapped<S: Read + Write>(
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
        wrap: impl Fn(TcpStream) -> S + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let this = Self { address: listener.local_addr().unwrap(), heard: Arc::default() };
        let (heard, answer, wrap) = (Arc::clone(&this.heard), Arc::new(answer), Arc::new(wrap));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (heard, answer, wrap) = (Arc::clone(&heard), Arc::clone(&answer), Arc::clone(&wrap));
                std::thread::spawn(move || {
                    let mut stream = BufReader::new(wrap(stream));
                    let Some(mut request) = read(&mut stream) else { return };
                    {
                        let mut heard = heard.lock().unwrap();
                        request.number = heard.len();
                        heard.push(request.clone());
                    }
                    // Who asked may be gone.
                    let _ = write(stream.get_mut(), &answer(&request));
                });
            }
        });
        this
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// What was asked for so far.
    pub(crate) fn heard(&self) -> Vec<Request> {
        self.heard.lock().unwrap().clone()
    }
}

fn read(stream: &mut impl BufRead) -> Option<Request> {
    let mut request = Request::default();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|count| *count > 0)?;
        let line = line.trim_end();
        if line.is_empty() {
            return Some(request);
        }
        match line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value)) {
            Some((name, value)) if name == "range" => {
                let (first, last) = value.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
                request.range = Some((first.parse().unwrap(), last.parse().ok()));
            }
            Some((name, value)) if name == "authorization" => request.authorization = Some(value.into()),
            Some((name, value)) if name == "accept-encoding" => request.encoding = Some(value.into()),
            Some((name, value)) if name == "if-range" => request.if_range = Some(value.into()),
            Some(_) => {}
            None => line.split(' ').nth(1).unwrap_or_default().clone_into(&mut request.path),
        }
    }
}

fn write(stream: &mut impl Write, reply: &Reply) -> std::io::Result<()> {
    if matches!(reply.how, How::Raw) {
        stream.write_all(&reply.body)?;
        return stream.flush();
    }
    let length = match reply.how {
        How::Chunked => "Transfer-Encoding: chunked".to_owned(),
        _ => format!("Content-Length: {}", reply.body.len()),
    };
    let head = format!("HTTP/1.1 {} x\r\n{}{length}\r\nConnection: close\r\n\r\n", reply.status, reply.head);
    stream.write_all(head.as_bytes())?;
    match reply.how {
        How::Plain | How::Raw => stream.write_all(&reply.body)?,
        How::Cut(count) => stream.write_all(&reply.body[..count.min(reply.body.len())])?,
        How::Slow(count) => {
            for bytes in reply.body.chunks(count) {
                stream.write_all(bytes)?;
                stream.flush()?;
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        How::Chunked => {
            for bytes in reply.body.chunks(10_007) {
                write!(stream, "{:x}\r\n", bytes.len())?;
                stream.write_all(bytes)?;
                stream.write_all(b"\r\n")?;
            }
            stream.write_all(b"0\r\n\r\n")?;
        }
        How::Stalled(count) => {
            stream.write_all(&reply.body[..count.min(reply.body.len())])?;
            stream.flush()?;
            std::thread::sleep(Duration::from_secs(60));
        }
    }
    stream.flush()
}
