//! The stories of `docs/stories`, carried out as they stand there, in every shape of the house. `UPDATE_GOLDEN=1`
//! with the filter `one::` writes what is answered into them.
use souk_tests::told::{self, Names, Story, Tree};
use souk_tests::{House, Shape, in_every_shape};
use std::path::{Path, PathBuf};

/// Tests with the names of the stories that they tell, and the list of them.
macro_rules! stories {
    ($($story:ident: $file:literal),* $(,)?) => {
        $(async fn $story(house: &House) {
            told(house, $file).await;
        })*
        in_every_shape!($($story),*);
        /// The same by gRPC, called at the services themselves.
        mod grpc {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::told_by_grpc($file).await;
            })*
        }
        const STORIES: &[&str] = &[$($file),*];
    };
}

stories!(
    a_sale_from_shelf_to_door: "01-a-sale-from-shelf-to-door.md",
    a_guest_signs_in: "02-a-guest-signs-in.md",
    the_price_rises: "03-the-price-rises.md",
    a_quote_expires: "04-a-quote-expires.md",
    out_of_stock: "05-out-of-stock.md",
    part_of_it_will_do: "06-part-of-it-will-do.md",
    backorder: "07-backorder.md",
    a_second_card: "08-a-second-card.md",
    the_bank_asks: "09-the-bank-asks.md",
    called_off: "10-called-off.md",
    called_off_while_it_is_decided: "11-called-off-while-it-is-decided.md",
    two_parcels: "12-two-parcels.md",
    a_parcel_is_lost: "13-a-parcel-is-lost.md",
    exchanged: "14-exchanged.md",
    sent_back: "14-sent-back.md",
    the_customers_bank_takes_the_money_back: "15-the-customers-bank-takes-the-money-back.md",
    the_answer_is_lost: "16-the-answer-is-lost.md",
    notices_in_any_manner: "17-notices-in-any-manner.md",
    the_last_coupon: "18-the-last-coupon.md",
);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the repository")
        .join("docs/stories")
}

fn read(file: &str) -> Story {
    let text = std::fs::read_to_string(folder().join(file)).expect("the story is there");
    Story::parse(&format!("docs/stories/{file}"), &text).unwrap_or_else(|refused| panic!("{refused}"))
}

async fn told(house: &House, file: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let text = told::retell(house, &read(file)).await.unwrap_or_else(|refused| panic!("{refused}"));
        std::fs::write(folder().join(file), text).expect("the story can be written");
        return house.calms_down().await;
    }
    told::tell(house, &read(file)).await.unwrap_or_else(|differs| panic!("{differs}"));
    house.calms_down().await;
}

async fn told_by_grpc(file: &str) {
    let house = House::start(Shape::Apart).await;
    told::tell_by_grpc(&house, &read(file)).await.unwrap_or_else(|differs| panic!("{differs}"));
    house.calms_down().await;
    house.close().await;
}

#[test]
fn every_story_in_the_folder_is_told() {
    let files = std::fs::read_dir(folder()).expect("the folder is there");
    let files = files.map(|file| file.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut files: Vec<_> = files.filter(|file| file != "README.md").collect();
    files.sort();
    assert_eq!(files, STORIES);
}

/// As a reader does who follows them all with one shop.
#[tokio::test(flavor = "multi_thread")]
async fn all_in_one_shop_one_after_the_other() {
    let house = House::start(Shape::One).await;
    for file in STORIES {
        told::tell(&house, &read(file)).await.unwrap_or_else(|differs| panic!("{differs}"));
        house.calms_down().await;
    }
    house.close().await;
}

/// A story with this command and answer.
fn short(command: &str, answer: &str) -> String {
    format!("# Short\n\n```sh\n{command}\n```\n\n```{answer}\n```\n")
}

const SESSION: &str = "curl -s $SOUK/api/v1/sessions --json '{}'";

#[test]
fn what_is_not_understood_is_refused_with_its_line() {
    let shown = "json\n\"…\"";
    for (command, what) in [
        ("wget $SOUK/api/v1/cart", "a story uses curl alone, not \"wget\""),
        ("curl -v $SOUK/api/v1/cart", "curl -v is more than a story may use"),
        ("curl -s http://shop/api/v1/cart", "\"http://shop/api/v1/cart\" does not begin with $SOUK"),
        ("curl -s $SOUK/api/v1/cart $SOUK/api/v1/orders", "is more than a story may use"),
        ("curl -s", "curl needs a URL that begins with $SOUK"),
        ("curl -s -X BREW $SOUK/api/v1/cart", "-X \"BREW\" is no method"),
        ("curl -s $SOUK/api/v1/cart -H", "-H needs a value"),
        ("curl -s $SOUK/api/v1/cart -H nonsense", "\"nonsense\" is no header"),
        ("curl -s $SOUK/api/v1/cart | jq .", "| is more of a shell than a story may use"),
        ("curl -s $SOUK/api/v1/cart > file", "> is more of a shell than a story may use"),
        ("TOKEN=$(curl -s $SOUK/api/v1/sessions)", "( is more of a shell than a story may use"),
        ("curl -s $SOUK/api/v1/cart -H 'Accept: x", "a quote is not closed"),
        (
            "curl -s $SOUK/api/v1/sessions --json \"{\\\"a\\\": 1}\"",
            "only variables are understood in double",
        ),
        ("curl -s $SOUK/api/v1/sessions --json @- <<END\n{}", "no end of the text after <<END"),
        ("curl -s $SOUK/api/v1/sessions --json @-", "--json @- needs a text after <<"),
        ("curl -s $SOUK/api/v1/sessions <<END\n{}\nEND", "the text after << is used by nothing"),
        ("", "there is no command in it"),
    ] {
        let refused = Story::parse("short.md", &short(command, shown)).expect_err(command);
        let line = if command.is_empty() { 3 } else { 4 };
        assert_eq!((refused.file.as_str(), refused.line), ("short.md", line), "{command}: {refused}");
        assert!(refused.what.contains(what), "{command}: {refused}");
    }
    for (answer, what) in [
        ("json\n{\"a\": 1", "the answer is not JSON"),
        ("json\n{\"a\": 1, \"a\": 2}", "the field a stands twice"),
        ("json 99\n{}", "\"99\" is no status"),
        ("yaml\na: 1", "a story has blocks of sh and json, not \"yaml\""),
        ("json\n{}\n```\n\n```json\n{}", "an answer to no command"),
    ] {
        let refused = Story::parse("short.md", &short(SESSION, answer)).expect_err(answer);
        assert!(refused.what.contains(what) && refused.line >= 7, "{answer}: {refused}");
    }
    for (text, line, what) in [
        ("> *after some time*\n".to_owned() + &short(SESSION, shown), 1, "is no time that a story knows"),
        ("> *within 0 minutes*\n".to_owned() + &short(SESSION, shown), 1, "is no time that a story knows"),
        (short(SESSION, shown) + "> *soon afterwards*\n", 10, "is followed by no command"),
        (format!("> *soon afterwards*\n```sh\n{SESSION}\n```\n"), 3, "nothing says what for"),
        (format!("```sh\n{SESSION}\n```\n"), 1, "it shows no answer"),
        (format!("```sh\n{SESSION}\n"), 1, "the block is not closed"),
    ] {
        let refused = Story::parse("short.md", &text).expect_err(&text);
        assert_eq!(refused.line, line, "{text}: {refused}");
        assert!(refused.what.contains(what), "{text}: {refused}");
    }
}

fn tree(text: &str) -> Tree {
    Tree::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

const ANSWERED: &str =
    r#"{"id": "ord_1", "total": {"minorUnits": "30"}, "lines": [{"n": 1}, {"n": 2}], "at": "2026-11-21"}"#;

#[test]
fn an_answer_is_as_it_is_shown_or_it_is_said_where_not() {
    for (shown, found) in [
        (ANSWERED, vec![]),
        (r#"{"id": "$ID", "…": "…"}"#, vec![]),
        (r#"{"id": "ord_$ID", "…": "…"}"#, vec![]),
        (r#"{"id": "$KNOWN", "lines": ["…", {"n": 2}], "…": "…"}"#, vec![]),
        (r#"{"at": "2026-…-21", "total": "…", "…": "…"}"#, vec![]),
        (
            r#"{"id": "$OTHER", "…": "…"}"#,
            vec!["id: shown as \"$OTHER\", that is \"ord_2\", answered \"ord_1\""],
        ),
        (r#"{"id": "$NEVER/1", "…": "…"}"#, vec!["id: nothing was noted as $NEVER before"]),
        (r#"{"id": "pay_$ID", "…": "…"}"#, vec!["id: nothing to note as $ID in \"ord_1\""]),
        (
            r#"{"total": {"minorUnits": "31"}, "…": "…"}"#,
            vec!["total.minorUnits: shown as \"31\", answered \"30\""],
        ),
        (r#"{"lines": [{"n": 1}], "…": "…"}"#, vec!["lines: 1 shown, 2 answered"]),
        (r#"{"lines": [{"n": 1}, {"n": 3}], "…": "…"}"#, vec!["lines[1].n: shown as 3, answered 2"]),
        (r#"{"gone": true, "…": "…"}"#, vec!["gone: shown as true, and not there"]),
        (r#"{"id": "ord_1", "total": "…", "lines": "…"}"#, vec!["at: \"2026-11-21\" is not shown"]),
        (r#"{"at": "2026-…-22", "…": "…"}"#, vec!["at: shown as \"2026-…-22\", answered \"2026-11-21\""]),
        (r#"{"total": {}, "…": "…"}"#, vec!["total.minorUnits: \"30\" is not shown"]),
        ("[]", vec!["the answer: shown as [], answered {\"id\""]),
    ] {
        let mut names =
            Names::from([("KNOWN".to_owned(), "ord_1".to_owned()), ("OTHER".to_owned(), "ord_2".to_owned())]);
        let differences = told::differences(&tree(shown), &tree(ANSWERED), &mut names);
        assert_eq!(differences.len(), found.len(), "{shown}: {differences:?}");
        let alike = differences.iter().zip(&found).all(|(line, found)| line.starts_with(found));
        assert!(alike, "{shown}: {differences:?}");
    }
}

#[test]
fn what_is_written_anew_shows_the_same_fields_and_nothing_that_changes_from_run_to_run() {
    let answered = tree(
        r#"{"id": "ord_01kh4v8r2dexmrtx9h5kgzs3j1", "detail": "order ord_01kh4v8r2dexmrtx9h5kgzs3j1 is sold",
            "at": "2026-11-21T09:00:00Z", "total": {"minorUnits": "30"}, "of": "qte_01kh4v8r2dexmrtx9h5kgzs3j2"}"#,
    );
    let mut names = Names::new();
    let shown = tree(r#"{"total": {"minorUnits": "29"}, "id": "$ORDER", "gone": 1, "…": "…"}"#);
    let written = told::updated(&shown, &answered, &mut names);
    assert_eq!(written.to_string(), r#"{"total": {"minorUnits": "30"}, "id": "$ORDER", "…": "…"}"#);
    let all = told::updated(&Tree::Null, &answered, &mut names);
    assert_eq!(
        all.to_string(),
        r#"{"id": "$ORDER", "detail": "order $ORDER is sold", "at": "…", "total": {"minorUnits": "30"}, "of": "…"}"#
    );
    assert_eq!(told::differences(&all, &answered, &mut names), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_golden_answer_fails_with_its_line_and_can_be_written_anew() {
    let house = House::start(Shape::One).await;
    let wrong = short(SESSION, "json 200\n{\"token\": \"$GUEST\", \"subject\": \"nobody\", \"…\": \"…\"}");
    let story = Story::parse("short.md", &wrong).expect("a story");
    let differs = told::tell(&house, &story).await.expect_err("it is wrong");
    assert!(
        differs.starts_with("short.md:7: the answer differs\n  status: shown as 200, answered 201\n"),
        "{differs}"
    );
    let right = told::retell(&house, &story).await.expect("it can be told");
    assert!(right.contains("```json 201\n"), "{right}");
    let story = Story::parse("short.md", &right).expect("a story");
    told::tell(&house, &story).await.expect("now it is right");
    let unknown = short("curl -s $SOUK/api/v1/cart -H \"Authorization: Bearer $NOBODY\"", "json\n\"…\"");
    let story = Story::parse("short.md", &unknown).expect("a story");
    let refused = told::tell(&house, &story).await.expect_err("nobody has that name");
    assert_eq!(refused, "short.md:4: nothing was noted as $NOBODY before");
    let failing = short("curl -s $SOUK/api/v1/cart", "json 401\n\"…\"");
    let failing = failing.replace("```sh\n", "```sh\ncurl -s $SOUK/api/v1/nowhere\n");
    let story = Story::parse("short.md", &failing).expect("a story");
    let refused = told::tell(&house, &story).await.expect_err("what is not shown must succeed");
    assert!(refused.starts_with("short.md:4: answered 404 "), "{refused}");
    house.close().await;
}
