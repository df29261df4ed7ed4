//! Which of a node's files are written, and which are to be copies of one that is.

/// The files of one transfer, by the place of their request.
#[derive(Debug)]
pub(super) struct Copies {
    /// The file that each is to be a copy of. None: it is written, or it is made already, or gone.
    originals: Vec<Option<usize>>,
}

impl Copies {
    /// All are written.
    pub(super) fn new(files: usize) -> Self {
        Self { originals: vec![None; files] }
    }

    /// What `file` is to be a copy of.
    pub(super) fn original_of(&self, file: usize) -> Option<usize> {
        self.originals.get(file).copied().flatten()
    }

    pub(super) fn add(&mut self, file: usize, original: usize) {
        self.originals[file] = Some(original);
    }

    /// The copies that `original` is to have, in order.
    pub(super) fn of(&self, original: usize) -> Vec<usize> {
        (0..self.originals.len()).filter(|&file| self.original_of(file) == Some(original)).collect()
    }

    /// A copy is made, or will not be.
    pub(super) fn remove(&mut self, file: usize) {
        self.originals[file] = None;
    }

    /// One of the copies has what its original had, and is written from now on: the others become copies of it.
    pub(super) fn succeed(&mut self, heir: usize) {
        let original = self.originals[heir].take();
        let others = self.originals.iter_mut().filter(|other| other.is_some() && **other == original);
        others.for_each(|other| *other = Some(heir));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_follow_the_one_that_is_written() {
        let mut copies = Copies::new(6);
        for (file, original) in [(1, 0), (2, 0), (4, 3), (5, 0)] {
            copies.add(file, original);
        }
        assert_eq!(copies.of(0), [1, 2, 5]);
        copies.remove(1);
        copies.succeed(2);
        assert_eq!((copies.original_of(2), copies.of(0), copies.of(2)), (None, vec![], vec![5]));
        assert_eq!(copies.of(3), [4], "those of others stay");
        copies.succeed(5);
        assert_eq!((copies.of(2), copies.of(5)), (vec![], vec![]));
        assert_eq!(copies.original_of(99), None);
    }

    #[test]
    fn who_is_no_copy_has_no_others_to_take_along() {
        let mut copies = Copies::new(3);
        copies.add(2, 1);
        copies.succeed(0);
        assert_eq!(copies.of(1), [2]);
    }
}
