//! What a carrier sees of a parcel, and what that means for where the parcel is. Carriers repeat themselves and
//! speak out of order: a rank that only grows decides what counts.
use super::Status;
use serde::{Deserialize, Serialize};
use souk_kernel::Timestamp;
use std::sync::Arc;

/// What the carrier saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Seen {
    Collected,
    InTransit,
    OutForDelivery,
    Delivered,
    DeliveryFailed,
    Returning,
    Returned,
    Lost,
    Damaged,
}

/// One look of the carrier at a parcel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    /// The carrier's own id of it: a repeated notice has the same.
    pub event_id: Arc<str>,
    pub seen: Seen,
    /// By the carrier's clock.
    pub at: Timestamp,
}

/// Where the parcel is after a scan; `None` when the scan is old news (I-SH-3). `is_newer` says that the carrier
/// saw it after everything that counted so far: only that leads out of an exception.
pub fn moved(status: Status, seen: Seen, is_newer: bool) -> Option<Status> {
    let after_exception = is_newer && matches!(status, Status::DeliveryFailed | Status::Lost);
    let on_its_way = matches!(status, Status::HandedOver | Status::InTransit | Status::OutForDelivery);
    let goes_back = status == Status::ReturningToSender;
    let (counts, next) = match seen {
        Seen::Collected => (false, status),
        Seen::InTransit => (status == Status::HandedOver || after_exception, Status::InTransit),
        Seen::OutForDelivery => {
            let before = matches!(status, Status::HandedOver | Status::InTransit);
            (before || after_exception, Status::OutForDelivery)
        }
        Seen::DeliveryFailed => (is_newer && (on_its_way || status == Status::Lost), Status::DeliveryFailed),
        Seen::Delivered => {
            (on_its_way || matches!(status, Status::DeliveryFailed | Status::Lost), Status::Delivered)
        }
        Seen::Returning => {
            let before = on_its_way || matches!(status, Status::DeliveryFailed | Status::Lost);
            (before && is_newer, Status::ReturningToSender)
        }
        Seen::Returned => {
            let before = on_its_way || goes_back || matches!(status, Status::DeliveryFailed | Status::Lost);
            (before, Status::ReturnedToSender)
        }
        Seen::Lost => {
            (is_newer && (on_its_way || goes_back || status == Status::DeliveryFailed), Status::Lost)
        }
        Seen::Damaged => (status.is_with_carrier(), Status::Damaged),
    };
    counts.then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Seen; 9] = [
        Seen::Collected,
        Seen::InTransit,
        Seen::OutForDelivery,
        Seen::Delivered,
        Seen::DeliveryFailed,
        Seen::Returning,
        Seen::Returned,
        Seen::Lost,
        Seen::Damaged,
    ];

    #[test]
    fn e5_a_late_scan_never_moves_a_parcel_back() {
        assert_eq!(moved(Status::HandedOver, Seen::Delivered, true), Some(Status::Delivered));
        for late in ALL {
            assert_eq!(moved(Status::Delivered, late, false), None, "{late:?}");
            assert_eq!(moved(Status::Delivered, late, true), None, "{late:?}");
        }
        assert_eq!(moved(Status::OutForDelivery, Seen::InTransit, true), None);
    }

    #[test]
    fn an_exception_is_left_by_newer_scans_only() {
        assert_eq!(moved(Status::DeliveryFailed, Seen::OutForDelivery, true), Some(Status::OutForDelivery));
        assert_eq!(moved(Status::DeliveryFailed, Seen::OutForDelivery, false), None);
        assert_eq!(moved(Status::Lost, Seen::InTransit, true), Some(Status::InTransit));
        assert_eq!(moved(Status::Lost, Seen::Delivered, false), Some(Status::Delivered));
        assert_eq!(moved(Status::ReturningToSender, Seen::Returned, true), Some(Status::ReturnedToSender));
        assert_eq!(moved(Status::ReturningToSender, Seen::Delivered, true), None);
    }

    #[test]
    fn nothing_moves_a_parcel_that_is_not_with_the_carrier() {
        let at_home = [
            Status::Pending,
            Status::Packed,
            Status::Labelled,
            Status::Cancelled,
            Status::ReturnedToSender,
            Status::Damaged,
        ];
        for status in at_home {
            assert!(ALL.iter().all(|seen| moved(status, *seen, true).is_none()), "{status:?}");
        }
    }
}
