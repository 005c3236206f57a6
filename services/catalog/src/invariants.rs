//! What must always hold, as predicates over the log. Used by tests and by the audit of live stores.
use crate::domain::{PriceEvent, PriceSet, Product};
use souk_decider::RecordEvent;
use std::collections::BTreeMap;

/// I-CA-1: one price per SKU, market and instant; versions without gaps. Takes the prices of one SKU in the
/// order of its stream.
pub fn one_price_at_a_time(events: &[PriceEvent]) -> Result<(), String> {
    let mut last: BTreeMap<&str, &PriceSet> = BTreeMap::new();
    for PriceEvent::PriceSet(set) in events {
        let (version, after) =
            last.get(set.market.as_str()).map_or((0, None), |l| (l.price_version, Some(l.valid_from)));
        if set.price_version != version + 1 {
            return Err(format!(
                "{} in {}: version {} follows {version}",
                set.sku, set.market, set.price_version
            ));
        }
        if after.is_some_and(|after| set.valid_from <= after) {
            return Err(format!("{} in {}: two prices at {}", set.sku, set.market, set.valid_from));
        }
        last.insert(set.market.as_str(), set);
    }
    Ok(())
}

/// I-CA-2: no price is negative.
pub fn no_negative_price(events: &[PriceEvent]) -> Result<(), String> {
    let negative = events.iter().find(|PriceEvent::PriceSet(set)| set.amount.minor_units() < 0);
    negative.map_or(Ok(()), |PriceEvent::PriceSet(set)| Err(format!("{} costs {}", set.sku, set.amount)))
}

/// I-CA-7: a SKU belongs to one product for ever. Takes every product event of the log, in order.
pub fn skus_are_never_reused<'a>(
    events: impl IntoIterator<Item = &'a RecordEvent<Product>>,
) -> Result<(), String> {
    let mut owners = BTreeMap::new();
    for event in events {
        let product = match event {
            RecordEvent::Created(product) | RecordEvent::Replaced(product) => product,
            RecordEvent::Retired => continue,
        };
        for variant in &product.content.variants {
            let owner = *owners.entry(variant.sku.as_str()).or_insert(product.id);
            if owner != product.id {
                return Err(format!("{} belongs to {owner} and to {}", variant.sku, product.id));
            }
        }
    }
    Ok(())
}
