//! Promotions: what the shop takes off, of what, when and how often. One with a code is a coupon; one without
//! applies by itself. A promotion never changes, it can only be disabled: what customers were told stays true.
use super::plain::{is_slug, plain_term};
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{Market, Sku};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::{Code, Money, Rejection, Timestamp};
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

/// The longest id.
pub const ID_BYTES_MAX: usize = 64;
/// The shortest and the longest code.
pub const CODE_BYTES: std::ops::RangeInclusive<usize> = 3..=32;
/// So many basis points are the whole.
pub const WHOLE_BP: u32 = 10_000;
/// How many promotions may apply by themselves at a time: every pricing looks at all of them.
pub const AUTOMATIC_MAX: usize = 100;
/// Claims code → promotion, for ever: a code that once meant one thing never means another.
pub const CODE_SCOPE: &str = "coupon";

/// The id belongs to a promotion with other content.
pub const PROMOTION_CONFLICT: &str = "PROMOTION_CONFLICT";
/// The code belongs to another promotion.
pub const COUPON_CODE_TAKEN: &str = "COUPON_CODE_TAKEN";
/// There are as many promotions without a code as there may be.
pub const TOO_MANY_PROMOTIONS: &str = "TOO_MANY_PROMOTIONS";
/// The promotion's time would be over before it begins.
pub const PROMOTION_ENDED: &str = "PROMOTION_ENDED";

plain_term!(
    /// A promotion's name for programs, chosen by whoever creates it.
    PromotionId,
    "must be 1 to 64 lower-case letters, digits and hyphens",
    |text| is_slug(text, ID_BYTES_MAX)
);

plain_term!(
    /// What customers type. Kept in upper case; see [`CouponCode::typed`].
    CouponCode,
    "must be 3 to 32 letters, digits, hyphens and underscores",
    |text| CODE_BYTES.contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
);

impl CouponCode {
    /// Reads what somebody typed, in whatever case and with spaces around it.
    pub fn typed(text: &str) -> Result<Self, super::plain::NoTerm> {
        text.trim().to_ascii_uppercase().parse()
    }
}

/// What a promotion takes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Benefit {
    /// So many basis points of what it applies to.
    PercentageBp(u32),
    /// So much, but never more than there is.
    Fixed(Money),
    /// All of the shipping.
    FreeShipping,
}

/// How many orders may use a promotion; `None` is any number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Of all customers together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<NonZeroU32>,
    /// Of one customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_customer: Option<NonZeroU32>,
}

/// How many orders use a promotion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Those of all customers.
    pub by_all: u64,
    /// Those of the customer in question.
    pub by_customer: u64,
}

impl Limits {
    /// Whether one more order may use it.
    pub fn check(self, used: Used) -> Result<(), CouponReason> {
        let is_reached =
            |limit: Option<NonZeroU32>, used: u64| limit.is_some_and(|limit| used >= u64::from(limit.get()));
        if is_reached(self.per_customer, used.by_customer) {
            Err(CouponReason::UsedBefore)
        } else if is_reached(self.total, used.by_all) {
            Err(CouponReason::Exhausted)
        } else {
            Ok(())
        }
    }
}

/// When a promotion holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// From when on.
    pub valid_from: Timestamp,
    /// Until just before when.
    pub valid_to: Option<Timestamp>,
    /// When somebody ended it.
    pub disabled_at: Option<Timestamp>,
}

/// How far a promotion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It has not begun.
    Scheduled,
    /// It holds.
    Active,
    /// Its time is over.
    Ended,
    /// Somebody ended it.
    Disabled,
}

impl Window {
    /// How far it is at a moment.
    pub fn state(&self, at: Timestamp) -> State {
        if self.disabled_at.is_some_and(|disabled| disabled <= at) {
            State::Disabled
        } else if at < self.valid_from {
            State::Scheduled
        } else if self.valid_to.is_some_and(|end| end <= at) {
            State::Ended
        } else {
            State::Active
        }
    }

    /// Whether it holds at a moment.
    pub fn check(&self, at: Timestamp) -> Result<(), CouponReason> {
        match self.state(at) {
            State::Active => Ok(()),
            State::Scheduled => Err(CouponReason::NotStarted),
            State::Ended | State::Disabled => Err(CouponReason::Expired),
        }
    }
}

/// Why a coupon does not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CouponReason {
    /// There is no such code.
    Unknown,
    /// Its time has not come.
    NotStarted,
    /// Its time is over.
    Expired,
    /// It was used as often as it may be.
    Exhausted,
    /// The customer has used it as often as one customer may.
    UsedBefore,
    /// It is for other things, or nothing is left to take off.
    NotApplicable,
    /// What it is for comes to less than its minimum.
    BelowMinimum,
    /// It does not go together with what saves more.
    NotCombinable,
}

impl CouponReason {
    /// The same as a sentence for the customer.
    pub fn sentence(self) -> &'static str {
        match self {
            CouponReason::Unknown => "there is no such coupon",
            CouponReason::NotStarted => "the coupon is not valid yet",
            CouponReason::Expired => "the coupon is no longer valid",
            CouponReason::Exhausted => "the coupon was used as often as it may be",
            CouponReason::UsedBefore => "you have used the coupon as often as you may",
            CouponReason::NotApplicable => "the coupon does not apply to what is bought",
            CouponReason::BelowMinimum => "what the coupon is for comes to less than its minimum",
            CouponReason::NotCombinable => "the coupon does not go together with what saves you more",
        }
    }
}

/// What a promotion is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Its id.
    pub id: PromotionId,
    /// What customers call it.
    pub name: Arc<str>,
    /// The code of a coupon; without one it applies by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<CouponCode>,
    /// What it takes off.
    pub benefit: Benefit,
    /// What its lines must come to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_subtotal: Option<Money>,
    /// The categories of its lines; without any, and without SKUs, it is for all lines.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub categories: BTreeSet<String>,
    /// The SKUs of its lines.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub skus: BTreeSet<Sku>,
    /// Where it holds; without any, everywhere.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub markets: BTreeSet<Market>,
    /// From when on.
    pub valid_from: Timestamp,
    /// Until just before when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<Timestamp>,
    /// How often.
    #[serde(default)]
    pub limits: Limits,
    /// Whether it applies beside others.
    pub stackable: bool,
}

impl Terms {
    /// Whether it is for some lines only.
    pub fn is_for_some(&self) -> bool {
        !self.categories.is_empty() || !self.skus.is_empty()
    }

    /// Whether it is for a line with this SKU, of these categories.
    pub fn is_for(&self, sku: &Sku, categories: &[String]) -> bool {
        !self.is_for_some()
            || self.skus.contains(sku)
            || categories.iter().any(|category| self.categories.contains(category))
    }

    /// Whether it is for a purchase in a market (`None`: in any) that comes to this.
    pub fn check(&self, market: Option<&Market>, subtotal: Money) -> Result<(), CouponReason> {
        let elsewhere =
            market.is_some_and(|market| !self.markets.is_empty() && !self.markets.contains(market));
        let fixed = match self.benefit {
            Benefit::Fixed(amount) => Some(amount),
            Benefit::PercentageBp(_) | Benefit::FreeShipping => None,
        };
        let mut amounts = fixed.into_iter().chain(self.minimum_subtotal);
        if elsewhere || amounts.any(|amount| amount.currency() != subtotal.currency()) {
            return Err(CouponReason::NotApplicable);
        }
        let is_enough = |minimum: Money| subtotal.minor_units() >= minimum.minor_units();
        if self.minimum_subtotal.is_none_or(is_enough) { Ok(()) } else { Err(CouponReason::BelowMinimum) }
    }
}

/// A promotion came to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromotionCreated {
    /// What it is.
    #[serde(flatten)]
    pub terms: Arc<Terms>,
}

/// Somebody ended it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromotionDisabled {
    /// Why, in a person's words.
    pub reason: Arc<str>,
    /// From when on it does not hold.
    pub at: Timestamp,
}

/// What happens to a promotion.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each variant is documented at its struct")]
pub enum PromotionEvent {
    PromotionCreated(PromotionCreated),
    PromotionDisabled(PromotionDisabled),
}
stored_events!(PromotionEvent { PromotionCreated: 1, PromotionDisabled: 1 });

/// The state of a promotion.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Promotion {
    terms: Option<Arc<Terms>>,
    disabled_at: Option<Timestamp>,
}

impl Aggregate for Promotion {
    type Event = PromotionEvent;
    const CATEGORY: &'static str = "promotion";

    fn evolve(&mut self, event: &PromotionEvent) {
        match event {
            PromotionEvent::PromotionCreated(e) => self.terms = Some(e.terms.clone()),
            PromotionEvent::PromotionDisabled(e) => self.disabled_at = Some(e.at),
        }
    }
}

/// The wish for a promotion; `valid_from` holds unless it shall begin when it is created.
#[derive(Debug, Clone, PartialEq)]
pub struct Create {
    /// What it shall be.
    pub terms: Terms,
    /// Whether it begins when it is created.
    pub from_now_on: bool,
}

impl Promotion {
    /// What it is, if there is one.
    pub fn terms(&self) -> Option<&Arc<Terms>> {
        self.terms.as_ref()
    }

    /// When it holds, if there is one.
    pub fn window(&self) -> Option<Window> {
        let Terms { valid_from, valid_to, .. } = **self.terms.as_ref()?;
        Some(Window { valid_from, valid_to, disabled_at: self.disabled_at })
    }

    /// Creates it; the same again changes nothing. `owner` is who has its code, `automatic` how many promotions
    /// without a code have not ended.
    ///
    /// # Errors
    /// `PROMOTION_CONFLICT`, `COUPON_CODE_TAKEN`, `TOO_MANY_PROMOTIONS` or `PROMOTION_ENDED`.
    pub fn create(
        &self,
        wanted: &Create,
        owner: Option<&str>,
        automatic: usize,
        now: Timestamp,
    ) -> Result<Vec<PromotionEvent>, Rejection> {
        let began = self.terms.as_ref().map(|terms| terms.valid_from);
        let valid_from = if wanted.from_now_on { began.unwrap_or(now) } else { wanted.terms.valid_from };
        let terms = Terms { valid_from, ..wanted.terms.clone() };
        if let Some(present) = &self.terms {
            return if **present == terms { Ok(Vec::new()) } else { Err(conflict(&terms.id)) };
        }
        if let Some((code, owner)) = terms.code.as_ref().zip(owner) {
            return Err(code_taken(code, owner));
        }
        if terms.code.is_none() && automatic >= AUTOMATIC_MAX {
            let message = format!("{AUTOMATIC_MAX} promotions without a code have not ended; disable one");
            return Err(Rejection::new(TOO_MANY_PROMOTIONS, message));
        }
        if terms.valid_to.is_some_and(|end| end <= valid_from.max(now)) {
            return Err(Rejection::new(PROMOTION_ENDED, "the promotion would be over before it begins"));
        }
        Ok(vec![PromotionEvent::PromotionCreated(PromotionCreated { terms: Arc::new(terms) })])
    }

    /// Ends it for good; saying so twice is fine.
    ///
    /// # Errors
    /// `NOT_FOUND` when there is none.
    pub fn disable(&self, reason: &Arc<str>, now: Timestamp) -> Result<Vec<PromotionEvent>, Rejection> {
        match (&self.terms, self.disabled_at) {
            (None, _) => Err(not_found()),
            (Some(_), Some(_)) => Ok(Vec::new()),
            (Some(_), None) => {
                let reason = reason.clone();
                Ok(vec![PromotionEvent::PromotionDisabled(PromotionDisabled { reason, at: now })])
            }
        }
    }
}

fn conflict(id: &PromotionId) -> Rejection {
    let message = format!("there is another promotion {id}; a promotion never changes");
    Rejection::new(PROMOTION_CONFLICT, message).code(Code::AlreadyExists).with("promotion_id", id)
}

fn code_taken(code: &CouponCode, owner: &str) -> Rejection {
    Rejection::new(
        COUPON_CODE_TAKEN,
        format!("code {code} belongs to the promotion {owner} and is never reused"),
    )
    .code(Code::AlreadyExists)
    .with("code", code)
    .with("promotion_id", owner)
}

fn not_found() -> Rejection {
    Rejection::new("NOT_FOUND", "the promotion was not found").code(Code::NotFound)
}

#[cfg(test)]
mod tests;
