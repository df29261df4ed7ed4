//! Sharing out the list among several children. PROTOCOL.md, "Trees".

/// Divides `list` into at most `degree` contiguous runs whose lengths differ by at most one, longer ones first.
/// Everything in `list` is in exactly one run, and no run is empty.
///
/// ```
/// use lantorrent_core::session::share;
/// assert_eq!(share(vec![1, 2, 3, 4, 5], 2), [vec![1, 2, 3], vec![4, 5]]);
/// ```
pub fn share<T>(list: Vec<T>, degree: u32) -> Vec<Vec<T>> {
    let runs = list.len().min(degree as usize);
    let mut rest = list.into_iter();
    let mut left = rest.len();
    (0..runs)
        .map(|run| {
            let take = left.div_ceil(runs - run);
            left -= take;
            rest.by_ref().take(take).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_once_and_in_order() {
        for len in 0..40_u32 {
            for degree in 1..12 {
                let runs = share((0..len).collect(), degree);
                assert!(runs.len() as u32 <= degree);
                assert!(runs.iter().all(|run| !run.is_empty()));
                let longest = runs.iter().map(Vec::len).max().unwrap_or(0);
                assert!(runs.iter().all(|run| run.len() + 1 >= longest));
                assert!(runs.concat().into_iter().eq(0..len));
            }
        }
    }
}
