//! E-mail, over SMTP to a real server that has its moods.
use crate::house::House;
use souk_contracts::notification::v1 as pb;
use souk_mail::{Mood, Sink, header};
use souk_notification::Options;
use souk_notification::domain::DeliveryEvent;
use souk_notification::domain::delivery::{NO_ADDRESS, PAUSE_FIRST};
use tempfile::TempDir;

const ADA: &str = "ada.lovelace@example.org";

async fn with_mail() -> (House, Sink, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Sink::open(folder.path().join("mails")).await;
    let url = format!("smtp://{}", sink.address);
    let options = Options::read(&url, "The Shop <shop@souk.example>", "").expect("good options");
    let house = House::in_memory(options).await;
    house.has_email("gst_1", ADA).await;
    (house, sink, folder)
}

/// Waits until the only delivery has come so far.
async fn ended(house: &House, is_end: impl Fn(&DeliveryEvent) -> bool) -> Vec<DeliveryEvent> {
    let only = async || house.deliveries().await.into_values().next().unwrap_or_default();
    house.until(async || only().await.last().is_some_and(&is_end)).await;
    only().await
}

fn is_done(event: &DeliveryEvent) -> bool {
    matches!(event, DeliveryEvent::DeliveryDone(_))
}

fn is_failed(event: &DeliveryEvent) -> bool {
    matches!(event, DeliveryEvent::AttemptFailed(_))
}

fn advance(house: &House) {
    house.clock.advance_ms(i64::try_from(PAUSE_FIRST.as_millis()).expect("small"));
}

#[tokio::test]
async fn a_confirmed_order_is_mailed_to_whom_it_belongs() {
    let (house, sink, _folder) = with_mail().await;
    house.confirms(1, "gst_1");
    house.confirms(2, "gst_2");
    ended(&house, is_done).await;
    let mails = sink.mails();
    assert_eq!(mails.len(), 1, "nobody knows where gst_2 reads mail: {mails:?}");
    let mail = &mails[0];
    assert!(mail.starts_with("MAIL FROM:<shop@souk.example>"), "{mail}");
    assert!(mail.contains(&format!("RCPT TO:<{ADA}>")), "{mail}");
    assert_eq!(header(mail, "Subject"), "Your order is confirmed");
    assert_eq!(header(mail, "Auto-Submitted"), "auto-generated");
    assert!(
        header(mail, "Message-ID").starts_with("<dlv_")
            && header(mail, "Message-ID").ends_with("@souk.example>")
    );
    assert!(mail.contains("12.50 GBP") && mail.contains("text/html"), "{mail}");
    house.check(&["ada", "lovelace", "example.org"]).await;
}

#[tokio::test]
async fn a_mail_whose_taking_was_not_heard_is_sent_again_under_the_same_id() {
    let (house, sink, _folder) = with_mail().await;
    sink.will(&[Mood::BreaksOff]);
    house.confirms(1, "gst_1");
    ended(&house, is_failed).await;
    advance(&house);
    let history = ended(&house, is_done).await;
    let mails = sink.mails();
    assert_eq!(mails.len(), 2, "the server has it twice, and can see that");
    assert_eq!(header(&mails[0], "Message-ID"), header(&mails[1], "Message-ID"));
    assert_eq!(header(&mails[0], "Date"), header(&mails[1], "Date"));
    assert_eq!(history.iter().filter(|event| is_done(event)).count(), 1);
    house.check(&["ada"]).await;
}

#[tokio::test]
async fn what_may_work_later_is_tried_later_and_what_never_will_is_given_up() {
    let (house, sink, _folder) = with_mail().await;
    sink.will(&[Mood::Unwell(421), Mood::Refuses(451), Mood::Refuses(550)]);
    house.confirms(1, "gst_1");
    let result = |history: &[DeliveryEvent]| match history.last() {
        Some(DeliveryEvent::AttemptFailed(failed)) => failed.result.to_string(),
        Some(DeliveryEvent::DeliveryDead(dead)) => dead.result.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(result(&ended(&house, is_failed).await), "SMTP_421");
    advance(&house);
    house
        .until(async || house.deliveries().await.values().flatten().filter(|e| is_failed(e)).count() == 2)
        .await;
    assert_eq!(result(&ended(&house, is_failed).await), "SMTP_451");
    advance(&house);
    advance(&house);
    let history = ended(&house, |event| matches!(event, DeliveryEvent::DeliveryDead(_))).await;
    assert_eq!(result(&history), "SMTP_550");
    assert!(sink.mails().is_empty());
    house.check(&["ada", "is not here"]).await;
}

#[tokio::test]
async fn a_forgotten_address_and_a_choice_are_honoured_until_the_last_moment() {
    let (house, sink, _folder) = with_mail().await;
    sink.will(&[Mood::Unwell(421)]);
    house.confirms(1, "gst_1");
    ended(&house, is_failed).await;
    house.has_email("gst_1", "").await;
    advance(&house);
    let history = ended(&house, |event| matches!(event, DeliveryEvent::DeliverySuppressed(_))).await;
    let Some(DeliveryEvent::DeliverySuppressed(suppressed)) = history.last() else { panic!("{history:?}") };
    assert_eq!(&*suppressed.reason, NO_ADDRESS);

    house.has_email("gst_1", ADA).await;
    let change = pb::UpdatePreferencesRequest { email_enabled: Some(false), ..Default::default() };
    house.prefer("gst_1", change).await.expect("it is taken");
    house.send("gst_1", "shop.news", ("news", "Sale!"), "sale").await.expect("told");
    house.send("gst_1", "account.notice", ("notice", "Terms"), "terms").await.expect("told");
    house.until(async || sink.mails().len() == 1).await;
    assert_eq!(header(&sink.mails()[0], "Subject"), "A notice about your account");
    assert_eq!(house.list("gst_1").await.len(), 3, "the inbox has all");
}

#[tokio::test]
async fn a_crash_between_sending_and_recording_sends_again_under_the_same_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Sink::open(folder.path().join("mails")).await;
    let options = || Options::read(&format!("smtp://{}", sink.address), "a@souk.example", "").expect("good");
    let orders = std::sync::Arc::new(crate::house::TestOrders::default());
    let data = folder.path().join("data");
    let house = House::at(&data, 1, orders.clone(), options()).await;
    house.has_email("gst_1", ADA).await;
    sink.will(&[Mood::Hangs]);
    house.confirms(1, "gst_1");
    let waiting = async {
        while sink.mails().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), waiting).await.expect("it is sent");
    house.node.shut_down().await;
    let house = House::at(&data, 2, orders, options()).await;
    let history = ended(&house, is_done).await;
    assert_eq!(
        history.iter().filter(|e| matches!(e, DeliveryEvent::AttemptStarted(_))).count(),
        2,
        "{history:?}"
    );
    let mails = sink.mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(header(&mails[0], "Message-ID"), header(&mails[1], "Message-ID"));
    house.check(&["ada"]).await;
}

#[tokio::test]
async fn a_forgotten_person_is_told_nothing_more_and_their_address_is_gone() {
    let (house, sink, _folder) = with_mail().await;
    let forget = || pb::ForgetPersonRequest { subject: "gst_1".into() };
    let refused =
        house.client.forget_person(house.as_order(), forget()).await.expect_err("not theirs to say");
    assert_eq!(refused.code(), souk_kernel::Code::PermissionDenied);
    for _ in 0..2 {
        house.client.forget_person(house.as_user(), forget()).await.expect("forgotten");
    }
    assert!(!house.send("gst_1", "account.notice", ("notice", "x"), "k").await.expect("heard"));
    let again = pb::UpdatePreferencesRequest { email: Some(ADA.into()), ..Default::default() };
    assert_eq!(house.prefer("gst_1", again).await.expect_err("erased").reason(), "PERSON_ERASED");
    assert_eq!((house.list("gst_1").await.len(), sink.mails().len()), (0, 0));
}
