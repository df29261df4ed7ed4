//! What is tested. There is no cell that cannot be: with what its adapter tells it every program can do all of it.

use crate::content::Kind;
use crate::programs::Program;
use crate::tracker::Tracker;

/// How a leecher finds the file, and by nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Http(Tracker),
    Udp(Tracker),
    /// Local peer discovery.
    Lpd,
    Dht,
    /// By a link that names nothing but the hash and our tracker.
    Magnet,
    /// From a web server, without any peer.
    WebSeed,
}

/// One program serves, another one fetches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) way: Way,
    /// None where the file is on the web.
    pub(crate) seeder: Option<Program>,
    pub(crate) leecher: Program,
}

const WAYS: [Way; 8] = [
    Way::Dht,
    Way::Lpd,
    Way::Http(Tracker::Ours),
    Way::Http(Tracker::Opentracker),
    Way::Udp(Tracker::Ours),
    Way::Udp(Tracker::Opentracker),
    Way::Magnet,
    Way::WebSeed,
];

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Http(Tracker::Ours) => "http",
            Self::Http(Tracker::Opentracker) => "http_opentracker",
            Self::Udp(Tracker::Ours) => "udp",
            Self::Udp(Tracker::Opentracker) => "udp_opentracker",
            Self::Lpd => "lpd",
            Self::Dht => "dht",
            Self::Magnet => "magnet",
            Self::WebSeed => "web_seed",
        }
    }

    /// The tracker that is needed for it.
    pub(crate) fn tracker(self) -> Option<Tracker> {
        match self {
            Self::Http(tracker) | Self::Udp(tracker) => Some(tracker),
            Self::Magnet => Some(Tracker::Ours),
            Self::Lpd | Self::Dht | Self::WebSeed => None,
        }
    }
}

impl Cell {
    /// Files and folders are each tried with about half of the ways.
    pub(crate) fn content(self) -> Kind {
        match self.way {
            Way::Dht | Way::Lpd | Way::Http(_) => Kind::File,
            _ if self.is_with(Program::Transmission) => Kind::TameFolder,
            Way::Udp(_) | Way::Magnet | Way::WebSeed => Kind::Folder,
        }
    }

    fn is_with(self, program: Program) -> bool {
        self.seeder == Some(program) || self.leecher == program
    }

    pub(crate) fn name(self) -> String {
        let seeder = self.seeder.map(|seeder| format!("_{}", seeder.name())).unwrap_or_default();
        format!("{}{seeder}_to_{}", self.way.name(), self.leecher.name())
    }

    /// Whether it is to be fast, not only to succeed: two of ours that hear each other.
    pub(crate) fn is_measured(self) -> bool {
        self.way == Way::Lpd && self.seeder == Some(Program::Ours) && self.leecher == Program::Ours
    }

    /// What would show nothing of ours: others through a tracker of others.
    fn is_foreign(self) -> bool {
        let tracker = self.way.tracker() == Some(Tracker::Opentracker);
        tracker && self.seeder != Some(Program::Ours) && self.leecher != Program::Ours
    }
}

/// All of them, those first that take longest.
pub(crate) fn cells() -> Vec<Cell> {
    let of_way = |way| {
        let seeders = if way == Way::WebSeed { vec![None] } else { Program::ALL.map(Some).to_vec() };
        let of_seeder = move |seeder| Program::ALL.map(|leecher| Cell { way, seeder, leecher });
        seeders.into_iter().flat_map(of_seeder)
    };
    let mut cells: Vec<Cell> = WAYS.into_iter().flat_map(of_way).filter(|cell| !cell.is_foreign()).collect();
    cells.sort_by_key(|cell| !(cell.way == Way::Dht && cell.is_with(Program::Transmission)));
    cells
}
