//! Times in messages.
use souk_kernel::Timestamp;

/// The message form of a time.
pub fn to_proto(time: Timestamp) -> prost_types::Timestamp {
    let nanos = time.unix_us().rem_euclid(1_000_000) * 1_000;
    prost_types::Timestamp { seconds: time.unix_s(), nanos: i32::try_from(nanos).expect("below a second") }
}

/// Reads a time; `None` when it is not between the years 1 and 9999. What is finer than a microsecond is
/// dropped.
pub fn from_proto(time: &prost_types::Timestamp) -> Option<Timestamp> {
    const FIRST_S: i64 = -62_135_596_800;
    const LAST_S: i64 = 253_402_300_799;
    let in_range = (FIRST_S..=LAST_S).contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos);
    in_range.then(|| Timestamp::from_unix_us(time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_survives_its_message() {
        for us in [0, 1, -1, 1_795_252_464_500_000, -62_135_596_800_000_000] {
            let time = Timestamp::from_unix_us(us);
            assert_eq!(from_proto(&to_proto(time)), Some(time));
        }
        for (seconds, nanos) in [(253_402_300_800, 0), (0, -1), (0, 1_000_000_000), (i64::MIN, 0)] {
            assert_eq!(from_proto(&prost_types::Timestamp { seconds, nanos }), None);
        }
    }
}
