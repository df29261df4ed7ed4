//! Addresses of names, for `ureq`, whose own way of it panics where there is no thread.

use std::sync::mpsc;
use std::thread;

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;
use ureq::unversioned::transport::time::Duration;

/// Asks the system on a thread of its own, so that the wait has an end; where there is none, on this one.
#[derive(Debug, Default)]
pub struct Lookup(());

impl Resolver for Lookup {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let endless = NextTimeout { after: Duration::NotHappening, ..timeout };
        let Some(patience) = timeout.not_zero() else {
            return DefaultResolver::default().resolve(uri, config, endless);
        };
        let (told, heard) = mpsc::sync_channel(1);
        let (own_uri, own_config) = (uri.clone(), config.clone());
        let look_up = move || {
            // The caller may have given up.
            let _ = told.send(DefaultResolver::default().resolve(&own_uri, &own_config, endless));
        };
        match thread::Builder::new().name("look up".into()).spawn(look_up) {
            Ok(_) => heard.recv_timeout(*patience).unwrap_or(Err(Error::Timeout(timeout.reason))),
            Err(_) => DefaultResolver::default().resolve(uri, config, endless),
        }
    }
}
