//! Who is kept in the table, and who is not.

use super::*;
use crate::entropy::Seed;

struct Lab {
    table: Table,
    entropy: Entropy,
    start: Instant,
    hosts: u32,
}

impl Lab {
    fn new() -> Self {
        let start = Instant::now();
        let table = Table::new(NodeId([0; 20]), start);
        Self { table, entropy: Entropy::new(Seed([1; 32])), start, hosts: 0 }
    }

    /// A node on a host of its own that shares so many bits with us.
    fn contact(&mut self, shared: usize) -> Contact {
        self.hosts += 1;
        let address = (std::net::Ipv4Addr::from_bits(0x0a00_0000 + self.hosts), 6881).into();
        Contact { id: self.table.own.at_distance(shared, &mut self.entropy), address }
    }

    fn add(&mut self, contact: Contact) -> Place {
        self.table.answered(self.start, contact)
    }
}

#[test]
fn there_is_room_for_eight_at_each_distance() {
    let mut lab = Lab::new();
    for _ in 0..1000 {
        let contact = lab.contact(0);
        let place = lab.add(contact);
        assert!(matches!(place, Place::Taken | Place::Full(None)));
    }
    assert_eq!(lab.table.all().count(), K);
    for shared in 0..BITS {
        for _ in 0..20 {
            let contact = lab.contact(shared);
            lab.add(contact);
        }
    }
    // The names that share more bits than that fit into one bucket.
    let last = BITS - 3;
    assert_eq!(lab.table.buckets.len(), last + 1);
    for (index, bucket) in lab.table.buckets.iter().enumerate() {
        assert!(bucket.entries.len() <= K && bucket.spare.len() <= K);
        let shared = |entry: &Entry| lab.table.own.shared_bits(&entry.contact.id).min(last);
        assert!(bucket.entries.iter().all(|entry| shared(entry) == index));
    }
    assert!(lab.table.all().count() > 155 * K);
}

#[test]
fn ids_that_are_all_close_to_ours_are_taken_too() {
    let mut lab = Lab::new();
    for shared in [150, 155, 158, 159] {
        for _ in 0..4 {
            let contact = lab.contact(shared);
            lab.add(contact);
        }
    }
    // At 158 bits there are two names, at 159 one.
    assert!(lab.table.all().count() >= 11);
    assert_eq!(lab.table.closest(lab.start, &NodeId([0xff; 20]), K).len(), K);
}

#[test]
fn the_closest_are_found_in_their_order() {
    let mut lab = Lab::new();
    let contacts: Vec<_> = (0..40).map(|shared| lab.contact(shared)).collect();
    for &contact in &contacts {
        lab.add(contact);
    }
    let closest = lab.table.closest(lab.start, &lab.table.own, 3);
    assert_eq!(closest, [contacts[39], contacts[38], contacts[37]]);
}

#[test]
fn a_bad_node_makes_room_for_one_that_waits() {
    let mut lab = Lab::new();
    let contacts: Vec<_> = (0..=K).map(|_| lab.contact(0)).collect();
    // Another bucket, so that this one is not the last.
    let other = lab.contact(1);
    lab.add(other);
    let places: Vec<_> = contacts.iter().map(|&contact| lab.add(contact)).collect();
    assert_eq!(places[K], Place::Full(None));
    lab.table.failed(&contacts[3]);
    assert!(lab.table.all().any(|contact| contact == contacts[3]), "once may be an accident");
    let another = lab.contact(0);
    assert_eq!(lab.add(another), Place::Full(Some(contacts[3])), "it is to be asked again");
    lab.table.failed(&contacts[3]);
    assert!(!lab.table.all().any(|contact| contact == contacts[3]));
    assert!(lab.table.all().any(|contact| contact == another), "the one that was heard of last");
}

#[test]
fn bad_nodes_are_not_passed_on() {
    let mut lab = Lab::new();
    let (one, other) = (lab.contact(0), lab.contact(1));
    lab.add(one);
    lab.add(other);
    (0..FAILURES).for_each(|_| lab.table.failed(&one));
    assert_eq!(lab.table.closest(lab.start, &one.id, K), [other]);
    assert_eq!((lab.table.all().count(), lab.table.good(lab.start)), (2, 1), "it is kept in reserve");
    let another = lab.contact(0);
    assert!(lab.table.wants(lab.start, &another));
    lab.add(one);
    assert_eq!(lab.table.good(lab.start), 2);
}

#[test]
fn a_name_and_an_address_belong_together() {
    let mut lab = Lab::new();
    let one = lab.contact(0);
    lab.add(one);
    let thief = Contact { id: one.id, ..lab.contact(0) };
    assert_eq!(lab.add(thief), Place::Refused);
    let renamed = Contact { address: one.address, ..lab.contact(5) };
    assert_eq!(lab.add(renamed), Place::Taken);
    assert_eq!(lab.table.all().collect::<Vec<_>>(), [renamed]);
    let own = Contact { id: lab.table.own, ..lab.contact(0) };
    assert_eq!(lab.add(own), Place::Refused);
    let moved = Contact { id: renamed.id, ..lab.contact(0) };
    lab.table.failed(&renamed);
    assert_eq!(lab.add(moved), Place::Taken, "it did not answer at its old place");
}

#[test]
fn one_host_does_not_fill_a_bucket() {
    let mut lab = Lab::new();
    let host = lab.contact(0).address.ip();
    for port in 1..100 {
        let id = lab.contact(0).id;
        lab.add(Contact { id, address: SocketAddr::new(host, port) });
    }
    assert_eq!(lab.table.all().count(), OF_HOST);
}

#[test]
fn what_is_stale_is_refreshed() {
    let mut lab = Lab::new();
    for shared in [0, 0, 0, 0, 0, 1, 1, 1, 2, 2] {
        let contact = lab.contact(shared);
        lab.add(contact);
    }
    let late = lab.start + STALE;
    assert_eq!(lab.table.next_refresh(lab.start, &mut lab.entropy), None);
    let targets: Vec<_> = std::iter::from_fn(|| lab.table.next_refresh(late, &mut lab.entropy)).collect();
    let shared: Vec<_> = targets.iter().map(|id| lab.table.own.shared_bits(id)).collect();
    assert_eq!(shared, [0, 1]);
    assert_eq!(lab.table.good(late), 0);
    let contact = lab.table.all().next().unwrap();
    lab.table.asked(late, &contact);
    assert_eq!(lab.table.good(late), 1);
}
