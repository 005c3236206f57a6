//! A redemption: the coupons that one order uses, counted against their limits. It is keyed by the order's id, and
//! the first answer to that key stands for ever, so that a saga may ask again as often as it likes.
use super::promotion::{CouponCode, CouponReason, Limits, PromotionId, Used, Window};
use serde::{Deserialize, Serialize};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::{Rejection, Timestamp};
use std::sync::Arc;

/// The order's coupons were redeemed with other codes or for somebody else before.
pub const REDEMPTION_CONFLICT: &str = "REDEMPTION_CONFLICT";

/// What somebody typed as a code. A text that no coupon can have is unknown and not faulty, since customers type it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskedCode {
    /// The code, if it can be one.
    pub code: Option<CouponCode>,
    /// The text.
    pub text: Arc<str>,
}

impl AskedCode {
    /// As it was typed.
    pub fn typed(text: &str) -> Self {
        Self { code: CouponCode::typed(text).ok(), text: text.into() }
    }

    /// As it may be recorded: a code in its own form, and of any other text only that there was one. Who knows what
    /// somebody typed there.
    pub fn recorded(text: &str) -> Self {
        let code = CouponCode::typed(text).ok();
        Self { text: code.as_ref().map_or("?", |code| code.as_str()).into(), code }
    }
}

/// The wish to redeem.
#[derive(Debug, Clone, PartialEq)]
pub struct Redeem {
    /// Whose limits count.
    pub subject: Arc<str>,
    /// The codes, in order and none twice.
    pub codes: Vec<AskedCode>,
    /// When the order was priced.
    pub priced_at: Timestamp,
}

/// A coupon as it stands right now.
#[derive(Debug, Clone, PartialEq)]
pub struct Coupon {
    /// Its code.
    pub code: CouponCode,
    /// Its promotion.
    pub promotion: PromotionId,
    /// When it holds.
    pub window: Window,
    /// How often it may be used.
    pub limits: Limits,
    /// How often it is used.
    pub used: Used,
}

/// A coupon that an order uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedCoupon {
    /// Its code.
    pub code: CouponCode,
    /// Its promotion.
    pub promotion: PromotionId,
}

/// All coupons of the order count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CouponsRedeemed {
    /// Whose limits count.
    pub subject: Arc<str>,
    /// The coupons.
    pub coupons: Arc<[UsedCoupon]>,
    /// When the order was priced.
    pub priced_at: Timestamp,
}

/// None of the order's coupons counts, and none ever will.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RedemptionRefused {
    /// Whose limits would have counted.
    pub subject: Arc<str>,
    /// The codes that were asked for.
    pub codes: Arc<[Arc<str>]>,
    /// The one that is the reason.
    pub code: Arc<str>,
    /// Why.
    pub reason: CouponReason,
}

/// The order's coupons were given back, or may never be redeemed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CouponsReleased {
    /// Why, in the caller's words.
    pub reason: Arc<str>,
    /// Whose limits no longer count it; empty when nothing was redeemed.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub subject: Arc<str>,
    /// What was given back; empty when nothing was redeemed.
    #[serde(default, skip_serializing_if = "<[UsedCoupon]>::is_empty")]
    pub coupons: Arc<[UsedCoupon]>,
}

/// What happens to a redemption.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each variant is documented at its struct")]
pub enum RedemptionEvent {
    CouponsRedeemed(CouponsRedeemed),
    RedemptionRefused(RedemptionRefused),
    CouponsReleased(CouponsReleased),
}
stored_events!(RedemptionEvent { CouponsRedeemed: 1, RedemptionRefused: 1, CouponsReleased: 1 });

/// The state of one order's redemption.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Redemption {
    /// Nobody has asked yet.
    #[default]
    Unknown,
    /// All coupons count.
    Redeemed(CouponsRedeemed),
    /// None counts, and none ever will.
    Refused(RedemptionRefused),
    /// Given back. Without coupons it is a tombstone: the release overtook the request.
    Released(CouponsReleased),
}

impl Aggregate for Redemption {
    type Event = RedemptionEvent;
    const CATEGORY: &'static str = "redemption";

    fn evolve(&mut self, event: &RedemptionEvent) {
        *self = match event {
            RedemptionEvent::CouponsRedeemed(e) => Redemption::Redeemed(e.clone()),
            RedemptionEvent::RedemptionRefused(e) => Redemption::Refused(e.clone()),
            RedemptionEvent::CouponsReleased(e) => Redemption::Released(e.clone()),
        };
    }
}

impl Redemption {
    /// `RedeemCoupons`: all of them count or none. The first answer stands; other codes or another customer under
    /// the same order are a mistake of the caller and change nothing.
    ///
    /// # Errors
    /// `REDEMPTION_CONFLICT`.
    pub fn redeem(
        &self,
        wanted: &Redeem,
        coupons: &[Coupon],
        now: Timestamp,
    ) -> Result<Vec<RedemptionEvent>, Rejection> {
        match self {
            Redemption::Unknown => Ok(vec![first_answer(wanted, coupons, now)]),
            Redemption::Redeemed(e) => {
                let codes = e.coupons.iter().map(|coupon| coupon.code.as_str());
                same_or_conflict(wanted, &e.subject, codes)
            }
            Redemption::Refused(e) => same_or_conflict(wanted, &e.subject, e.codes.iter().map(Arc::as_ref)),
            Redemption::Released(_) => Ok(Vec::new()),
        }
    }

    /// `ReleaseCoupons`: gives back what counts. Before any request it leaves a tombstone. Never refused: a saga
    /// that turns back must be able to.
    pub fn release(&self, reason: &str) -> Vec<RedemptionEvent> {
        let (subject, coupons) = match self {
            Redemption::Unknown => Default::default(),
            Redemption::Redeemed(e) => (e.subject.clone(), e.coupons.clone()),
            Redemption::Refused(_) | Redemption::Released(_) => return Vec::new(),
        };
        let reason = reason.into();
        vec![RedemptionEvent::CouponsReleased(CouponsReleased { reason, subject, coupons })]
    }
}

fn same_or_conflict<'a>(
    wanted: &Redeem,
    subject: &str,
    codes: impl Iterator<Item = &'a str>,
) -> Result<Vec<RedemptionEvent>, Rejection> {
    if *wanted.subject == *subject && codes.eq(wanted.codes.iter().map(|asked| &*asked.text)) {
        return Ok(Vec::new());
    }
    let message = "the order's coupons were redeemed with other codes or for another customer before";
    Err(Rejection::new(REDEMPTION_CONFLICT, message))
}

fn first_answer(wanted: &Redeem, coupons: &[Coupon], now: Timestamp) -> RedemptionEvent {
    let mut used = Vec::with_capacity(wanted.codes.len());
    for asked in &wanted.codes {
        match usable(asked, coupons, wanted.priced_at.min(now)) {
            Ok(coupon) => used.push(coupon),
            Err(reason) => {
                return RedemptionEvent::RedemptionRefused(RedemptionRefused {
                    subject: wanted.subject.clone(),
                    codes: wanted.codes.iter().map(|asked| asked.text.clone()).collect(),
                    code: asked.text.clone(),
                    reason,
                });
            }
        }
    }
    let (subject, priced_at) = (wanted.subject.clone(), wanted.priced_at);
    RedemptionEvent::CouponsRedeemed(CouponsRedeemed { subject, coupons: used.into(), priced_at })
}

/// The promotion must have held when the order was priced; its limits are judged now.
fn usable(asked: &AskedCode, coupons: &[Coupon], priced_at: Timestamp) -> Result<UsedCoupon, CouponReason> {
    let is_asked = |coupon: &&Coupon| asked.code.as_ref() == Some(&coupon.code);
    let coupon = coupons.iter().find(is_asked).ok_or(CouponReason::Unknown)?;
    coupon.window.check(priced_at)?;
    coupon.limits.check(coupon.used)?;
    Ok(UsedCoupon { code: coupon.code.clone(), promotion: coupon.promotion.clone() })
}

#[cfg(test)]
mod tests;
