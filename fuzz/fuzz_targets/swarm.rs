#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lantorrent_swarm::fuzz::swarm(input));
