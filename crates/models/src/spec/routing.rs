//! Which experts a router chooses.

use super::RouterSpec;

impl RouterSpec {
    /// The best experts of the best groups by their scores, [`chosen`](Self::chosen) of them; where
    /// scores are equal, the first.
    pub(crate) fn best(&self, scores: &[f32]) -> Vec<u32> {
        let size = scores.len() / self.groups;
        let group_score = |group: usize| {
            let members = &scores[group * size..][..size];
            best(members, 2.min(size), |_| true).map(|member| members[member as usize]).sum::<f32>()
        };
        let group_scores: Vec<f32> = (0..self.groups).map(group_score).collect();
        let groups: Vec<u32> = best(&group_scores, self.chosen_groups, |_| true).collect();
        best(scores, self.chosen, |expert| groups.contains(&((expert / size) as u32))).collect()
    }
}

/// The indices of the `count` largest of `scores` that may be taken, the largest first.
fn best(scores: &[f32], count: usize, may: impl Fn(usize) -> bool) -> impl Iterator<Item = u32> {
    let mut order: Vec<usize> = (0..scores.len()).filter(|index| may(*index)).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order.into_iter().take(count).map(|index| index as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{LinearSpec, Scoring};

    fn router(chosen: usize, groups: usize, chosen_groups: usize) -> RouterSpec {
        RouterSpec {
            gate: LinearSpec::new("gate", 1, 6, false),
            scoring: Scoring::Sigmoid,
            correction: None,
            chosen,
            groups,
            chosen_groups,
            normalise: true,
            scale: 1.0,
        }
    }

    #[test]
    fn the_best_are_chosen_and_the_first_of_equals() {
        assert_eq!(router(2, 1, 1).best(&[0.1, 0.5, 0.3, 0.5, 0.2, 0.5]), [1, 3]);
    }

    #[test]
    fn groups_are_chosen_by_their_two_best() {
        // The groups sum to 0.8, 1.1 and 0.9, so the best expert of all is out of reach.
        let scores = [0.8, 0.0, 0.5, 0.6, 0.4, 0.5];
        assert_eq!(router(3, 3, 2).best(&scores), [3, 2, 5]);
    }
}
