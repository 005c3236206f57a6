//! What customers come for, as lists of what they do one after the other.

/// What a customer came for. The quick ones stand first: a point is tried with the first that reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Script {
    /// Sales puts a product into the shop and its stock on the shelf.
    Stocking,
    /// A purchase.
    Sold,
    /// The payment is declined.
    Declined,
    /// Another has the last piece.
    SoldOut,
    /// Called off as soon as it was placed.
    CancelledEarly,
    /// Called off after it was paid.
    CancelledLate,
    /// The provider has an error of its own at each first call.
    ProviderError,
    /// The provider promises the money and does not say so.
    Unsure,
    /// The same, and called off meanwhile.
    UnsureCancelled,
    /// The provider takes the money and does not say so.
    CaptureUnsure,
    /// The provider gives the money back and does not say so.
    RefundUnsure,
    /// The customer has to say yes at the bank.
    AtTheBank,
    /// Bought with a coupon, sent, and delivered.
    Delivered,
    /// Sent, and the provider takes the parcel's share and does not say so.
    ParcelUnsure,
    /// Called off while the parcel is being made ready.
    ParcelCancelled,
    /// One of two pieces is called off before the parcel is packed; the other is delivered.
    PieceCancelled,
    /// Held by staff for a moment, then sent.
    Held,
    /// Delivered, sent back, and refunded.
    Returned,
    /// The same, and the provider gives the money back and does not say so.
    ReturnUnsure,
    /// The provider does not react to any first call.
    Silent,
}

/// All of them.
pub const SCRIPTS: [Script; 20] = [
    Script::Stocking,
    Script::Sold,
    Script::Declined,
    Script::SoldOut,
    Script::CancelledEarly,
    Script::CancelledLate,
    Script::ProviderError,
    Script::Unsure,
    Script::UnsureCancelled,
    Script::CaptureUnsure,
    Script::RefundUnsure,
    Script::AtTheBank,
    Script::Delivered,
    Script::ParcelUnsure,
    Script::ParcelCancelled,
    Script::PieceCancelled,
    Script::Held,
    Script::Returned,
    Script::ReturnUnsure,
    Script::Silent,
];

/// One thing to do. Each can be done again when nobody knows whether it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Put a product into the shop.
    Stock,
    /// Say where mail is to go.
    LeaveAddress,
    /// Put it into the cart and ask what it costs.
    Quote,
    /// The same, to be sent somewhere and with a coupon.
    QuoteShipped,
    /// Accept the quote, and wait a little for what becomes of it.
    Place,
    /// Accept the quote and do not wait.
    PlaceQuickly,
    /// Say yes at the bank.
    Confirm,
    /// Wait until the order is paid or came to nothing.
    AwaitPaid,
    /// Wait until parcels are being made ready.
    AwaitProcessing,
    /// Wait until all of it has arrived.
    AwaitDelivered,
    /// Wait until it came to nothing.
    AwaitOver,
    /// Call the order off.
    Cancel,
    /// Call one piece off.
    CancelPiece,
    /// Staff holds the order and lets it go again.
    Hold,
    /// Staff packs, labels and hands over.
    SendOff,
    /// Ask to send it back.
    AskReturn,
    /// Staff approves, receives and inspects; the money comes back.
    TakeBack,
    /// Say the same once more, and something else under the same key.
    AskAgain,
}

impl Script {
    /// The payment method, which says what the provider does.
    pub fn method(self) -> &'static str {
        match self {
            Script::Stocking
            | Script::Sold
            | Script::SoldOut
            | Script::CancelledEarly
            | Script::CancelledLate
            | Script::Delivered
            | Script::ParcelCancelled
            | Script::PieceCancelled
            | Script::Held
            | Script::Returned => "ok",
            Script::Declined => "decline_funds",
            Script::ProviderError => "error_500_then_ok",
            Script::Unsure | Script::UnsureCancelled => "timeout_after_effect",
            Script::CaptureUnsure | Script::ParcelUnsure => "capture_timeout_after_effect",
            Script::RefundUnsure | Script::ReturnUnsure => "refund_timeout_after_effect",
            Script::AtTheBank => "requires_action",
            Script::Silent => "timeout_before",
        }
    }

    /// What they do, in order.
    pub fn tasks(self) -> &'static [Task] {
        use Task::*;
        match self {
            Script::Stocking => &[Stock],
            Script::Sold
            | Script::Declined
            | Script::SoldOut
            | Script::ProviderError
            | Script::Unsure
            | Script::CaptureUnsure
            | Script::Silent => &[LeaveAddress, Quote, Place, AwaitPaid, AskAgain],
            Script::CancelledEarly | Script::UnsureCancelled => {
                &[Quote, PlaceQuickly, Cancel, AwaitOver, AskAgain]
            }
            Script::CancelledLate | Script::RefundUnsure => {
                &[Quote, Place, AwaitPaid, Cancel, AwaitOver, AskAgain]
            }
            Script::AtTheBank => &[Quote, PlaceQuickly, Confirm, AwaitPaid, AskAgain],
            Script::Delivered | Script::ParcelUnsure => {
                &[LeaveAddress, QuoteShipped, Place, SendOff, AwaitDelivered, AskAgain]
            }
            Script::ParcelCancelled => {
                &[LeaveAddress, QuoteShipped, Place, AwaitProcessing, Cancel, AwaitOver, AskAgain]
            }
            Script::PieceCancelled => &[
                LeaveAddress,
                QuoteShipped,
                Place,
                AwaitProcessing,
                CancelPiece,
                SendOff,
                AwaitDelivered,
                AskAgain,
            ],
            Script::Held => &[LeaveAddress, QuoteShipped, Place, Hold, SendOff, AwaitDelivered, AskAgain],
            Script::Returned | Script::ReturnUnsure => {
                &[LeaveAddress, QuoteShipped, Place, SendOff, AwaitDelivered, AskReturn, TakeBack, AskAgain]
            }
        }
    }

    /// How many pieces they want.
    pub fn pieces(self) -> u64 {
        if self == Script::PieceCancelled { 2 } else { 1 }
    }
}
