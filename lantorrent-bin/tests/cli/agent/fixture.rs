//! A running agent, and what is asked of it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{INI, Lab, Node, content, signal, wait_until};

/// Where the files are that may be asked for.
pub(super) const REPOSITORY: &str = "repository";

/// A lab with an empty repository, and an agent that waits for nobody and is quick to try again. `more` adds to, or
/// replaces, what `[agent]` says.
pub(super) fn lab(more: &str) -> Lab {
    let lab = Lab::empty();
    configure(&lab, more);
    std::fs::create_dir(lab.path().join(REPOSITORY)).unwrap();
    lab
}

/// Writes its lt.ini.
pub(super) fn configure(lab: &Lab, more: &str) {
    configure_with(lab, more, &database(lab));
}

/// The same with the queue elsewhere.
pub(super) fn configure_with(lab: &Lab, more: &str, database: &Path) {
    let mut agent = format!("repository = {}\n", lab.path().join(REPOSITORY).display());
    for (key, value) in [("wait", "0.1"), ("retry", "0.2"), ("attempts", "3"), ("listen", "127.0.0.1:0")] {
        if !more.lines().any(|line| line.split('=').next().is_some_and(|name| name.trim() == key)) {
            agent += &[key, " = ", value, "\n"].concat();
        }
    }
    lab.write_ini(&format!("{INI}[db]\nfile = {}\n[agent]\n{agent}{more}\n", database.display()));
}

pub(super) fn database(lab: &Lab) -> std::path::PathBuf {
    lab.path().join("queue")
}

/// A file that may be asked for.
pub(super) fn source(lab: &Lab, name: &str, content: &[u8]) -> String {
    let path = lab.path().join(REPOSITORY).join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// One that is seconds on its way, so that anything may happen meanwhile, where the agent is as slow as [`SLOW`] says.
pub(super) fn long_source(lab: &Lab, name: &str) -> String {
    source(lab, name, &content(64 << 20))
}

/// For `[agent]`.
pub(super) const SLOW: &str = "limit = 16M";

/// What is posted to have `source` on that node.
pub(super) fn wish(id: &str, source: &str, node: &Node, name: &str) -> Value {
    wish_for(id, source, node.address(), &node.file(name))
}

/// The same for a node that is reached there.
pub(super) fn wish_for(id: &str, source: &str, address: SocketAddr, destination: &Path) -> Value {
    json!({
        "id": id, "source": source, "destination": destination.to_str().unwrap(),
        "host": address.ip().to_string(), "port": address.port(),
    })
}

/// An agent, killed and reaped when dropped.
pub(super) struct Agent {
    child: Child,
    url: String,
    http: ureq::Agent,
}

impl Agent {
    pub(super) fn start(lab: &Lab) -> Self {
        Self::from_command(lab.command(["agent"]))
    }

    /// Where it listened before: its clients need not look for it.
    pub(super) fn start_at(lab: &Lab, address: &str) -> Self {
        Self::from_command(lab.command(["agent", "--listen", address]))
    }

    pub(super) fn from_command(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.strip_prefix("listening on ").and_then(|rest| rest.split(' ').next());
        let Some(url) = url.map(str::to_owned) else {
            let _ = child.kill();
            panic!("agent says {line:?} and ends with {:?}", child.wait());
        };
        Self { child, url, http: http() }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn address(&self) -> String {
        self.url.strip_prefix("http://").unwrap().to_owned()
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The status and, where there is one, the JSON of the answer.
    pub(super) fn get(&self, path: &str) -> (u16, Value) {
        call(self.http.get(format!("{}{path}", self.url)).call()).expect("the agent answers")
    }

    /// A figure of `/metrics`, by its name and labels.
    #[track_caller]
    pub(super) fn metric(&self, name: &str) -> u64 {
        let page = self.http.get(format!("{}/metrics", self.url)).call().unwrap();
        let page = page.into_body().read_to_string().unwrap();
        let value = page.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        value.trim().parse().unwrap()
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        post(&self.http, &self.url, path, body).expect("the agent answers")
    }

    pub(super) fn delete(&self, path: &str) -> (u16, Value) {
        call(self.http.delete(format!("{}{path}", self.url)).call()).expect("the agent answers")
    }

    /// Hands in one request or a list.
    #[track_caller]
    pub(super) fn submit(&self, wish: &Value) -> Value {
        let (status, answer) = self.post("/v1/requests", wish);
        assert!(status == 201 || status == 200, "{status}: {answer}");
        answer
    }

    /// The request when it has ended.
    #[track_caller]
    pub(super) fn ended(&self, id: &str) -> Value {
        let (status, answer) = self.get(&format!("/v1/requests/{id}?wait=60"));
        assert_eq!(status, 200, "{answer}");
        assert!(!answer["ended"].is_null(), "{answer}");
        answer
    }

    #[track_caller]
    pub(super) fn expect_done(&self, id: &str) -> Value {
        let answer = self.ended(id);
        assert_eq!(answer["state"], "done", "{answer:#}");
        answer
    }

    /// All transfers that it knows of, with their chains.
    pub(super) fn transfers(&self) -> Vec<Value> {
        let (_, list) = self.get("/v1/transfers");
        let list = list["transfers"].as_array().expect("a list").clone();
        let whole =
            |transfer: &Value| self.get(&format!("/v1/transfers/{}", transfer["id"].as_str().unwrap())).1;
        list.iter().map(whole).collect()
    }

    /// Sends the signal and waits for the end.
    pub(super) fn stop(mut self, name: &str) -> ExitStatus {
        signal(name, self.pid());
        let mut status = None;
        wait_until("the agent has ended", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Ends it without a chance to say anything.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client whose errors are those of the connection alone.
pub(super) fn http() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    config.timeout_global(Some(Duration::from_secs(90))).build().into()
}

pub(super) fn post(
    http: &ureq::Agent,
    url: &str,
    path: &str,
    body: &Value,
) -> Result<(u16, Value), ureq::Error> {
    let request = http.post(format!("{url}{path}")).header("content-type", "application/json");
    call(request.send(body.to_string()))
}

pub(super) fn call(
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<(u16, Value), ureq::Error> {
    let mut answer = answer?;
    let text = answer.body_mut().with_config().limit(64 << 20).read_to_string()?;
    Ok((answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null)))
}

/// Whether the file is there, and is that.
#[track_caller]
pub(super) fn expect_content(path: &Path, content: &[u8]) {
    let found = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(found == content, "{} differs", path.display());
}
