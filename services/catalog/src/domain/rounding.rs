//! The only two places where money is rounded: a quotient to the nearest whole number, and a whole amount cut
//! into whole parts that add up to it.

/// `numerator / denominator` to the nearest whole number, halves to the even one, so that rounding many amounts
/// favours nobody. For what is not negative, and a denominator above 0.
pub fn half_even(numerator: i128, denominator: i128) -> i128 {
    let (whole, rest) = (numerator / denominator, numerator % denominator);
    let is_odd = whole % 2 == 1;
    match (rest * 2).cmp(&denominator) {
        std::cmp::Ordering::Less => whole,
        std::cmp::Ordering::Equal => whole + i128::from(is_odd),
        std::cmp::Ordering::Greater => whole + 1,
    }
}

/// So many millionths of an amount, or hundredths of a percent, or whatever the parts of `of` are. An amount that
/// is not negative, and a share of at most the whole.
pub fn share(amount: i64, parts: u32, of: u32) -> i64 {
    let share = half_even(i128::from(amount) * i128::from(parts), i128::from(of));
    i64::try_from(share).expect("a share is not above the amount")
}

/// Cuts `total` into parts in proportion to the weights. What whole units leave over goes to those who lost the
/// largest fractions, the first of equals. The parts add up to `total` exactly, and when that is not above the
/// sum of the weights, no part is above its weight. Without any weight there is nothing to cut: `total` is 0.
pub fn allocate(total: i64, weights: &[i64]) -> Vec<i64> {
    let sum: i128 = weights.iter().copied().map(i128::from).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let exact = |weight: &i64| {
        let product = i128::from(total) * i128::from(*weight);
        (product / sum, product % sum)
    };
    let (mut parts, fractions): (Vec<i128>, Vec<i128>) = weights.iter().map(exact).unzip();
    let left_over = i128::from(total) - parts.iter().sum::<i128>();
    let mut by_fraction: Vec<usize> = (0..weights.len()).collect();
    // Stable: the first of equals stays the first.
    by_fraction.sort_by(|a, b| fractions[*b].cmp(&fractions[*a]));
    for i in by_fraction.into_iter().take(usize::try_from(left_over).expect("fewer than there are weights")) {
        parts[i] += 1;
    }
    parts.into_iter().map(|part| i64::try_from(part).expect("a part is not above the total")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::Config;

    #[test]
    fn halves_go_to_the_even_neighbour() {
        let cases = [
            (0, 10, 0),
            (4, 10, 0),
            (5, 10, 0),
            (6, 10, 1),
            (15, 10, 2),
            (25, 10, 2),
            (35, 10, 4),
            (1, 3, 0),
        ];
        for (numerator, denominator, rounded) in cases {
            assert_eq!(half_even(numerator, denominator), rounded, "{numerator}/{denominator}");
        }
        assert_eq!(share(250, 1, 100), 2, "2.5 goes to 2");
        assert_eq!(share(350, 1, 100), 4, "3.5 goes to 4");
        assert_eq!(share(i64::MAX, 10_000, 10_000), i64::MAX);
    }

    #[test]
    fn the_largest_fractions_get_what_is_left_over() {
        let cases: &[(i64, &[i64], &[i64])] = &[
            (100, &[1, 1, 1], &[34, 33, 33]),
            (2, &[1, 1, 1], &[1, 1, 0]),
            (1, &[1, 5, 4], &[0, 1, 0]),
            (10, &[0, 3, 0, 7], &[0, 3, 0, 7]),
            (5, &[3, 3, 3], &[2, 2, 1]),
            (0, &[3, 4], &[0, 0]),
            (0, &[0, 0], &[0, 0]),
            (0, &[], &[]),
            (i64::MAX, &[i64::MAX, 0], &[i64::MAX, 0]),
        ];
        for (total, weights, parts) in cases {
            assert_eq!(allocate(*total, weights), *parts, "{total} over {weights:?}");
        }
    }

    proptest! {
        #![proptest_config(Config { cases: 256, failure_persistence: None, ..Config::default() })]

        #[test]
        fn parts_add_up_and_are_within_their_weights(
            weights in prop::collection::vec(prop_oneof![Just(0), 0..20i64, 0..1_000_000_000_000_000i64], 1..60),
            part in 0..=1_000_000u32,
        ) {
            let total = share(weights.iter().sum(), part, 1_000_000);
            let parts = allocate(total, &weights);
            prop_assert_eq!(parts.iter().sum::<i64>(), total);
            for (part, weight) in parts.iter().zip(&weights) {
                prop_assert!((0..=*weight).contains(part), "{} of {}", part, weight);
            }
        }
    }
}
