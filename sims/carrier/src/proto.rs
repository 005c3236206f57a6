//! Requests to commands, labels to messages. Every faulty field of a request is named.
use crate::domain::{Label, Order, Parcel, Scanned};
use souk_contracts::carrier::v1 as pb;
use souk_kernel::Invalid;
use souk_rpc::time;
use std::sync::Arc;

const KEY_BYTES_MAX: usize = 200;
const WORD_BYTES_MAX: usize = 64;

pub(crate) fn order(request: pb::BuyLabelRequest) -> Result<Order, Invalid> {
    let pb::BuyLabelRequest { key, service, country, scenario, reference } = request;
    let mut invalid = Invalid::new();
    visible(&mut invalid, "key", &key, 1..=KEY_BYTES_MAX);
    visible(&mut invalid, "service", &service, 1..=WORD_BYTES_MAX);
    visible(&mut invalid, "country", &country, 2..=2);
    visible(&mut invalid, "scenario", &scenario, 0..=WORD_BYTES_MAX);
    visible(&mut invalid, "reference", &reference, 0..=KEY_BYTES_MAX);
    invalid.finish(Some(Order { key, service, country, scenario, reference }))
}

pub(crate) fn key(key: String) -> Result<String, Invalid> {
    let mut invalid = Invalid::new();
    visible(&mut invalid, "key", &key, 1..=KEY_BYTES_MAX);
    invalid.finish(Some(key))
}

fn visible(invalid: &mut Invalid, field: &str, text: &str, bytes: std::ops::RangeInclusive<usize>) {
    if !bytes.contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_graphic()) {
        let (least, most) = (bytes.start(), bytes.end());
        invalid.add(field, format!("must be {least} to {most} visible ASCII characters"));
    }
}

/// What stands in the books under `key`; `None` when nothing does.
pub(crate) fn label(key: &str, parcel: &Parcel) -> Option<pb::Label> {
    let (status, tracking_code, decline_code) = match parcel.label() {
        Label::Unheard | Label::Failed => return None,
        Label::Bought { tracking_code } if parcel.is_collected() => {
            (pb::LabelStatus::Collected, tracking_code.clone(), String::new())
        }
        Label::Bought { tracking_code } => (pb::LabelStatus::Bought, tracking_code.clone(), String::new()),
        Label::Declined(code) => (pb::LabelStatus::Declined, String::new(), code.clone()),
        Label::Voided(code) => (pb::LabelStatus::Voided, code.clone().unwrap_or_default(), String::new()),
    };
    let scan = |scan: &Arc<Scanned>| pb::Scan {
        event_id: scan.event_id.clone(),
        status: scan.status.clone(),
        time: Some(time::to_proto(scan.at)),
    };
    let scans = parcel.scans().iter().map(scan).collect();
    Some(pb::Label { key: key.to_owned(), status: status.into(), tracking_code, decline_code, scans })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_faulty_field_is_named() {
        let bad = pb::BuyLabelRequest {
            key: String::new(),
            service: "a b".to_owned(),
            country: "GBR".to_owned(),
            scenario: "x".repeat(65),
            reference: "\n".to_owned(),
        };
        let invalid = order(bad).expect_err("nothing of it is right");
        let fields: Vec<&str> = invalid.fields().iter().map(|field| field.field.as_str()).collect();
        assert_eq!(fields, ["key", "service", "country", "scenario", "reference"]);
        assert!(key("k".repeat(201)).is_err());
        assert_eq!(key("k".to_owned()), Ok("k".to_owned()));
    }
}
