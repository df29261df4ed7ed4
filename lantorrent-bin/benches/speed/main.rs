//! x
mod loopback;
mod process;
mod relay;

use loopback::*;
use relay::Way;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let Some((&"relay", rest)) = words.split_first() {
        return relay::main(rest).expect("the relay failed");
    }
    let option = |name: &str, default: usize| {
        let place = arguments.iter().position(|argument| argument == name);
        place.and_then(|place| arguments.get(place + 1)?.parse().ok()).unwrap_or(default)
    };
    let (size, runs) = (option("--size", 1024) << 20, option("--runs", 5));
    let bench = Bench::new(std::path::Path::new("/dev/shm"), size);
    let carriers = [Carrier::Relay(Way::SpliceTee), Carrier::Relay(Way::ReadWrite), Carrier::Wire2];
    let mut all: Vec<Vec<Cost>> = vec![vec![]; carriers.len()];
    for _ in 0..runs {
        for (c, v) in carriers.iter().zip(&mut all) { v.push(bench.run(*c)); }
    }
    for (c, mut v) in carriers.iter().zip(all) {
        v.sort_by_key(|x| x.wall); let w = v[v.len()/2].wall;
        v.sort_by_key(|x| x.cpu); let cp = v[v.len()/2].cpu;
        println!("{c:?} wall {:.2} (min {:.2}) cpu/GiB/hop {:.2} min {:.2} peak {:.1}", w.as_secs_f64(), v.iter().map(|x| x.wall).min().unwrap().as_secs_f64(), cp.as_secs_f64()/3.0/(size as f64/(1u64<<30) as f64),v[0].cpu.as_secs_f64()/3.0/(size as f64/(1u64<<30) as f64), v.iter().map(|x|x.peak).max().unwrap() as f64/1048576.0);
    }
}
