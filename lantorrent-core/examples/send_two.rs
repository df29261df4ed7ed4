//! Sends a file to two nodes and shows how far each is; Ctrl-C cancels the second, and the first goes on.
//!
//! `LANTORRENT_PASSWORD=... cargo run --example send_two FILE HOST[:PORT]/PATH HOST[:PORT]/PATH`

use lantorrent_core::{Keyring, Password, Transfer, TransferEvent};
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, first, second] = &arguments[..] else {
        return Err("usage: send_two FILE TARGET TARGET".into());
    };
    let keys = Keyring::new(Password::new(std::env::var("LANTORRENT_PASSWORD")?)?);
    let transfer =
        Transfer::from_file(file, keys)?.to(first.parse()?).to(second.parse()?).on_event(|event| {
            if let TransferEvent::Progress(progress) = event {
                for (target, at) in progress.targets() {
                    println!("{target}: {:?}, {} bytes sent in all", at.state, progress.sent);
                }
            }
        });
    let handle = transfer.handle();
    let mut signals = Signals::new([SIGINT])?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            handle.cancel(1).expect("there are two targets");
        }
    });
    let outcome = transfer.send()?;
    for ended in outcome.targets() {
        match &ended.result {
            Ok(()) => println!("{} has the file", ended.target),
            Err(failure) => println!("{}: {failure}", ended.target),
        }
    }
    Ok(outcome.into_result().map_err(|error| error.to_string())?)
}
