//! What the answers of other services mean for a saga. Only what a participant has recorded is a refusal.
use super::asks;
use crate::cancel;
use crate::domain::order::{Awaits, CUSTOMER_TOO_LATE, Dispute};
use crate::domain::returns::ReturnLabelIssued;
use crate::domain::{Order, SKUS_NAMED_MAX};
use souk_contracts::catalog::v1::{Redemption, RedemptionStatus};
use souk_contracts::inventory::v1::{Reservation, ReservationStatus};
use souk_contracts::payment::v1::{Payment, PaymentStatus, RefundStatus};
use souk_contracts::shipping::v1::{
    CancelFulfilmentResponse, CancelOutcome, Fulfilment, FulfilmentStatus, ReturnLabel, ReturnLabelStatus,
};
use souk_contracts::terms::money_from_proto;
use souk_contracts::types::v1::Money as MoneyMessage;
use souk_kernel::{Code, Error, Money};
use souk_saga::Outcome;

/// A peer answered what its own contract forbids.
pub(super) fn unreadable(why: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal(why)
}

pub(super) fn silent(error: &Error) -> Outcome {
    Outcome::unknown(format!("{}: {}", error.reason(), error.message()))
}

pub(super) fn unexpected(what: impl std::fmt::Debug) -> Outcome {
    Outcome::unknown(format!("an answer that fits no step: {what:?}"))
}

type Answer<T> = Result<Option<T>, Error>;

/// What an answer to RedeemCoupons means.
pub(super) fn redeemed(answer: Answer<Redemption>) -> Outcome {
    match answer {
        Err(error) => silent(&error),
        Ok(None) => unexpected("no redemption"),
        Ok(Some(redemption)) => match redemption.status() {
            RedemptionStatus::Redeemed => Outcome::done(),
            RedemptionStatus::Refused => {
                Outcome::refused(redemption.reason().as_str_name(), redemption.code.clone())
            }
            RedemptionStatus::Released => Outcome::refused("COUPON_EXHAUSTED", "released"),
            RedemptionStatus::Unspecified => unexpected(redemption.status),
        },
    }
}

/// What an answer to ReleaseCoupons means.
pub(super) fn released_coupons(answer: Answer<Redemption>) -> Outcome {
    match answer {
        Err(error) => silent(&error),
        Ok(None) => unexpected("no redemption"),
        Ok(Some(redemption)) => match redemption.status() {
            RedemptionStatus::Released | RedemptionStatus::Refused => Outcome::done(),
            RedemptionStatus::Redeemed | RedemptionStatus::Unspecified => unexpected(redemption.status),
        },
    }
}

/// What an answer to Reserve means.
pub(super) fn reserved(answer: Answer<Reservation>) -> Outcome {
    match answer {
        Err(error) => silent(&error),
        Ok(None) => unexpected("no reservation"),
        Ok(Some(reservation)) => match reservation.status() {
            // An expired promise was still given; the commit asks whether it can be given again.
            ReservationStatus::Held
            | ReservationStatus::Committed
            | ReservationStatus::PartiallyShipped
            | ReservationStatus::Shipped
            | ReservationStatus::Expired => Outcome::done(),
            ReservationStatus::Refused | ReservationStatus::Released => no_stock(&reservation),
            ReservationStatus::Unspecified => unexpected(reservation.status),
        },
    }
}

/// What an answer to Commit means.
pub(super) fn committed(answer: Answer<Reservation>) -> Outcome {
    match answer {
        Err(error) => silent(&error),
        Ok(None) => unexpected("no reservation"),
        Ok(Some(reservation)) => match reservation.status() {
            ReservationStatus::Committed
            | ReservationStatus::PartiallyShipped
            | ReservationStatus::Shipped => Outcome::done(),
            ReservationStatus::Refused | ReservationStatus::Released | ReservationStatus::Expired => {
                no_stock(&reservation)
            }
            ReservationStatus::Held | ReservationStatus::Unspecified => unexpected(reservation.status),
        },
    }
}

/// What an answer to Release means.
pub(super) fn released(answer: Answer<Reservation>) -> Outcome {
    match answer {
        Err(error) => silent(&error),
        Ok(None) => unexpected("no reservation"),
        Ok(Some(reservation)) => match reservation.status() {
            ReservationStatus::Released | ReservationStatus::Refused | ReservationStatus::Expired => {
                Outcome::done()
            }
            ReservationStatus::Held
            | ReservationStatus::Committed
            | ReservationStatus::PartiallyShipped
            | ReservationStatus::Shipped
            | ReservationStatus::Unspecified => unexpected(reservation.status),
        },
    }
}

/// What an answer to a release of lines means: the refusal of this very step stands beside the status.
pub(super) fn released_pieces(answer: Answer<Reservation>) -> Outcome {
    match answer {
        Err(error) => silent(&error),
        Ok(None) => unexpected("no reservation"),
        Ok(Some(reservation)) if reservation.refusal_reason.is_empty() => Outcome::done(),
        Ok(Some(reservation)) => Outcome::refused(reservation.refusal_reason, ""),
    }
}

/// What an answer to Ship means: the refusal of this very step stands beside the status.
pub(super) fn shipped(answer: Answer<Reservation>) -> Outcome {
    match answer {
        Err(error) => silent(&error),
        Ok(None) => unexpected("no reservation"),
        Ok(Some(reservation)) if !reservation.refusal_reason.is_empty() => {
            Outcome::refused(reservation.refusal_reason, "")
        }
        Ok(Some(reservation)) => match reservation.status() {
            ReservationStatus::PartiallyShipped | ReservationStatus::Shipped => Outcome::done(),
            ReservationStatus::Held
            | ReservationStatus::Committed
            | ReservationStatus::Released
            | ReservationStatus::Expired
            | ReservationStatus::Refused
            | ReservationStatus::Unspecified => unexpected(reservation.status),
        },
    }
}

/// The order's reason for a refusal is inventory's own word, whatever that is: a word that is new there must
/// not become a wrong one here.
fn no_stock(reservation: &Reservation) -> Outcome {
    let short = reservation.shortages.iter().take(SKUS_NAMED_MAX);
    let detail: Vec<String> =
        short.map(|s| format!("{}: {} of {}", s.sku, s.available.max(0), s.wanted)).collect();
    match reservation.refusal_reason.as_str() {
        "" => Outcome::refused("RESERVATION_EXPIRED", detail.join(", ")),
        reason => Outcome::refused(reason, detail.join(", ")),
    }
}

/// The provider wants something of the customer first.
pub(super) fn waits_for_customer(payment: &Payment, total: Money) -> Outcome {
    asks(&Awaits::Payment { action_url: payment.action_url.as_str().into(), total })
}

/// Payment's code when the customer did not act in time.
const ACTION_EXPIRED: &str = "action_expired";

/// The money is not to be had. Payment and the order each wait for the customer; whichever of the two clocks strikes
/// first, the customer reads the same.
pub(crate) fn declined(code: &str) -> Outcome {
    match code {
        ACTION_EXPIRED => Outcome::refused(CUSTOMER_TOO_LATE, ""),
        code => Outcome::refused("PAYMENT_DECLINED", code),
    }
}

/// What an answer to Authorize means.
pub(super) fn authorized(answer: Answer<Payment>) -> Outcome {
    match answer {
        Err(error) => silent(&error),
        Ok(None) => unexpected("no payment"),
        Ok(Some(payment)) => match payment.status() {
            // A promise that expired meanwhile was still given; the capture asks for it anew.
            PaymentStatus::Authorized
            | PaymentStatus::PartiallyCaptured
            | PaymentStatus::Captured
            | PaymentStatus::AuthExpired => Outcome::done(),
            PaymentStatus::Declined => declined(&payment.decline_code),
            PaymentStatus::Voided => Outcome::refused("PAYMENT_DECLINED", "voided"),
            PaymentStatus::Authorizing | PaymentStatus::Unknown => Outcome::unknown("the provider is silent"),
            PaymentStatus::RequiresAction
            | PaymentStatus::PartiallyRefunded
            | PaymentStatus::Refunded
            | PaymentStatus::Unspecified => unexpected(payment.status),
        },
    }
}

/// What an answer to Capture means. A refusal is final only where payment records it.
pub(super) fn captured(answer: Answer<Payment>, amount: Money) -> Outcome {
    match answer {
        Err(error)
            if is_recorded_refusal(
                &error,
                &["CAPTURE_REFUSED", "PAYMENT_VOIDED", "CAPTURE_EXCEEDS_AUTHORIZED", "AUTHORIZATION_EXPIRED"],
            ) =>
        {
            Outcome::refused(error.reason(), error.message())
        }
        Err(error) => silent(&error),
        Ok(None) => unexpected("no payment"),
        Ok(Some(payment)) if is_at_least(payment.captured.as_ref(), amount) => Outcome::done(),
        Ok(Some(payment)) => unexpected(payment.status),
    }
}

/// Whether a capture came too late for its promise.
pub(super) fn has_expired(answer: &Answer<Payment>) -> bool {
    match answer {
        Err(error) => is_recorded_refusal(error, &["AUTHORIZATION_EXPIRED"]),
        Ok(_) => false,
    }
}

/// What of the total was not taken yet; `None` when the payment is of another currency.
pub(super) fn not_taken(payment: Option<&Payment>, total: Money) -> Option<Money> {
    let captured = payment.and_then(|payment| payment.captured.as_ref());
    let captured =
        captured.and_then(|money| money_from_proto(money).ok()).unwrap_or(Money::zero(total.currency()));
    total.minus(captured).ok()
}

/// What an answer to Reauthorize means. Where the old promise holds after all, another parcel was faster.
pub(super) fn reauthorized(answer: Answer<Payment>) -> Outcome {
    match answer {
        Err(error)
            if is_recorded_refusal(&error, &["REAUTHORIZATION_REFUSED"])
                && error.metadata().get("decline_code").is_some_and(|code| code == "not_expired") =>
        {
            Outcome::done()
        }
        Err(error) if is_recorded_refusal(&error, &["REAUTHORIZATION_REFUSED", "PAYMENT_VOIDED"]) => {
            Outcome::refused(error.reason(), error.message())
        }
        Err(error) => silent(&error),
        Ok(None) => unexpected("no payment"),
        Ok(Some(payment)) => match payment.status() {
            PaymentStatus::Authorized | PaymentStatus::PartiallyCaptured | PaymentStatus::Captured => {
                Outcome::done()
            }
            PaymentStatus::Authorizing | PaymentStatus::Unknown => Outcome::unknown("the provider is silent"),
            PaymentStatus::AuthExpired
            | PaymentStatus::RequiresAction
            | PaymentStatus::Declined
            | PaymentStatus::Voided
            | PaymentStatus::PartiallyRefunded
            | PaymentStatus::Refunded
            | PaymentStatus::Unspecified => unexpected(payment.status),
        },
    }
}

/// What an answer to Void means.
pub(super) fn voided(payment: Option<Payment>) -> Outcome {
    match payment.as_ref().map(Payment::status) {
        // Nothing was promised, or the promise is given up: either way nothing is held.
        Some(PaymentStatus::Voided | PaymentStatus::Declined | PaymentStatus::AuthExpired) => {
            Outcome::Done(cancel::VOIDED.into())
        }
        other => unexpected(other),
    }
}

/// What stands in the way of a refund while the customer's bank wants the money, or has taken it: the one is waited
/// for, and what to do about the other a person decides, since nothing is given back twice.
pub(super) fn disputed(order: &Order) -> Option<Outcome> {
    match order.worst_dispute()? {
        Dispute::Opened => Some(Outcome::Waiting { on: "dispute".into() }),
        Dispute::Lost => Some(Outcome::refused("DISPUTE_LOST", "the bank gave the money back")),
        Dispute::Won => None,
    }
}

/// What an answer to the Void of a rest means. Where nothing is left to give up, all is well; whether it was given up
/// or ran out is payment's to tell.
pub(super) fn rest_voided(answer: Result<Option<Payment>, Error>) -> Outcome {
    let payment = match answer {
        Ok(payment) => payment,
        Err(error) if is_recorded_refusal(&error, &["ALREADY_CAPTURED"]) => return Outcome::done(),
        Err(error) if is_recorded_refusal(&error, &["VOID_REFUSED"]) => {
            return Outcome::refused(error.reason(), error.message());
        }
        Err(error) => return silent(&error),
    };
    match payment.as_ref().map(Payment::status) {
        Some(
            PaymentStatus::PartiallyCaptured
            | PaymentStatus::Captured
            | PaymentStatus::PartiallyRefunded
            | PaymentStatus::Refunded
            | PaymentStatus::Voided
            | PaymentStatus::AuthExpired,
        ) => Outcome::done(),
        other => unexpected(other),
    }
}

/// What an answer to Refund means. While the provider takes its time, the cancel waits.
pub(super) fn refunded(answer: Answer<Payment>, refund_id: &str, total: Money) -> Outcome {
    match answer {
        Err(error) if is_recorded_refusal(&error, &["REFUND_REFUSED", "REFUND_EXCEEDS_CAPTURED"]) => {
            Outcome::refused(error.reason(), error.message())
        }
        Err(error) => silent(&error),
        Ok(None) => unexpected("no payment"),
        Ok(Some(payment)) if is_total(payment.refunded.as_ref(), total) => {
            Outcome::Done(cancel::REFUNDED.into())
        }
        Ok(Some(payment)) => {
            let refund = payment.refunds.iter().find(|refund| refund.refund_id == refund_id);
            match refund.map(|refund| (refund.status(), refund.code.clone())) {
                Some((RefundStatus::Pending, _)) => Outcome::Waiting { on: "refund".into() },
                Some((RefundStatus::Failed, code)) => Outcome::refused("REFUND_FAILED", code),
                Some((RefundStatus::Succeeded | RefundStatus::Unspecified, _)) | None => {
                    unexpected(payment.status)
                }
            }
        }
    }
}

/// What an answer to the Refund of a return means: one of several refunds, known by its id. While the provider
/// takes its time, it is waited for.
pub(super) fn given_back(answer: Answer<Payment>, refund_id: &str, amount: Money) -> Outcome {
    let payment = match answer {
        Err(error) if is_recorded_refusal(&error, &["REFUND_REFUSED", "REFUND_EXCEEDS_CAPTURED"]) => {
            return Outcome::refused(error.reason(), error.message());
        }
        Err(error) => return silent(&error),
        Ok(None) => return unexpected("no payment"),
        Ok(Some(payment)) => payment,
    };
    let refund = payment.refunds.iter().find(|refund| refund.refund_id == refund_id);
    let Some(refund) = refund else { return unexpected("no such refund") };
    match refund.status() {
        RefundStatus::Succeeded if is_total(refund.amount.as_ref(), amount) => Outcome::done(),
        RefundStatus::Succeeded => unexpected(&refund.amount),
        RefundStatus::Pending => Outcome::Waiting { on: "refund".into() },
        RefundStatus::Failed => Outcome::refused("REFUND_FAILED", refund.code.as_str()),
        RefundStatus::Unspecified => unexpected(refund.status),
    }
}

/// What an answer to CreateReturnLabel means. Without a label the customer sends it all the same.
pub(super) fn label_issued(label: Option<ReturnLabel>) -> Outcome {
    let Some(label) = label else { return unexpected("no label") };
    match label.status() {
        ReturnLabelStatus::Bought | ReturnLabelStatus::Arrived => {
            let issued = ReturnLabelIssued {
                carrier: label.carrier.into(),
                tracking_code: label.tracking_code.into(),
            };
            serde_json::to_value(&issued).map_or_else(Outcome::unknown, Outcome::Done)
        }
        ReturnLabelStatus::Voided | ReturnLabelStatus::Refused => Outcome::done(),
        ReturnLabelStatus::Unspecified => unexpected(label.status),
    }
}

/// What an answer to VoidReturnLabel means: nobody sends anything with it any more, or somebody has.
pub(super) fn label_voided(label: Option<ReturnLabel>) -> Outcome {
    let Some(label) = label else { return unexpected("no label") };
    match label.status() {
        ReturnLabelStatus::Voided | ReturnLabelStatus::Refused | ReturnLabelStatus::Arrived => {
            Outcome::done()
        }
        ReturnLabelStatus::Bought | ReturnLabelStatus::Unspecified => unexpected(label.status),
    }
}

/// What an answer to CreateFulfilment means.
pub(super) fn created(answer: Answer<Fulfilment>, cancel_asked: bool) -> Outcome {
    match answer {
        Err(error) => silent(&error),
        Ok(None) => unexpected("no fulfilment"),
        Ok(Some(fulfilment)) => match fulfilment.status() {
            FulfilmentStatus::Open | FulfilmentStatus::Shipped => Outcome::done(),
            // The cancel was faster; it is the one that goes on.
            FulfilmentStatus::Cancelled | FulfilmentStatus::Refused if cancel_asked => Outcome::done(),
            FulfilmentStatus::Cancelled => Outcome::refused("FULFILMENT_CANCELLED", ""),
            FulfilmentStatus::Refused => Outcome::refused(fulfilment.refusal_reason, ""),
            FulfilmentStatus::Unspecified => unexpected(fulfilment.status),
        },
    }
}

/// What an answer to CancelFulfilment means.
pub(super) fn stopped(answer: Result<CancelFulfilmentResponse, Error>) -> Outcome {
    match answer {
        Err(error) => silent(&error),
        Ok(answer) => match answer.outcome() {
            CancelOutcome::Cancelled => Outcome::done(),
            CancelOutcome::TooLate => Outcome::refused("CANCEL_TOO_LATE", ""),
            CancelOutcome::Unspecified => unexpected(answer.outcome),
        },
    }
}

/// What an answer about a hold means: it is heard, whatever the fulfilment looks like.
pub(super) fn holds(answer: Result<(), Error>) -> Outcome {
    answer.map_or_else(|error| silent(&error), |()| Outcome::done())
}

/// Whether all of an amount moved; the amount says so more plainly than a status, also when it is 0.
fn is_total(moved: Option<&MoneyMessage>, total: Money) -> bool {
    moved.and_then(|money| money_from_proto(money).ok()) == Some(total)
}

/// Whether so much was taken, among other captures.
fn is_at_least(moved: Option<&MoneyMessage>, amount: Money) -> bool {
    let moved = moved.and_then(|money| money_from_proto(money).ok());
    moved.is_some_and(|moved| {
        moved.currency() == amount.currency() && moved.minor_units() >= amount.minor_units()
    })
}

pub(super) fn is_recorded_refusal(error: &Error, reasons: &[&str]) -> bool {
    error.code() == Code::FailedPrecondition && reasons.contains(&error.reason())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::samples::gbp;

    fn total() -> Money {
        Money::new(849, gbp())
    }

    /// `done`, a refusal's reason, or `unknown`.
    fn word(outcome: Outcome) -> String {
        match outcome {
            Outcome::Done(_) => "done".to_owned(),
            Outcome::Refused { reason, .. } => reason,
            Outcome::Waiting { .. } => "waiting".to_owned(),
            Outcome::Unknown { .. } => "unknown".to_owned(),
        }
    }

    #[test]
    fn only_a_recorded_answer_of_inventory_counts() {
        use ReservationStatus as Status;
        let words = |status: Status, refusal_reason: &str| {
            let answer = || {
                let refusal_reason = refusal_reason.to_owned();
                Ok(Some(Reservation { status: status.into(), refusal_reason, ..Reservation::default() }))
            };
            [reserved(answer()), committed(answer()), released(answer())].map(word)
        };
        let expired = "RESERVATION_EXPIRED";
        assert_eq!(words(Status::Held, ""), ["done", "unknown", "unknown"]);
        assert_eq!(words(Status::Committed, ""), ["done", "done", "unknown"]);
        assert_eq!(words(Status::Expired, ""), ["done", expired, "done"]);
        let released_word = "RESERVATION_RELEASED";
        assert_eq!(words(Status::Released, released_word), [released_word, released_word, "done"]);
        assert_eq!(
            words(Status::Refused, "A_NEW_WORD")[0],
            "A_NEW_WORD",
            "what is new there is not wrong here"
        );
        assert_eq!(words(Status::Refused, "UNKNOWN_SKU"), ["UNKNOWN_SKU", "UNKNOWN_SKU", "done"]);
        assert_eq!(words(Status::Unspecified, ""), ["unknown"; 3]);
        assert_eq!([reserved(Ok(None)), committed(Ok(None)), released(Ok(None))].map(word), ["unknown"; 3]);
    }

    #[test]
    fn only_a_recorded_answer_of_payment_counts() {
        use PaymentStatus as Status;
        let payment = |status: Status| Payment { status: status.into(), ..Payment::default() };
        let authorize = |status| word(authorized(Ok(Some(payment(status)))));
        assert_eq!(authorize(Status::Authorized), "done");
        assert_eq!(authorize(Status::Declined), "PAYMENT_DECLINED");
        assert_eq!(authorize(Status::Voided), "PAYMENT_DECLINED");
        assert_eq!(word(declined("insufficient_funds")), "PAYMENT_DECLINED");
        assert_eq!(word(declined("action_expired")), "CUSTOMER_TOO_LATE");
        for silent in [Status::Authorizing, Status::Unknown, Status::Unspecified, Status::Refunded] {
            assert_eq!(authorize(silent), "unknown", "{silent:?}");
        }
        let void = |status| word(voided(Some(payment(status))));
        assert_eq!((void(Status::Voided).as_str(), void(Status::Declined).as_str()), ("done", "done"));
        assert_eq!(
            (void(Status::Authorized).as_str(), void(Status::Unknown).as_str()),
            ("unknown", "unknown")
        );
    }

    #[test]
    fn a_rest_is_given_up_when_payment_says_so_or_nothing_is_left_of_it() {
        use PaymentStatus as Status;
        let rest = |status: Status| {
            word(rest_voided(Ok(Some(Payment { status: status.into(), ..Payment::default() }))))
        };
        for over in [Status::Captured, Status::PartiallyCaptured, Status::Refunded, Status::AuthExpired] {
            assert_eq!(rest(over), "done", "{over:?}");
        }
        for open in [Status::Authorized, Status::Unknown, Status::Authorizing, Status::Unspecified] {
            assert_eq!(rest(open), "unknown", "{open:?}");
        }
        let error = |reason| Err(Error::new(Code::FailedPrecondition, reason, "no"));
        let words =
            ["ALREADY_CAPTURED", "VOID_REFUSED", "OUTCOME_UNKNOWN"].map(|r| word(rest_voided(error(r))));
        assert_eq!(words, ["done", "VOID_REFUSED", "unknown"]);
        assert_eq!(word(rest_voided(Ok(None))), "unknown");
    }

    #[test]
    fn money_has_moved_when_all_of_it_has() {
        let moved = |minor| {
            let money = Some(Money::new(minor, gbp()).into());
            Payment { captured: money.clone(), refunded: money, ..Payment::default() }
        };
        let all = total().minor_units();
        for (minor, expected) in [(all, "done"), (all - 1, "unknown"), (0, "unknown")] {
            assert_eq!(word(captured(Ok(Some(moved(minor))), total())), expected);
            assert_eq!(word(refunded(Ok(Some(moved(minor))), "r", total())), expected);
        }
        assert_eq!(word(captured(Ok(Some(Payment::default())), total())), "unknown");
    }

    #[test]
    fn an_error_is_never_a_refusal_unless_payment_records_it() {
        let codes = [Code::PermissionDenied, Code::InvalidArgument, Code::NotFound, Code::Unavailable];
        for code in codes {
            let error = || Error::new(code, "CAPTURE_REFUSED", "no");
            assert_eq!(word(reserved(Err(error()))), "unknown");
            assert_eq!(word(authorized(Err(error()))), "unknown");
            assert_eq!(word(captured(Err(error()), total())), "unknown");
        }
        let error = |reason| Error::new(Code::FailedPrecondition, reason, "no");
        assert_eq!(word(authorized(Err(error("PAYMENT_CONFLICT")))), "unknown");
        assert_eq!(word(captured(Err(error("CAPTURE_REFUSED")), total())), "CAPTURE_REFUSED");
        assert_eq!(word(captured(Err(error("PAYMENT_CONFLICT")), total())), "unknown");
        assert_eq!(word(refunded(Err(error("REFUND_REFUSED")), "r", total())), "REFUND_REFUSED");
        assert_eq!(word(refunded(Err(error("CAPTURE_REFUSED")), "r", total())), "unknown");
    }
}
