//! Who can reach whom.

/// A set of hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hosts(u128);

impl Hosts {
    pub(crate) const ALL: Self = Self(u128::MAX);

    pub(crate) fn of(hosts: impl IntoIterator<Item = usize>) -> Self {
        Self(hosts.into_iter().fold(0, |set, host| set | 1 << host))
    }

    pub(crate) fn but(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) fn contains(self, host: usize) -> bool {
        self.0 >> host & 1 == 1
    }
}

/// Nothing gets from one set of hosts to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) from: Hosts,
    pub(crate) to: Hosts,
}

impl Cut {
    fn stops(&self, from: usize, to: usize) -> bool {
        self.from.contains(from) && self.to.contains(to)
    }
}

/// What is cut at present.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    cuts: Vec<Cut>,
}

impl Routes {
    pub(crate) fn cut(&mut self, cut: Cut) {
        self.cuts.push(cut);
    }

    /// One of the cuts like this is mended.
    pub(crate) fn mend(&mut self, cut: &Cut) {
        if let Some(place) = self.cuts.iter().position(|other| other == cut) {
            self.cuts.swap_remove(place);
        }
    }

    pub(crate) fn is_open(&self, from: Option<usize>, to: Option<usize>) -> bool {
        match (from, to) {
            (Some(from), Some(to)) => from == to || !self.cuts.iter().any(|cut| cut.stops(from, to)),
            _ => true,
        }
    }
}
