//! HTTPS without a C compiler: rustls with the cryptography of graviola, and the certificates that the system trusts.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use thiserror::Error;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};
// What semantic versions do not cover: the lock file does.
use ureq::unversioned::transport::{ConnectionDetails, Connector, Transport};

use super::connector::Dialer;
use super::http;

/// Names the file of trusted certificates, before all usual places.
const VARIABLE: &str = "SSL_CERT_FILE";

/// Where systems keep their trusted certificates.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Why nothing can be asked for by HTTPS.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
enum TlsError {
    #[error(
        "HTTPS takes a list of trusted certificates, and this system has none; install the package ca-certificates, or \
         name a PEM file in {VARIABLE}"
    )]
    NoBundle,
    #[error("cannot read the trusted certificates in {path:?}: {cause}; name a PEM file in {VARIABLE}")]
    Unreadable { path: PathBuf, cause: String },
    #[error("there is no certificate in {path:?}; name a PEM file with some in {VARIABLE}")]
    Empty { path: PathBuf },
    #[error("HTTPS takes a processor with {missing}, and this one has none; use HTTP")]
    Processor { missing: &'static str },
}

/// Connects as usual. What TLS takes is looked for when it is needed for the first time: so it costs nobody who needs none,
/// and what is missing is an error of that one request.
#[derive(Debug, Default)]
pub(super) struct Secure {
    tls: OnceLock<Result<TlsConfig, TlsError>>,
    connector: Dialer,
}

impl Secure {
    fn tls(&self) -> Result<TlsConfig, ureq::Error> {
        self.tls.get_or_init(tls).clone().map_err(|error| io::Error::other(error).into())
    }
}

impl Connector for Secure {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        if !details.needs_tls() {
            return self.connector.connect(details, chained);
        }
        // Through the same proxy; the connection to a proxy itself is through none.
        let config = http::config(details.config.proxy().cloned()).tls_config(self.tls()?).build();
        let details = ConnectionDetails {
            uri: details.uri,
            addrs: details.addrs.clone(),
            config: &config,
            request_level: false,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: Arc::clone(&details.current_time),
            run_connector: Arc::clone(&details.run_connector),
            register_shutdown: Arc::clone(&details.register_shutdown),
        };
        self.connector.connect(&details, chained)
    }
}

fn tls() -> Result<TlsConfig, TlsError> {
    if let Some(missing) = missing_feature() {
        return Err(TlsError::Processor { missing });
    }
    let roots = RootCerts::from(trusted(std::env::var_os(VARIABLE).as_deref().map(Path::new), &BUNDLES)?);
    let provider = Arc::new(rustls_graviola::default_provider());
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(provider)
        .build())
}

/// What graviola takes of a processor, and ends the program without.
#[cfg(target_arch = "x86_64")]
fn missing_feature() -> Option<&'static str> {
    use std::arch::is_x86_feature_detected as has;
    let needed = [
        ("AES", has!("aes")),
        ("PCLMULQDQ", has!("pclmulqdq")),
        ("SSSE3", has!("ssse3")),
        ("BMI1", has!("bmi1")),
        ("BMI2", has!("bmi2")),
        ("ADX", has!("adx")),
        ("AVX", has!("avx")),
        ("AVX2", has!("avx2")),
    ];
    needed.into_iter().find_map(|(name, is_there)| (!is_there).then_some(name))
}

#[cfg(target_arch = "aarch64")]
fn missing_feature() -> Option<&'static str> {
    use std::arch::is_aarch64_feature_detected as has;
    let needed =
        [("NEON", has!("neon")), ("AES", has!("aes")), ("PMULL", has!("pmull")), ("SHA2", has!("sha2"))];
    needed.into_iter().find_map(|(name, is_there)| (!is_there).then_some(name))
}

/// The certificates of the file that was named, or else of the first that there is.
fn trusted(named: Option<&Path>, usual: &[&str]) -> Result<Vec<Certificate<'static>>, TlsError> {
    let first = || usual.iter().map(Path::new).find(|path| path.exists());
    let path = named.or_else(first).ok_or(TlsError::NoBundle)?;
    let pem = std::fs::read(path)
        .map_err(|cause| TlsError::Unreadable { path: path.to_owned(), cause: cause.to_string() })?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            // One that nobody can read is no reason to trust none.
            _ => None,
        })
        .collect();
    if certificates.is_empty() { Err(TlsError::Empty { path: path.to_owned() }) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_certificates_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let pem = "junk\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(path("some"), pem.repeat(3)).unwrap();
        std::fs::write(path("none"), "junk").unwrap();
        let (some, none) = (path("some"), path("none"));
        let usual = ["/nonexistent", some.to_str().unwrap(), none.to_str().unwrap()];
        assert_eq!(trusted(None, &usual).unwrap().len(), 3);
        assert_eq!(trusted(None, &["/nonexistent"]).unwrap_err(), TlsError::NoBundle);
        let refused = trusted(Some(&none), &usual).unwrap_err();
        assert_eq!(refused, TlsError::Empty { path: none.clone() });
        let gone = trusted(Some(Path::new("/nonexistent")), &usual).unwrap_err().to_string();
        assert!(gone.contains("/nonexistent") && gone.contains(VARIABLE), "{gone}");
    }
}
