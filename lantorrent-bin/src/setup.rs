//! What a command does first: finds lt.ini, reads it, and has the log follow it. Daemons do so again when they are told to.

use std::path::{Path, PathBuf};

use log::LevelFilter;

use crate::args::Arguments;
use crate::config::{Config, Home, absolute};
use crate::exit::Failure;
use crate::logger::{self, Shown, Sinks};

/// What a sender shows: of the library only what is not in the results.
pub(crate) const SENDER: Shown = Shown { own: LevelFilter::Warn, library: LevelFilter::Error };

/// Where lt.ini is, and what is shown of what is logged.
pub(crate) struct Setup {
    pub(crate) home: Home,
    pub(crate) file: PathBuf,
    verbose: u8,
    usual: Shown,
}

impl Setup {
    /// With `usual` on standard error unless more is asked for.
    pub(crate) fn of(arguments: &Arguments, usual: Shown) -> Result<Self, Failure> {
        let (home, file) = places(arguments)?;
        Ok(Self { home, file, verbose: arguments.verbose, usual })
    }

    /// Reads lt.ini, and has the log go where that says, which is opened anew.
    pub(crate) fn read(&self) -> Result<Config, Failure> {
        let config = Config::load(&self.file, &self.home)?;
        logger::change(&self.sinks(&config))?;
        warn_of_unknown(&config);
        Ok(config)
    }

    /// The same for a daemon that runs. If it goes wrong, what was read before holds on, but for the log, which is opened
    /// anew in any case.
    pub(crate) fn read_again(&self) -> Result<Config, Failure> {
        self.read().inspect_err(|_| {
            if let Err(failure) = logger::reopen() {
                log::error!("{failure}");
            }
        })
    }

    fn sinks<'a>(&self, config: &'a Config) -> Sinks<'a> {
        let level = config.log_level.unwrap_or(LevelFilter::Info);
        let file = config.log_file.as_deref().map(|file| (file, level));
        // What is in the file need not be on standard error as well, unless it is serious.
        let most = if file.is_some() { LevelFilter::Warn } else { LevelFilter::Trace };
        let usual = Shown { own: self.usual.own.min(most), library: self.usual.library.min(most) };
        // A peer may be at the other end of standard error.
        let stderr = if usual == Shown::all(LevelFilter::Off) { usual } else { shown(self.verbose, usual) };
        Sinks { file, stderr }
    }
}

/// The same for a command that asks an agent, maybe on a machine that has nothing of ours but this program. What such a
/// client does is in the agent's log.
pub(crate) fn of_client(arguments: &Arguments) -> Result<(Config, Home), Failure> {
    let home = Home::find()?;
    let config = match &arguments.config {
        Some(file) => Config::load(&absolute(file)?, &home)?,
        None => Config::of_client(&home)?,
    };
    on_stderr(arguments, SENDER)?;
    warn_of_unknown(&config);
    Ok((config, home))
}

/// Logging alone, for a command without an lt.ini.
pub(crate) fn on_stderr(arguments: &Arguments, usual: Shown) -> Result<(), Failure> {
    logger::install(&Sinks { file: None, stderr: shown(arguments.verbose, usual) })
}

/// Where things are, and lt.ini among them.
pub(crate) fn places(arguments: &Arguments) -> Result<(Home, PathBuf), Failure> {
    let home = Home::find()?;
    let file = arguments.config.as_deref().map_or_else(|| home.config(), |file: &Path| absolute(file))?;
    Ok((home, file))
}

fn warn_of_unknown(config: &Config) {
    for what in &config.unknown {
        log::warn!("{}: {what}", config.file.display());
    }
}

fn shown(verbose: u8, usual: Shown) -> Shown {
    match verbose {
        0 => usual,
        1 => Shown::all(LevelFilter::Debug),
        _ => Shown::all(LevelFilter::Trace),
    }
}
