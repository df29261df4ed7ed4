//! The search for the nodes that are closest to an id, each answer leading closer.

use super::id::NodeId;
use super::message::Contact;
use super::table::K;

/// Queries that wait for their answers at the same time; those that have waited long do not count.
const ALPHA: usize = 3;
/// Nodes that one lookup keeps in mind, and asks.
const CANDIDATES: usize = 128;
const ASKED: usize = 100;
/// Names under which a node is asked.
const NAMES: usize = 2;

#[derive(Debug)]
pub(super) struct Lookup {
    target: NodeId,
    /// The closest first.
    candidates: Vec<Candidate>,
    asked: usize,
}

#[derive(Debug)]
struct Candidate {
    contact: Contact,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    New,
    Asked,
    /// Its answer may still come, but nobody waits for it.
    Slow,
    Answered(Option<Vec<u8>>),
    Failed,
}

impl Lookup {
    pub(super) fn new(target: NodeId, start: Vec<Contact>) -> Self {
        let mut lookup = Self { target, candidates: Vec::new(), asked: 0 };
        lookup.learn(start);
        lookup
    }

    pub(super) fn target(&self) -> NodeId {
        self.target
    }

    /// Whom to ask next, if somebody is to be asked now.
    pub(super) fn next(&mut self) -> Option<Contact> {
        let waiting = self.candidates.iter().filter(|candidate| candidate.state == State::Asked).count();
        if waiting >= ALPHA || self.asked >= ASKED {
            return None;
        }
        let hopeful = self.candidates.iter_mut().filter(|candidate| candidate.state != State::Failed);
        let next = hopeful.take(K).find(|candidate| candidate.state == State::New)?;
        next.state = State::Asked;
        self.asked += 1;
        Some(next.contact)
    }

    /// Whether there is nobody left to ask or to wait for. Ask for [`next`](Self::next) first.
    pub(super) fn is_over(&self) -> bool {
        let hopeful = self.candidates.iter().filter(|candidate| candidate.state != State::Failed);
        let pending = |candidate: &Candidate| match candidate.state {
            State::Asked | State::Slow => true,
            State::New => self.asked < ASKED,
            State::Answered(_) | State::Failed => false,
        };
        !hopeful.take(K).any(pending)
    }

    /// The node has answered, and named others.
    pub(super) fn answered(&mut self, from: &Contact, token: Option<Vec<u8>>, nodes: Vec<Contact>) {
        self.set(from, State::Answered(token));
        self.learn(nodes);
    }

    /// The node takes its time.
    pub(super) fn is_slow(&mut self, contact: &Contact) {
        self.set(contact, State::Slow);
    }

    /// The node has not answered, or not as itself.
    pub(super) fn failed(&mut self, contact: &Contact) {
        self.set(contact, State::Failed);
    }

    /// The closest nodes that have answered, and their tokens.
    pub(super) fn closest(self) -> impl Iterator<Item = (Contact, Option<Vec<u8>>)> {
        let answered = self.candidates.into_iter().filter_map(|candidate| match candidate.state {
            State::Answered(token) => Some((candidate.contact, token)),
            _ => None,
        });
        answered.take(K)
    }

    fn set(&mut self, contact: &Contact, state: State) {
        if let Some(candidate) = self.candidates.iter_mut().find(|candidate| candidate.contact == *contact) {
            candidate.state = state;
        }
    }

    /// No more than the closest K of an answer count, however many it has.
    pub(super) fn learn(&mut self, mut nodes: Vec<Contact>) {
        nodes.sort_unstable_by_key(|contact| contact.id.distance(&self.target));
        for contact in nodes.into_iter().take(K) {
            if self.may_learn(&contact) {
                let distance = contact.id.distance(&self.target);
                let closer = |candidate: &Candidate| candidate.contact.id.distance(&self.target) <= distance;
                let place = self.candidates.partition_point(closer);
                self.candidates.insert(place, Candidate { contact, state: State::New });
            }
        }
        // Whom nobody has asked yet, and who is furthest away, is not asked.
        while self.candidates.len() > CANDIDATES {
            let furthest = self.candidates.iter().rposition(|candidate| candidate.state == State::New);
            self.candidates.remove(furthest.unwrap_or(self.candidates.len() - 1));
        }
    }

    /// Others may give a node a wrong name, by which it does not answer; but not any number of them.
    fn may_learn(&self, contact: &Contact) -> bool {
        let there = |candidate: &&Candidate| candidate.contact.address == contact.address;
        let mut names = self.candidates.iter().filter(there).map(|candidate| candidate.contact.id);
        let is_new = names.clone().all(|id| id != contact.id);
        is_new && names.nth(NAMES - 1).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(number: u8) -> Contact {
        let mut id = [0; 20];
        id[0] = number;
        Contact { id: NodeId(id), address: ([10, 0, 0, number], 6881).into() }
    }

    fn lookup(numbers: impl IntoIterator<Item = u8>) -> Lookup {
        Lookup::new(NodeId([0; 20]), numbers.into_iter().map(contact).collect())
    }

    fn asked(lookup: &mut Lookup) -> Vec<u8> {
        std::iter::from_fn(|| lookup.next()).map(|contact| contact.id.0[0]).collect()
    }

    #[test]
    fn each_answer_leads_closer() {
        let mut lookup = lookup([200, 100, 150]);
        assert_eq!(asked(&mut lookup), [100, 150, 200]);
        lookup.answered(&contact(150), None, (20..40).map(contact).collect());
        assert_eq!(asked(&mut lookup), [20], "three at a time");
        lookup.answered(&contact(20), Some(b"t".to_vec()), Vec::new());
        lookup.is_slow(&contact(100));
        assert_eq!(asked(&mut lookup), [21, 22], "who is slow is not waited for");
        assert!(!lookup.is_over());
        for number in 21..28 {
            lookup.answered(&contact(number), None, Vec::new());
            asked(&mut lookup);
        }
        assert!(lookup.is_over(), "the eight closest have answered");
        let closest: Vec<_> = lookup.closest().map(|(contact, token)| (contact.id.0[0], token)).collect();
        assert_eq!(closest.len(), K);
        assert_eq!(closest[0], (20, Some(b"t".to_vec())));
        assert_eq!(closest[7].0, 27);
    }

    #[test]
    fn who_fails_is_replaced_by_the_next() {
        let mut lookup = lookup([1, 2, 3, 4]);
        assert_eq!(asked(&mut lookup), [1, 2, 3]);
        lookup.failed(&contact(1));
        assert_eq!(asked(&mut lookup), [4]);
        for number in [2, 3, 4] {
            lookup.failed(&contact(number));
        }
        assert!(lookup.is_over());
        assert_eq!(lookup.closest().count(), 0);
    }

    #[test]
    fn a_wrong_name_does_not_hide_a_node() {
        let named = |name| Contact { address: contact(9).address, ..contact(name) };
        let mut lookup = Lookup::new(NodeId([0; 20]), [1, 9, 2, 2].map(named).into());
        assert_eq!(asked(&mut lookup), [1, 2], "two names, and each once");
        lookup.learn(vec![named(3)]);
        assert!(asked(&mut lookup).is_empty());
    }

    #[test]
    fn with_nobody_to_ask_it_is_over_at_once() {
        let mut lookup = lookup([]);
        assert_eq!(lookup.next(), None);
        assert!(lookup.is_over());
    }

    #[test]
    fn liars_do_not_keep_it_going_for_ever() {
        let mut lookup = lookup([255]);
        let (mut number, mut asked) = (0_u32, 0);
        while let Some(liar) = lookup.next() {
            asked += 1;
            let invented = (0..100).map(|_| {
                number += 1;
                let mut id = [0; 20];
                id[16..].copy_from_slice(&(u32::MAX - number).to_be_bytes());
                Contact { id: NodeId(id), address: (std::net::Ipv4Addr::from_bits(number), 1).into() }
            });
            lookup.answered(&liar, None, invented.collect());
            assert!(lookup.candidates.len() <= CANDIDATES);
        }
        assert!(lookup.is_over());
        assert_eq!(asked, ASKED);
    }
}
