//! Files, web seeds and trackers on nginx, Apache, lighttpd, Python's http.server and opentracker, and through squid and
//! tinyproxy, each as Debian configures it but for ports and folders; the environment as curl reads it; and nodes under xinetd
//! and socat.
//!
//! A test says that it skips where its server is missing; in CI that is a failure.

#[allow(dead_code, unused_imports)] // The tests of the commands have more to ask of it.
#[path = "../cli/common/mod.rs"]
mod common;
mod curl;
mod inetd;
mod programs;
mod proxies;
mod recorder;
mod site;
mod trackers;
mod webs;
