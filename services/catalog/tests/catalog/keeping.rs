//! Putting, showing, pricing and retiring products.
use crate::shop::{START, Shop, one, pence, variant};
use futures_util::future::join_all;
use souk_contracts::catalog::v1::{self as pb, ProductStatus, PutOutcome};
use souk_identity::Kind;
use souk_kernel::{Code, Error};
use std::collections::BTreeSet;

fn is<T>(answer: Result<T, Error>, code: Code, reason: &str) {
    let error = answer.err().expect("a refusal");
    assert_eq!((error.code(), error.reason()), (code, reason), "{error:?}");
}

#[tokio::test]
async fn a_product_is_created_changed_and_left_alone() {
    let shop = Shop::in_memory().await;
    let created = shop.put("mug", one("Mug", "M-1", 255)).await.expect("created");
    assert_eq!(created.outcome(), PutOutcome::Created);
    let product = created.product.expect("a product");
    assert_eq!(
        (product.version, product.status(), product.handle.as_str()),
        (1, ProductStatus::Published, "mug")
    );
    assert_eq!(product.variants[0].prices[0].amount, Some(pence(255)));
    assert_eq!(product.variants[0].title, "Mug");

    let before = *shop.store().head().borrow();
    let same = shop.put("mug", one("Mug", "M-1", 255)).await.expect("unchanged");
    assert_eq!(same.outcome(), PutOutcome::Unchanged);
    assert_eq!(*shop.store().head().borrow(), before, "nothing was written");

    let changed = shop.put("mug", one("Cup", "M-1", 255)).await.expect("updated");
    assert_eq!((changed.outcome(), changed.product.map(|p| p.version)), (PutOutcome::Updated, Some(2)));
    let priced = shop.put("mug", one("Cup", "M-1", 299)).await.expect("updated");
    assert_eq!(priced.outcome(), PutOutcome::Updated, "a price alone is a change too");
    let product = shop.get(shop.anybody(), "mug").await.expect("visible");
    assert_eq!((product.title.as_str(), product.version), ("Cup", 2));
    assert_eq!(product.variants[0].prices[0].price_version, 2);
    assert_eq!(product.product_id, priced.product.expect("a product").product_id);
    shop.check().await;
}

#[tokio::test]
async fn writing_back_the_titles_that_were_shown_changes_nothing() {
    let shop = Shop::in_memory().await;
    let named = pb::VariantInput { title: "The big one".into(), ..variant("C-2", &["large"], 2) };
    let sized = pb::ProductInput {
        options: vec!["Size".into()],
        variants: vec![variant("C-1", &["small"], 1), named],
        ..one("Cup", "C-1", 1)
    };
    for (handle, input) in [("mug", one("Mug", "M-1", 255)), ("cup", sized)] {
        let shown = shop.put(handle, input.clone()).await.expect("created").product.expect("a product");
        let mut back = input.clone();
        for (variant, shown) in back.variants.iter_mut().zip(&shown.variants) {
            assert!(!shown.title.is_empty());
            variant.title.clone_from(&shown.title);
        }
        let again = shop.put(handle, back).await.expect("the same");
        assert_eq!(again.outcome(), PutOutcome::Unchanged, "{handle}");
        let renamed = pb::ProductInput { title: "Jug".into(), ..input };
        let renamed = shop.put(handle, renamed).await.expect("renamed").product.expect("a product");
        let titles: Vec<_> = renamed.variants.iter().map(|variant| variant.title.as_str()).collect();
        assert_eq!(titles, if handle == "mug" { vec!["Jug"] } else { vec!["small", "The big one"] });
    }
}

#[tokio::test]
async fn an_old_version_is_refused() {
    let shop = Shop::in_memory().await;
    is(shop.put_expecting("mug", one("Mug", "M-1", 255), Some(1)).await, Code::Aborted, "VERSION_MISMATCH");
    shop.put_expecting("mug", one("Mug", "M-1", 255), Some(0)).await.expect("new");
    shop.put_expecting("mug", one("Cup", "M-1", 255), Some(1)).await.expect("current");
    is(shop.put_expecting("mug", one("Jug", "M-1", 255), Some(1)).await, Code::Aborted, "VERSION_MISMATCH");
    assert_eq!(shop.get(shop.anybody(), "mug").await.expect("visible").title, "Cup");
}

#[tokio::test]
async fn only_staff_of_the_right_role_changes_the_catalog() {
    let shop = Shop::in_memory().await;
    let request = || pb::PutProductRequest {
        handle: "mug".into(),
        product: Some(one("Mug", "M-1", 255)),
        expected_version: None,
    };
    is(shop.client.put_product(shop.anybody(), request()).await, Code::Unauthenticated, "UNAUTHENTICATED");
    for (kind, roles) in [(Kind::Guest, &[][..]), (Kind::Customer, &["sales"]), (Kind::Staff, &["support"])] {
        let answer = shop.client.put_product(shop.person(kind, roles), request()).await;
        assert_eq!(answer.err().map(|e| e.code()), Some(Code::PermissionDenied), "{kind:?} {roles:?}");
    }
    shop.client.put_product(shop.person(Kind::Staff, &["admin"]), request()).await.expect("an admin may");
}

#[tokio::test]
async fn customers_see_published_products_only() {
    let shop = Shop::in_memory().await;
    shop.put("mug", pb::ProductInput { published: false, ..one("Mug", "M-1", 255) }).await.expect("a draft");
    let guest = shop.person(Kind::Guest, &[]);
    is(shop.get(shop.anybody(), "mug").await, Code::NotFound, "NOT_FOUND");
    is(shop.get(guest.clone(), "mug").await, Code::NotFound, "NOT_FOUND");
    for role in ["sales", "support", "admin"] {
        let product = shop.get(shop.person(Kind::Staff, &[role]), "mug").await.expect("staff sees it");
        assert_eq!(product.status(), ProductStatus::Draft);
    }
    is(shop.prices(guest.clone(), "M-1").await, Code::NotFound, "UNKNOWN_SKU");
    assert_eq!(shop.prices(shop.sales(), "M-1").await.expect("staff").len(), 1);
    assert_eq!(shop.publish("mug").await.expect("published").status(), ProductStatus::Published);
    shop.get(guest.clone(), "mug").await.expect("visible now");
    assert_eq!(shop.unpublish("mug").await.expect("hidden").status(), ProductStatus::Unpublished);
    is(shop.get(guest, "mug").await, Code::NotFound, "NOT_FOUND");
    is(shop.get(shop.sales(), "cup").await, Code::NotFound, "NOT_FOUND");
    is(shop.publish("cup").await, Code::NotFound, "NOT_FOUND");
}

#[tokio::test]
async fn what_is_archived_stays_so_and_keeps_its_handle_and_skus() {
    let shop = Shop::in_memory().await;
    shop.put("mug", one("Mug", "M-1", 255)).await.expect("created");
    assert_eq!(shop.archive("mug").await.expect("archived").status(), ProductStatus::Archived);
    assert_eq!(shop.archive("mug").await.expect("twice is fine").version, 2);
    is(shop.put("mug", one("Mug", "M-1", 255)).await, Code::FailedPrecondition, "PRODUCT_ARCHIVED");
    is(shop.publish("mug").await, Code::FailedPrecondition, "PRODUCT_ARCHIVED");
    is(shop.put("other", one("Other", "M-1", 255)).await, Code::AlreadyExists, "SKU_TAKEN");
    is(shop.get(shop.anybody(), "mug").await, Code::NotFound, "NOT_FOUND");
    assert_eq!(shop.variants(shop.anybody(), &["M-1"], "GB").await[0].variant, None);
    shop.check().await;
}

#[tokio::test]
async fn a_sku_belongs_to_one_product_for_ever() {
    let shop = Shop::in_memory().await;
    let mug = shop.put("mug", one("Mug", "M-1", 255)).await.expect("created").product.expect("a product");
    let both = pb::ProductInput {
        options: vec!["Size".into()],
        variants: vec![variant("C-1", &["small"], 1), variant("M-1", &["large"], 1)],
        ..one("Cup", "", 0)
    };
    let refused = shop.put("cup", both).await.expect_err("M-1 is the mug's");
    assert_eq!((refused.reason(), refused.metadata()["sku"].as_str()), ("SKU_TAKEN", "M-1"));
    assert_eq!(refused.metadata()["product_id"], mug.product_id);
    is(shop.get(shop.sales(), "cup").await, Code::NotFound, "NOT_FOUND");

    shop.put("mug", one("Mug", "M-2", 255)).await.expect("gives M-1 up");
    is(shop.put("cup", one("Cup", "M-1", 1)).await, Code::AlreadyExists, "SKU_TAKEN");
    shop.put("mug", one("Mug", "M-1", 255)).await.expect("and takes it back");
    shop.put("cup", one("Cup", " M-1", 1)).await.expect("a space makes another SKU");
    shop.check().await;
}

#[tokio::test]
async fn many_who_put_one_handle_at_once_make_one_product() {
    let shop = Shop::in_memory().await;
    let puts = (0..40).map(|i| shop.put("mug", one(if i % 2 == 0 { "Mug" } else { "Cup" }, "M-1", 255)));
    let answers: Vec<_> =
        join_all(puts).await.into_iter().map(|answer| answer.expect("all succeed")).collect();
    let created = answers.iter().filter(|answer| answer.outcome() == PutOutcome::Created).count();
    let ids: BTreeSet<_> =
        answers.iter().map(|answer| answer.product.clone().expect("a product").product_id).collect();
    assert_eq!((created, ids.len()), (1, 1));
    shop.check().await;
}

#[tokio::test]
async fn many_who_want_one_sku_at_once_leave_it_to_one() {
    let shop = Shop::in_memory().await;
    let handles: Vec<String> = (0..30).map(|i| format!("p{i}")).collect();
    let answers = join_all(handles.iter().map(|handle| shop.put(handle, one("Mug", "M-1", 255)))).await;
    let won = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(won, 1);
    for refused in answers.into_iter().filter_map(Result::err) {
        assert_eq!(refused.reason(), "SKU_TAKEN");
    }
    shop.check().await;
}

#[tokio::test]
async fn prices_are_kept_newest_first() {
    let shop = Shop::in_memory().await;
    shop.put("mug", one("Mug", "M/1", 255)).await.expect("created");
    shop.clock.advance_ms(1_000);
    assert_eq!(shop.set_price("M/1", "GB", 299).await.expect("set").price_version, 2);
    assert_eq!(shop.set_price("M/1", "GB", 299).await.expect("again").price_version, 2);
    assert_eq!(shop.set_price("M/1", "GB", 0).await.expect("a gift").price_version, 3);
    assert_eq!(shop.set_price("M/1", "DE", 400).await.expect("elsewhere").price_version, 1);
    let prices = shop.prices(shop.anybody(), "M/1").await.expect("known");
    let minor: Vec<_> =
        prices.iter().map(|p| (p.price_version, p.amount.as_ref().expect("an amount").minor_units)).collect();
    assert_eq!(minor, [(3, 0), (2, 299), (1, 255)]);
    let starts: Vec<_> =
        prices.iter().map(|p| p.valid_from.as_ref().expect("a time")).map(|t| (t.seconds, t.nanos)).collect();
    let second = START.unix_s();
    assert_eq!(starts, [(second + 1, 1_000), (second + 1, 0), (second, 0)], "no two prices at one instant");
    is(shop.set_price("nobody's", "GB", 1).await, Code::NotFound, "UNKNOWN_SKU");
    is(shop.prices(shop.anybody(), "nobody's").await, Code::NotFound, "UNKNOWN_SKU");
    is(shop.set_price("M/1", "GB", -1).await, Code::InvalidArgument, "INVALID_ARGUMENT");
    shop.check().await;
}

#[tokio::test]
async fn everything_is_there_again_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let shop = Shop::at(folder.path(), 1).await;
    shop.put("mug", one("Red mug", "M-1", 255)).await.expect("created");
    shop.put("jug", one("Blue jug", "J-1", 100)).await.expect("created");
    shop.archive("jug").await.expect("archived");
    let before = shop.get(shop.anybody(), "mug").await.expect("visible");
    shop.node.shut_down().await;

    let shop = Shop::at(folder.path(), 2).await;
    assert_eq!(shop.get(shop.anybody(), "mug").await.expect("visible"), before);
    assert_eq!(shop.found("mug").await, ["mug"]);
    assert_eq!(shop.found("jug").await, Vec::<String>::new());
    is(shop.put("new", one("New", "J-1", 1)).await, Code::AlreadyExists, "SKU_TAKEN");
    assert_eq!(
        shop.put("mug", one("Red mug", "M-1", 255)).await.expect("same").outcome(),
        PutOutcome::Unchanged
    );
    shop.node.shut_down().await;
}
