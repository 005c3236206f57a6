//! Both sagas against participants that refuse, fall silent, hear everything twice; with a crash before and
//! after every call, and a cancel at every point.
use crate::doubles::Fate;
use crate::shop::{Shop, TOTAL};
use souk_order::domain::Order;
use souk_order::domain::order::{Label, Payment, Windows};

/// More calls than any of these stories has.
const CALLS_MAX: usize = 12;

/// A way that a sale can go.
#[derive(Debug, Clone, Copy)]
struct Story {
    unwilling: Option<&'static str>,
    /// The customer cancels once it is over.
    then_cancel: bool,
    label: Label,
    payment: Payment,
    reason: (&'static str, &'static str),
}

const SOLD: Story = Story {
    unwilling: None,
    then_cancel: false,
    label: Label::Confirmed,
    payment: Payment::Captured,
    reason: ("", ""),
};
const SHORT: Story = Story {
    unwilling: Some("reserve"),
    then_cancel: false,
    label: Label::Rejected,
    payment: Payment::None,
    reason: ("INSUFFICIENT_STOCK", "A: 1 of 3"),
};
const DECLINED: Story = Story {
    unwilling: Some("authorize"),
    then_cancel: false,
    label: Label::Rejected,
    payment: Payment::None,
    reason: ("PAYMENT_DECLINED", "insufficient_funds"),
};
const EXPIRED: Story = Story {
    unwilling: Some("commit"),
    then_cancel: false,
    label: Label::Rejected,
    payment: Payment::Voided,
    reason: ("RESERVATION_EXPIRED", "A: 1 of 3"),
};
const RETURNED: Story = Story {
    unwilling: None,
    then_cancel: true,
    label: Label::Cancelled,
    payment: Payment::Refunded,
    reason: ("CANCELLED_BY_CUSTOMER", ""),
};
const STORIES: [Story; 5] = [SOLD, SHORT, DECLINED, EXPIRED, RETURNED];

impl Story {
    async fn shop(&self) -> Shop {
        let shop = Shop::open().await;
        shop.world.books(|books| books.unwilling.extend(self.unwilling));
        shop
    }

    /// Tells the story to its end.
    async fn tell(&self, shop: &Shop) -> Order {
        let order_id = shop.place_new().await.order_id;
        let order = shop.until_over(&order_id).await;
        if !self.then_cancel {
            return order;
        }
        shop.cancel(&order_id, "cancel-1").await.expect("it can be cancelled");
        shop.until_over(&order_id).await
    }

    fn check(&self, shop: &Shop, order: &Order) {
        assert_eq!((order.label(), order.payment()), (self.label, self.payment), "{self:?}");
        assert_eq!(order.reason(), self.reason, "{self:?}");
        match self.label {
            Label::Confirmed => assert!(shop.world.sold(TOTAL)),
            Label::Rejected | Label::Cancelled => assert!(shop.world.keeps_nothing(), "{self:?}"),
            Label::Pending
            | Label::AwaitingCustomer
            | Label::Processing
            | Label::PartiallyShipped
            | Label::Shipped
            | Label::Delivered
            | Label::Completed
            | Label::OnHold
            | Label::Cancelling => panic!("no story ends so"),
        }
    }
}

#[tokio::test]
async fn every_step_may_be_refused() {
    for story in STORIES {
        let shop = story.shop().await;
        let order = story.tell(&shop).await;
        story.check(&shop, &order);
    }
}

async fn with_fate_at_every_call(fate: Fate) {
    for story in STORIES {
        let mut calls_without = usize::MAX;
        for number in 0..CALLS_MAX {
            if number > calls_without {
                break;
            }
            let shop = story.shop().await;
            shop.world.books(|books| books.fates.insert(number, fate));
            let order = story.tell(&shop).await;
            story.check(&shop, &order);
            if number == 0 {
                calls_without = shop.world.books(|books| books.calls.len());
            }
        }
        assert!((2..CALLS_MAX).contains(&calls_without), "every call had its turn: {calls_without}");
    }
}

#[tokio::test]
async fn every_request_may_be_lost() {
    with_fate_at_every_call(Fate::RequestLost).await;
}

#[tokio::test]
async fn every_answer_may_be_lost() {
    with_fate_at_every_call(Fate::AnswerLost).await;
}

#[tokio::test]
async fn every_call_may_arrive_twice() {
    with_fate_at_every_call(Fate::Doubled).await;
}

/// Tells the story with a crash while the numbered call is held; `false` when there is no such call.
async fn crash_at(story: Story, number: usize, fate: Fate) -> bool {
    let mut shop = story.shop().await;
    shop.world.books(|books| books.fates.insert(number, fate));
    let order_id = shop.place_new().await.order_id;
    let mut crashed = crash_when_held(&mut shop, &order_id).await;
    let mut order = shop.until_over(&order_id).await;
    if story.then_cancel {
        shop.cancel(&order_id, "cancel-1").await.expect("it can be cancelled");
        crashed |= crash_when_held(&mut shop, &order_id).await;
        order = shop.until_over(&order_id).await;
    }
    story.check(&shop, &order);
    crashed
}

/// Crashes when a call is held; nothing when the order is over without it.
async fn crash_when_held(shop: &mut Shop, order_id: &str) -> bool {
    let held = tokio::select! {
        () = shop.world.call_held() => true,
        _ = shop.until(order_id, Order::is_over) => false,
    };
    if held {
        shop.crash_and_restart().await;
    }
    held
}

#[tokio::test]
async fn a_crash_before_or_after_every_call_changes_nothing() {
    for story in STORIES {
        for fate in [Fate::HeldBefore, Fate::HeldAfter] {
            let mut number = 1;
            while crash_at(story, number, fate).await {
                number += 1;
            }
            assert!((3..CALLS_MAX).contains(&number), "every call had its turn: {number}");
        }
    }
}

#[tokio::test]
async fn a_cancel_at_every_point_gives_everything_back() {
    let places =
        [Fate::HeldBefore, Fate::HeldAfter].into_iter().flat_map(|fate| (1..=4).map(move |n| (n, fate)));
    for (number, fate) in places {
        let shop = SOLD.shop().await;
        shop.world.books(|books| books.fates.insert(number, fate));
        let order_id = shop.place_new().await.order_id;
        shop.world.call_held().await;
        let cancelling = shop.cancel(&order_id, "cancel-1").await.expect("it can be cancelled");
        assert_eq!(cancelling.status(), souk_contracts::order::v1::OrderStatus::Cancelling);
        shop.world.let_go();
        let order = shop.until_over(&order_id).await;
        assert_eq!(order.label(), Label::Cancelled, "call {number}, {fate:?}");
        // A call that was still under way may arrive after all; it must not bring anything back.
        assert!(shop.world.keeps_nothing(), "call {number}, {fate:?}");
        let again = shop.cancel(&order_id, "cancel-2").await.expect("said twice");
        assert_eq!(again.reason, "CANCELLED_BY_CUSTOMER");
    }
}

#[tokio::test]
async fn a_rejected_order_cannot_be_cancelled() {
    let shop = SHORT.shop().await;
    let order_id = shop.place_new().await.order_id;
    shop.until_over(&order_id).await;
    let refused = shop.cancel(&order_id, "cancel-1").await.expect_err("too late");
    assert_eq!(refused.reason(), "CANCEL_TOO_LATE");
}

#[tokio::test]
async fn a_refused_capture_calls_a_person_and_can_still_be_cancelled() {
    let shop = Shop::open().await;
    shop.world.books(|books| books.unwilling.insert("capture"));
    let order_id = shop.place_new().await.order_id;
    let order = shop.until(&order_id, Order::needs_attention).await;
    assert_eq!(order.label(), Label::OnHold);
    shop.check(&order_id, &order).await;
    assert!(shop.get(&order_id).await.needs_attention);
    shop.cancel(&order_id, "cancel-1").await.expect("it can be cancelled");
    let over = shop.until_over(&order_id).await;
    assert_eq!((over.label(), over.payment()), (Label::Cancelled, Payment::Voided));
    assert!(shop.world.keeps_nothing());
}

#[tokio::test]
async fn a_long_silence_calls_a_person_and_goes_on_when_it_ends() {
    let shop = Shop::open().await;
    for (step, label) in
        [("reserve", Label::Pending), ("authorize", Label::Pending), ("capture", Label::Confirmed)]
    {
        shop.world.books(|books| books.always = [(step, Fate::RequestLost)].into());
        let quote = shop.quote().await;
        let order_id = shop.place(&quote, step).await.expect("placed").order_id;
        let order = shop.until(&order_id, Order::needs_attention).await;
        assert_eq!(order.label(), label);
        shop.check(&order_id, &order).await;
        shop.world.books(|books| books.always.clear());
        let over = shop.until_over(&order_id).await;
        assert!(!over.needs_attention() && over.label() == Label::Confirmed);
    }
}

#[tokio::test]
async fn a_person_is_no_longer_called_once_the_step_is_done() {
    let shop = Shop::open().await;
    shop.world.books(|books| {
        books.always = [("reserve", Fate::RequestLost), ("authorize", Fate::HeldBefore)].into();
    });
    let order_id = shop.place_new().await.order_id;
    shop.until(&order_id, Order::needs_attention).await;
    shop.world.books(|books| books.always.remove("reserve"));
    shop.world.call_held().await;
    let order = shop.until(&order_id, |order| !order.needs_attention()).await;
    shop.check(&order_id, &order).await;
    shop.world.let_go();
    shop.until_over(&order_id).await;
}

#[tokio::test]
async fn a_refused_refund_calls_a_person() {
    let shop = Shop::open().await;
    shop.world.books(|books| books.unwilling.insert("refund"));
    let order_id = shop.place_new().await.order_id;
    shop.until_over(&order_id).await;
    shop.cancel(&order_id, "cancel-1").await.expect("it can be cancelled");
    let order = shop.until(&order_id, Order::needs_attention).await;
    assert_eq!((order.label(), order.payment()), (Label::Cancelling, Payment::Captured));
    shop.check(&order_id, &order).await;
}

#[tokio::test]
async fn the_deadline_ends_a_sale_whose_payment_is_silent() {
    let shop = Shop::open().await;
    shop.world.books(|books| books.always.insert("authorize", Fate::RequestLost));
    let order_id = shop.place_new().await.order_id;
    shop.until(&order_id, |order| order.place().is_done("reserve")).await;
    shop.clock.advance_ms(30 * 60 * 1_000 - 1);
    assert_eq!(shop.store().due_timers(10).await.expect("readable"), vec![]);
    shop.clock.advance_ms(1);
    let over = shop.until_over(&order_id).await;
    assert_eq!((over.label(), over.reason().0), (Label::Rejected, "DEADLINE_PASSED"));
    assert!(shop.world.keeps_nothing());
}

#[tokio::test]
async fn the_deadline_leaves_a_pivot_in_doubt_alone() {
    let shop = Shop::open().await;
    shop.world.books(|books| books.fates.insert(3, Fate::HeldAfter));
    let order_id = shop.place_new().await.order_id;
    shop.world.call_held().await;
    shop.clock.advance_ms(31 * 60 * 1_000);
    let orders = souk_order::grpc::Orders::new(shop.own(), souk_order::grpc::QUOTE_TTL, Windows::default());
    for timer in shop.store().due_timers(10).await.expect("readable") {
        // The timers' own process may be faster.
        let fired = orders.timer_due(timer).await;
        assert!(matches!(fired, Ok(()) | Err(souk_eventstore::CommitError::TimerGone)), "{fired:?}");
    }
    shop.world.let_go();
    let over = shop.until_over(&order_id).await;
    SOLD.check(&shop, &over);
}
