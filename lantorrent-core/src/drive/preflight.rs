//! What a node finds out for a check: whether each request could be granted now. Waits for the disk.

use std::time::Instant;

use super::request::{fault, target, version};
use super::site::Site;
use crate::flow::admission::PATIENCE;
use crate::runtime::workers::Then;
use crate::session::FileFault;
use crate::store::StoreError;
use crate::wire::Header;

pub(super) struct Preflight {
    /// The list behind this node may be long, and is not needed.
    header: Header,
    version: Option<Vec<u8>>,
    /// Whether files in use would be let go.
    may_supersede: bool,
    patient_until: Instant,
    findings: Vec<Result<(), FileFault>>,
}

impl Preflight {
    pub(super) fn new(header: &Header, may_supersede: bool) -> Self {
        let header = Header { destinations: Vec::new(), ..header.clone() };
        let (version, patient_until) = (version(&header), Instant::now() + PATIENCE);
        Self { header, version, may_supersede, patient_until, findings: Vec::new() }
    }

    /// Looks at what is left to look at. [`Then::Again`] where a file is in use, but may not be for long.
    pub(super) fn go_on(&mut self, site: &Site) -> Then {
        while let Some(request) = self.header.node.requests.get(self.findings.len()) {
            let path = match site.hooks.path(&self.header, request) {
                Ok(path) => path,
                Err(fault) => {
                    self.findings.push(Err(fault));
                    continue;
                }
            };
            let target = target(&self.header, request, &path, self.version.as_deref(), site.durability);
            let result = site.roots.probe(&target);
            if matches!(result, Err(StoreError::InUse { .. })) && Instant::now() < self.patient_until {
                return Then::Again;
            }
            self.findings.push(match result {
                Err(StoreError::InUse { .. }) if self.may_supersede => Ok(()),
                result => result.map_err(|error| fault(&error)),
            });
        }
        Then::Over
    }

    /// One for each request that was looked at.
    pub(super) fn into_findings(self) -> Vec<Result<(), FileFault>> {
        self.findings
    }
}
