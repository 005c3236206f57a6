//! What each scenario makes the carrier do. The same scenario always does the same, so that a story can ask for a
//! lost parcel or a doubled notice by name.

/// What the carrier knows how to play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// It is delivered.
    Delivered,
    /// It is delivered, and that is told before that it was in transit.
    DeliveredFirst,
    /// It is delivered, and every notice comes twice.
    NoticesTwice,
    /// After a while nobody hears of it again.
    Lost,
    /// The carrier says itself that it lost it.
    SaidLost,
    /// The first attempt fails, the second works.
    FailedThenDelivered,
    /// Two attempts fail, and it comes back.
    FailedThenReturned,
    /// It arrives in pieces.
    Damaged,
    /// Buying the label works, and the first answer is lost.
    TimeoutAfterEffect,
    /// The first call for a label has no effect and no answer; the next works.
    TimeoutBefore,
    /// The label is declined: `service_unavailable`.
    Declined,
    /// It is delivered; a return of it never arrives.
    ReturnNever,
}

/// Every scenario with its name; the empty name is the usual one.
pub const SCENARIOS: &[(&str, Scenario)] = &[
    ("", Scenario::Delivered),
    ("delivered", Scenario::Delivered),
    ("delivered_first", Scenario::DeliveredFirst),
    ("notices_twice", Scenario::NoticesTwice),
    ("lost", Scenario::Lost),
    ("said_lost", Scenario::SaidLost),
    ("failed_then_delivered", Scenario::FailedThenDelivered),
    ("failed_then_returned", Scenario::FailedThenReturned),
    ("damaged", Scenario::Damaged),
    ("timeout_after_effect", Scenario::TimeoutAfterEffect),
    ("timeout_before", Scenario::TimeoutBefore),
    ("declined", Scenario::Declined),
    ("return_never", Scenario::ReturnNever),
];

/// What the carrier scans when it takes a parcel.
pub const COLLECTED: &str = "COLLECTED";
const IN_TRANSIT: &str = "IN_TRANSIT";
const OUT: &str = "OUT_FOR_DELIVERY";
const FAILED: &str = "DELIVERY_FAILED";
const DELIVERED: &str = "DELIVERED";

impl Scenario {
    /// The scenario of this name; `None` for a name that the carrier does not know.
    pub fn parse(name: &str) -> Option<Scenario> {
        SCENARIOS.iter().find(|(known, _)| *known == name).map(|(_, scenario)| *scenario)
    }

    /// Everything that is scanned of a parcel, in order.
    pub fn scans(self, is_return: bool) -> &'static [&'static str] {
        if is_return {
            return if self == Scenario::ReturnNever { &[] } else { &[COLLECTED, IN_TRANSIT, DELIVERED] };
        }
        match self {
            Scenario::Lost => &[COLLECTED, IN_TRANSIT],
            Scenario::SaidLost => &[COLLECTED, IN_TRANSIT, "LOST"],
            Scenario::FailedThenDelivered => &[COLLECTED, IN_TRANSIT, OUT, FAILED, OUT, DELIVERED],
            Scenario::FailedThenReturned => {
                &[COLLECTED, IN_TRANSIT, OUT, FAILED, OUT, FAILED, "RETURNING", "RETURNED"]
            }
            Scenario::Damaged => &[COLLECTED, IN_TRANSIT, "DAMAGED"],
            Scenario::Delivered
            | Scenario::DeliveredFirst
            | Scenario::NoticesTwice
            | Scenario::TimeoutAfterEffect
            | Scenario::TimeoutBefore
            | Scenario::Declined
            | Scenario::ReturnNever => &[COLLECTED, IN_TRANSIT, OUT, DELIVERED],
        }
    }

    /// How many steps later than its scan the notice of it goes out.
    pub(crate) fn notice_delay(self, status: &str) -> u32 {
        let is_late = self == Scenario::DeliveredFirst && (status == IN_TRANSIT || status == OUT);
        if is_late { 5 } else { 0 }
    }

    /// How often the notice of a scan goes out.
    pub(crate) fn notices(self) -> u32 {
        if self == Scenario::NoticesTwice { 2 } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_unknown_ones_are_not_guessed() {
        for (index, (name, scenario)) in SCENARIOS.iter().enumerate() {
            assert_eq!(Scenario::parse(name), Some(*scenario));
            assert!(SCENARIOS[..index].iter().all(|(other, _)| other != name), "{name}");
        }
        assert_eq!(Scenario::parse("DELIVERED"), None);
    }
}
