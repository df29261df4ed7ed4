//! Swarms of any kind, in which anything goes wrong that may: everybody who stays gets everything, nobody takes what is
//! wrong, liars are found, and nobody else is taken for one.

use std::net::{IpAddr, SocketAddr};

use lantorrent_swarm::swarm::Limits;

use crate::driver::Driver;
use crate::liar::Habit;
use crate::many::{many, only, replay, wanted};
use crate::random::Random;
use crate::scenario::{Role, Scenario, address, driver, tell};
use crate::web::WebServer;
use crate::world::{Happening, HostId, Program, Step, World};

/// Simulated time in which every swarm has to be done.
const LIMIT: u64 = 3_000_000_000;

fn pick<T: Clone>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len())].clone()
}

/// Any swarm. Its first host always has everything, and stays.
fn any(random: &mut Random) -> Scenario {
    let mut roles = vec![Role::Seed];
    for _ in 0..=random.below(6) {
        roles.push(pick(random, &[Role::Leecher, Role::Leecher, Role::Leecher, Role::Magnet, Role::Seed]));
    }
    for _ in 0..random.below(3) {
        let habits = [Habit::Silent, Habit::Garbage, Habit::Flood].map(Role::Liar);
        let spoilers = [Role::Spoiler(3), Role::Spoiler(30), Role::Spoiler(100)];
        roles.push(pick(random, &[habits, spoilers].concat()));
    }
    let rates = [30_000, 300_000, 3_000_000, 30_000_000];
    let rates = roles.iter().map(|_| (pick(random, &rates), pick(random, &rates))).collect();
    let piece_length = pick(random, &[16 << 10, 32 << 10, 40_000, 64 << 10, 100_000]);
    let web = WebServer {
        rate: pick(random, &[50_000, 5_000_000]),
        fails: pick(random, &[0, 0, 100]),
        lies: random.below(4) == 0,
    };
    Scenario {
        roles,
        rates,
        length: 1 + random.below(30 * piece_length as usize) as u64,
        piece_length,
        info: pick(random, &[100, 16 << 10, 50_000]),
        limits: Limits::default()
            .connections(pick(random, &[3, 5, 200]))
            .connecting(pick(random, &[1, 32]))
            .upload_slots(pick(random, &[1, 2, 4, 100]))
            .unfinished(pick(random, &[0, 200_000, 64 << 20]))
            .download(pick(random, &[None, None, Some(100_000)])),
        webs: vec![web; pick(random, &[0, 0, 1, 2])],
        latency: pick(random, &[100, 5_000, 50_000]),
    }
}

/// A host that goes, and comes again with what it has; or does not.
#[derive(Debug, Clone, Copy)]
struct Churn {
    host: HostId,
    off: u64,
    on: Option<u64>,
}

fn churn(random: &mut Random, scenario: &Scenario) -> Vec<Churn> {
    let honest = (1..scenario.roles.len()).filter(|host| scenario.roles[*host].is_honest());
    let goes = honest.filter(|_| random.below(4) == 0).collect::<Vec<_>>();
    let churn = |host| {
        let off = random.below(20_000_000) as u64;
        Churn { host, off, on: (random.below(2) == 0).then(|| off + random.below(30_000_000) as u64) }
    };
    goes.into_iter().map(churn).collect()
}

fn run(seed: u64) {
    let random = &mut Random::new(seed);
    let scenario = any(random);
    let churn = churn(random, &scenario);
    let mut world = scenario.world(seed);
    let hosts = scenario.roles.len();
    introduce(&scenario, &mut world, random);
    for (place, churn) in churn.iter().enumerate() {
        world.net.at(churn.off, Happening::Scenario(2 * place));
        if let Some(on) = churn.on {
            world.net.at(on, Happening::Scenario(2 * place + 1));
        }
    }
    let mut asleep: Vec<Option<Driver>> = (0..hosts).map(|_| None).collect();
    let must = |host: HostId| {
        let wants = matches!(scenario.roles[host], Role::Leecher | Role::Magnet);
        wants && churn.iter().all(|churn| churn.host != host || churn.on.is_some())
    };
    let mut steps = 0_u64;
    loop {
        steps += 1;
        let done = |host| driver(&world, host).is_some_and(|driver| driver.stored.is_full());
        if steps.is_multiple_of(64) && (0..hosts).filter(|host| must(*host)).all(done) {
            break;
        }
        match world.step() {
            _ if world.net.micros > LIMIT || steps > 20_000_000 => stuck(&scenario, &world),
            Step::Nothing => break,
            Step::Done => {}
            Step::Scenario(what) => {
                let host = churn[what / 2].host;
                if what % 2 == 0 {
                    if let Program::Driver(driver) = world.switch_off(host) {
                        asleep[host] = Some(*driver);
                    }
                } else {
                    let kept = asleep[host].take().filter(|driver| driver.torrent.have().is_some());
                    let kept = kept.map(|driver| driver.stored);
                    let program = scenario.program(&mut world, host, kept);
                    world.switch_on(host, program);
                    tell(&mut world, host, 0..hosts);
                }
            }
        }
    }
    for host in (0..hosts).filter(|host| scenario.roles[*host].is_honest()) {
        if let Some(driver) = driver(&world, host) {
            assert!(driver.stored.is_full() || !must(host), "host {host} lacks pieces");
            judge(&scenario, driver);
        }
    }
}

/// Everybody hears of all, or of one after the first, so that they have to hear of the others by these.
fn introduce(scenario: &Scenario, world: &mut World, random: &mut Random) {
    let hosts = scenario.roles.len();
    let all = random.below(3) > 0;
    for host in 0..hosts {
        let known = if all { (0..hosts).collect() } else { vec![0, (host + 1) % hosts] };
        tell(world, host, known);
    }
}

fn stuck(scenario: &Scenario, world: &World) {
    for host in 0..scenario.roles.len() {
        if let Some(driver) = driver(world, host) {
            eprintln!(
                "host {host} {:?}: {:?} {:?}",
                scenario.roles[host],
                driver.torrent.progress(world.net.now()),
                driver.torrent.peers(world.net.now()).collect::<Vec<_>>()
            );
        }
    }
    panic!("not done after {} s: {scenario:?}", world.net.micros / 1_000_000);
}

/// Whether a driver has found the liars, and nobody else.
fn judge(scenario: &Scenario, driver: &Driver) {
    let honest = |ip: IpAddr| {
        let host = (0..scenario.roles.len()).find(|host| address(*host).ip() == ip);
        host.is_some_and(|host| scenario.roles[host].is_honest())
    };
    assert!(!driver.banned.iter().any(|banned| honest(banned.ip())), "banned {:?}", driver.banned);
    let broken: Vec<_> = driver.broken.iter().filter(|(other, _)| honest(other.ip())).collect();
    assert!(broken.is_empty(), "{broken:?}");
    if driver.stored.is_full() {
        let spoilers: Vec<&SocketAddr> =
            driver.spoilers.iter().filter(|spoiler| driver.is_connected(spoiler.ip())).collect();
        assert!(spoilers.is_empty(), "still connected to {spoilers:?}, who have sent wrong data");
    }
}

#[test]
fn everybody_who_stays_gets_everything() {
    if let Some(seed) = only() {
        return run(seed);
    }
    let seeds = wanted(1500);
    let failures = many(&seeds, run);
    for failure in failures.iter().take(10) {
        eprintln!("{}\n    {}", failure.message, replay(failure.seed));
    }
    assert!(failures.is_empty(), "{} of the seeds {seeds:?} failed", failures.len());
}
